/**
 * What a node of a variant's graph asks of its stage in one render: parameters as protobuf JSON of vapfarm.v1.StageParameters, the uploads
 * that it reads, and what it relies on that no engine's digest says.
 */
import { FarmError } from "./errors.ts";
import type { PlanRequest, TaskInput } from "./planned-task.ts";
import type { RenderSpec } from "./render-spec.ts";
import type { NodeWork } from "./variants/render-graph.ts";

type Prepare = Extract<NodeWork, { stage: "prepare" }>;

/** How pixels are prepared. */
const preprocessing: Readonly<Record<Prepare["fit"], string>> = {
  model: "linspace-float32 lanczos3-8bit",
  clip: "linspace-float32 bicubic-8bit centre-crop",
};

/** Constants of a content key; undefined where an engine's digest says it all. */
export function preparing(work: NodeWork): string | undefined {
  return work.stage === "prepare" ? preprocessing[work.fit] : undefined;
}

/** The upload that a node reads, if any; `reference` is its number from 0. */
export function nodeInput(work: NodeWork, render: RenderSpec, reference: number): readonly TaskInput[] {
  if (work.stage !== "prepare") return [];
  const media = work.media === "image" ? render.image : render.references[reference];
  return [{ name: "media", source: { kind: "upload", sha256: media?.sha256 ?? "" } }];
}

/** The stage's parameters. */
export function nodeParameters(work: NodeWork, request: PlanRequest, reference: number): unknown {
  switch (work.stage) {
    case "prepare":
      return { prepare: prepareParameters(work, request) };
    case "text_encode":
      return { textEncode: { prompt: promptOf(work.text, request.render, reference) } };
    case "vae_encode":
      return { vaeEncode: { firstFrameOnly: work.firstFrameOnly } };
    case "clip_encode":
      return { clipEncode: {} };
  }
}

function prepareParameters(work: Prepare, { render, model }: PlanRequest): unknown {
  const { width, height, frameSelection } = render;
  const frames = work.frames === "all" ? render.frames : 1;
  const isFirst = frames === 1 || frameSelection === "first";
  const selection = isFirst ? "FRAME_SELECTION_FIRST" : "FRAME_SELECTION_EVENLY";
  if (work.fit === "model") return { frames, height, width, frameSelection: selection };
  const { clip } = model;
  if (clip === undefined) throw new FarmError("MODEL_INVALID", { message: `model ${model.name} does not say what CLIP reads` });
  const { height: cropHeight, width: cropWidth, shortestEdge } = clip;
  return { frames, height: cropHeight, width: cropWidth, frameSelection: selection, resize: "RESIZE_KIND_COVER_BICUBIC", shortestEdge };
}

function promptOf(
  text: Extract<NodeWork, { stage: "text_encode" }>["text"],
  { prompt, negativePrompt, referencePrompts }: RenderSpec,
  reference: number,
): string {
  const texts = { prompt, negative_prompt: negativePrompt, reference_prompt: referencePrompts[reference] ?? "" };
  return texts[text];
}

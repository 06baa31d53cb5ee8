/**
 * The stages of a golden case through a real runtime, from the reference's own pixels to latents.
 */
import { encodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import { type Float32Tensor, requireFloat32, requireUint8, type Uint8Tensor } from "../../services/domain/tensors/tensor.ts";
import { FrameSelection, ResizeKind, SchedulerKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { type GoldenCase, goldenReferences, goldenTexts, schedulerKindOf } from "./golden.ts";
import { goldenPixelsFile } from "./golden-pixels.ts";
import { demoFolderOf, type StageAnswer, type StageCall, type TestRuntime } from "./runtime-process.ts";

/** What a render of each scheduler asks for. */
export const schedulerNumbers = {
  ddim: SchedulerKind.SCHEDULER_KIND_DDIM,
  dpm: SchedulerKind.SCHEDULER_KIND_DPM,
  unipc: SchedulerKind.SCHEDULER_KIND_UNIPC,
  euler: SchedulerKind.SCHEDULER_KIND_EULER,
} as const;

export type GoldenStages = {
  encodeText(prompt: string): Promise<StageAnswer>;
  encodePixels(pixels: Uint8Array, firstFrameOnly: boolean): Promise<StageAnswer>;
  /** Frame 0 of a media file as CLIP sees it, and what it says. */
  seenByClip(media: string): Promise<{ readonly pixels: Uint8Tensor; readonly embeds: Float32Tensor }>;
  /** Runs everything before it; the call that then denoises as the case was, here or in another runtime. */
  denoiseCall(): Promise<StageCall>;
  /** Makes that call here. */
  denoise(): Promise<StageAnswer>;
};

type World = {
  readonly runtime: TestRuntime;
  readonly golden: GoldenCase;
  readonly negativePrompt: string;
  /** One whose own scheduler is the case's; else the demo model of the case's variant is asked for the case's scheduler. */
  readonly ownModel?: string;
};

/** Stages of a model. */
export function createGoldenStages({ runtime, golden, negativePrompt, ownModel }: World): GoldenStages {
  const { settings } = golden;
  const modelFolder = ownModel ?? demoFolderOf(settings.variant);
  const encodeText: GoldenStages["encodeText"] = (prompt) =>
    runtime.run({ modelFolder, parameters: { $case: "textEncode", value: { prompt } } });
  const encodePixels: GoldenStages["encodePixels"] = (pixels, firstFrameOnly) =>
    runtime.run({ modelFolder, parameters: { $case: "vaeEncode", value: { firstFrameOnly } }, inputs: { pixels } });
  const stages = { encodeText, encodePixels };
  const denoiseCall = async (): Promise<StageCall> => {
    const prompts = await promptInputs(goldenTexts(golden, negativePrompt), stages);
    const media = await (settings.variant === "wan" ? wanInputs : cogvideoxInputs)(golden, stages);
    const value = {
      seed: BigInt(settings.seed),
      steps: settings.steps,
      guidanceScale: settings.guidance_scale,
      dynamicGuidance: settings.use_dynamic_cfg ?? false,
      scheduler: ownModel === undefined ? schedulerNumbers[schedulerKindOf(golden)] : SchedulerKind.SCHEDULER_KIND_UNSPECIFIED,
      references: settings.refs,
    };
    return { modelFolder, parameters: { $case: "denoise", value }, inputs: { ...prompts, ...media } };
  };
  return {
    ...stages,
    denoiseCall,
    async seenByClip(media) {
      const crop = { frames: 1, height: 224, width: 224, shortestEdge: 224, resize: ResizeKind.RESIZE_KIND_COVER_BICUBIC };
      const value = { ...crop, frameSelection: FrameSelection.FRAME_SELECTION_FIRST };
      const prepared = await runtime.run({ modelFolder, parameters: { $case: "prepare", value }, inputs: { media } });
      const pixels = prepared.path("pixels");
      const seen = await runtime.run({ modelFolder, parameters: { $case: "clipEncode", value: {} }, inputs: { pixels } });
      return {
        pixels: requireUint8("pixels", (await prepared.tensors("pixels")).get("pixels")),
        embeds: requireFloat32("image_embeds", (await seen.tensors("image_embeds")).get("image_embeds")),
      };
    },
    denoise: async () => runtime.run(await denoiseCall()),
  };
}

type Encoders = Pick<GoldenStages, "encodeText" | "encodePixels">;
type Inputs = Record<string, string | Uint8Array>;

async function promptInputs(texts: readonly string[], { encodeText }: Encoders): Promise<Inputs> {
  const inputs: Inputs = {};
  for (const [index, text] of texts.entries()) {
    const prefix = index < 2 ? "" : `ref${Math.floor(index / 2) - 1}_`;
    const name = index % 2 === 0 ? "prompt_embeds" : "negative_prompt_embeds";
    inputs[prefix + name] = (await encodeText(text)).path("embeds");
  }
  return inputs;
}

async function cogvideoxInputs(golden: GoldenCase, { encodePixels }: Encoders): Promise<Inputs> {
  const inputs: Inputs = { image_moments: (await encodePixels(goldenPixelsFile(golden, "image_pixels"), true)).path("moments") };
  for (const index of goldenReferences(golden)) {
    const pixels = goldenPixelsFile(golden, `ref${index}_pixels`);
    inputs[`ref${index}_moments`] = (await encodePixels(pixels, false)).path("moments");
    inputs[`ref${index}_first_moments`] = (await encodePixels(pixels, true)).path("moments");
  }
  return inputs;
}

/** What CLIP said is the reference's own: the case holds the pixels that it saw, but normalised and not as bytes. */
async function wanInputs(golden: GoldenCase, { encodePixels }: Encoders): Promise<Inputs> {
  const latents = async (index: number, firstFrameOnly: boolean): Promise<string> =>
    (await encodePixels(goldenPixelsFile(golden, `vae${index}_pixels`), firstFrameOnly)).path("latents");
  const embeds = (index: number): Uint8Array => encodeSafetensors({ image_embeds: golden.float32(`clip${index}_embeds`) });
  return {
    image_latents: await latents(0, true),
    ref0_latents: await latents(1, false),
    ref0_first_latents: await latents(2, true),
    image_embeds: embeds(0),
    ref0_image_embeds: embeds(1),
  };
}

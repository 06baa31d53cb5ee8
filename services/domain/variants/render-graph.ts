/**
 * The graph of one render as data: what a variant writes down and the planner reads.
 *
 * A node is one task for the render, or one for each of its references. `denoise` and `vae_decode` are every variant's last two tasks and no
 * nodes: what differs is what `denoise` takes. Node names are unique within a graph; a node takes only what nodes before it give.
 */
import type { EngineName } from "../stage.ts";

/** What a stage is asked for, beside its inputs. */
export type NodeWork =
  | {
      readonly stage: "prepare";
      readonly media: "image" | "reference";
      /** Every frame of the model, or the first alone. */
      readonly frames: "all" | "first";
      /** To the model's size, or to what CLIP reads. */
      readonly fit: "model" | "clip";
    }
  | { readonly stage: "text_encode"; readonly text: "prompt" | "negative_prompt" | "reference_prompt" }
  | { readonly stage: "vae_encode"; readonly firstFrameOnly: boolean }
  | { readonly stage: "clip_encode" };

/** An input of a task: an output of the node that is named, of the same reference if both are a reference's. */
export type NodeInput = { readonly name: string; readonly node: string; readonly output: string };

export type GraphNode = {
  readonly name: string;
  readonly per: "render" | "reference";
  /** What the task is in the render; of a reference's node, what follows "reference 1". */
  readonly label: string;
  /** Absent where the stage needs none. */
  readonly engine?: EngineName;
  readonly work: NodeWork;
  readonly inputs: readonly NodeInput[];
};

/** An input of `denoise`: `name`, or `ref{k}_{name}` for each reference k. */
export type DenoiseInput = NodeInput & {
  readonly per: "render" | "reference";
  /** The tensor within the file, float32. */
  readonly tensor: string;
  /** Of the negative prompt: unread when the model runs on the positive one alone. */
  readonly isForGuidance?: true;
};

export type RenderGraph = { readonly nodes: readonly GraphNode[]; readonly denoise: readonly DenoiseInput[] };

/** Name of an input of `denoise`; `reference` is its number from 0, where it is a reference's. */
export function denoiseInputName({ per, name }: Pick<DenoiseInput, "per" | "name">, reference: number): string {
  return per === "render" ? name : `ref${reference}_${name}`;
}

/** Media → pixels: no engine. */
export function prepareNode(name: string, label: string, work: Omit<Extract<NodeWork, { stage: "prepare" }>, "stage">): GraphNode {
  const per = work.media === "image" ? "render" : "reference";
  return { name, per, label, work: { stage: "prepare", ...work }, inputs: [] };
}

/** Pixels of another node → what the engine makes of them. */
export function pixelNode(name: string, pixels: string, rest: Pick<GraphNode, "per" | "label" | "engine" | "work">): GraphNode {
  return { name, ...rest, inputs: [{ name: "pixels", node: pixels, output: "pixels" }] };
}

function textNode(per: GraphNode["per"], label: string, work: { readonly name: string; readonly text: TextSource }): GraphNode {
  return { name: work.name, per, label, engine: "text_encode", work: { stage: "text_encode", text: work.text }, inputs: [] };
}

type TextSource = Extract<NodeWork, { stage: "text_encode" }>["text"];

/** The two prompts of the render and the two of each reference, which every variant reads. */
export const promptNodes = {
  render: [
    textNode("render", "prompt", { name: "prompt", text: "prompt" }),
    textNode("render", "negative prompt", { name: "negative_prompt", text: "negative_prompt" }),
  ],
  reference: [
    textNode("reference", "prompt", { name: "reference_prompt", text: "reference_prompt" }),
    textNode("reference", "negative prompt", { name: "reference_negative_prompt", text: "negative_prompt" }),
  ],
} as const;

const embeds = { output: "embeds", tensor: "prompt_embeds" } as const;

/** What `denoise` takes of them. */
export const promptInputs: readonly DenoiseInput[] = [
  { per: "render", name: "prompt_embeds", node: "prompt", ...embeds },
  { per: "render", name: "negative_prompt_embeds", node: "negative_prompt", ...embeds, isForGuidance: true },
  { per: "reference", name: "prompt_embeds", node: "reference_prompt", ...embeds },
  { per: "reference", name: "negative_prompt_embeds", node: "reference_negative_prompt", ...embeds, isForGuidance: true },
];

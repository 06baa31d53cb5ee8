/**
 * What a variant of Video-As-Prompt is: everything in which one released model differs from another, in one value.
 *
 * Whatever is not here is shared. A new variant is a folder beside `cogvideox/` and `wan/` and a line in `registry.ts`.
 */
import type { EngineName } from "../stage.ts";
import type { Float32Tensor } from "../tensors/tensor.ts";
import type { GuidanceForm } from "../vap/guidance.ts";
import type { SchedulerFamily } from "../vap/schedulers/scheduler.ts";
import type { RenderGraph } from "./render-graph.ts";

/** Extents of a model's latents. */
export type LatentSize = { readonly channels: number; readonly frames: number; readonly height: number; readonly width: number };

/** What the arithmetic around a model's engines needs to know of it. */
export type ModelSizes = {
  readonly latent: LatentSize;
  readonly vae: {
    readonly scalingFactor: number;
    /** From the VAE's config: where true, the reference does not scale the latents of single frames at all. */
    readonly invertScaleLatents: boolean;
  };
  /** Tokens and width of a prompt's embedding. */
  readonly text: { readonly maxTokens: number; readonly width: number };
  /** Tokens and width of an image's embedding; absent where no image is read by CLIP. */
  readonly clip?: { readonly tokens: number; readonly width: number } | undefined;
};

/** What `denoise` begins from. */
export type DenoiseRequest = {
  readonly model: ModelSizes;
  readonly references: number;
  /** Whether the model is asked about the negative prompt too. */
  readonly isGuided: boolean;
  /** An input by its name, e.g. `ref0_moments`; a missing one is STAGE_INPUT_INVALID. */
  readonly input: (name: string) => Float32Tensor;
  /** Draws float32 [count] from the render's generator. */
  readonly draw: (count: number) => Float32Array;
};

/** What the model sees in a step beside latents and timestep: constant over the steps, one set for each call. */
export type DenoiseCalls = readonly Readonly<Record<string, Float32Tensor>>[];

export type Variant = {
  /** As in farm.json. */
  readonly name: string;
  /** Engines that every model of the variant has. */
  readonly engines: readonly EngineName[];
  readonly graph: RenderGraph;
  readonly maxReferences: number;
  /** Width and height in pixels divide by it. */
  readonly sizeMultiple: number;
  readonly hasDynamicGuidance: boolean;
  /** How a step asks the model about two prompts. */
  readonly guidance: GuidanceForm;
  /** How a single frame is encoded: as a clip of one frame, or as the first of a clip whose other frames are mid-grey. */
  readonly singleFrame: "alone" | "padded";
  /** Reads scheduler_config.json; one that the variant has no arithmetic for is MODEL_INVALID. */
  schedulers(config: unknown): SchedulerFamily;
  /** [1,T,C,h,w] or [1,C,T,h,w]. */
  latentShape(size: LatentSize): readonly number[];
  /** Draws and lays out a render's inputs, in the reference's order of draws; wrong shapes are STAGE_INPUT_INVALID. */
  begin(request: DenoiseRequest): { readonly latents: Float32Tensor; readonly calls: DenoiseCalls };
  /** Latents after the last step → the VAE decoder's input [1,C,T,h,w]. */
  decoderInput(latents: Float32Tensor, model: Pick<ModelSizes, "vae">): Float32Tensor;
};

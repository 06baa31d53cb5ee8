/**
 * farm.json, the manifest of one exported model: parsed, checked against itself, in camelCase.
 *
 * Invariants of a `ModelManifest`: paths stay inside the model's folder, each engine's digest is the hash of what the engine really
 * relies on (recomputed here), and the sizes of pixels and latents fit together as far as one manifest can tell.
 */
import { z } from "zod";
import { toFarmError } from "../../domain/errors.ts";
import type { EngineName, StageName } from "../../domain/stage.ts";
import type { PromptCleaning } from "../../domain/text/prompt-cleaning.ts";
import { type VariantName, variantOf } from "../../domain/variants/registry.ts";
import type { LatentSize } from "../../domain/variants/variant.ts";
import type { SchedulerFamily } from "../../domain/vap/schedulers/scheduler.ts";
import { engineDigests } from "./engine-digest.ts";
import { invalid, requireFit } from "./manifest-fit.ts";
import { type EngineJson, type ManifestJson, manifestSchema } from "./manifest-schema.ts";

export type TensorPort = {
  readonly name: string;
  readonly dtype: "float32" | "int64";
  /** -1 where the extent is dynamic. */
  readonly shape: readonly number[];
};

export type EngineFile = { readonly path: string; readonly bytes: number; readonly sha256: string };

export type Engine = {
  readonly name: string;
  /** `score`: of a metric, which its stage names. */
  readonly stage: StageName | "score";
  /** ONNX file, relative to the model's folder. */
  readonly path: string;
  readonly precision: string;
  readonly files: readonly EngineFile[];
  /** What pre- and postprocessing rely on; part of the digest. */
  readonly constants: Readonly<Record<string, unknown>>;
  readonly digest: string;
  readonly inputs: readonly TensorPort[];
  readonly outputs: readonly TensorPort[];
  /** Estimate of weights and activations together. */
  readonly memoryBytes: number;
};

/** How an image becomes what the CLIP engine reads, and what that gives. */
export type ClipManifest = {
  /** P and D of an image's embedding [1,P,D]. */
  readonly tokens: number;
  readonly width: number;
  /** Pixels. */
  readonly shortestEdge: number;
  readonly cropHeight: number;
  readonly cropWidth: number;
  /** Of each channel, after the bytes were multiplied by `rescale`. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly rescale: number;
};

export type ModelManifest = {
  /** Absolute folder that the manifest was read from. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly variant: VariantName;
  readonly weights: "random" | "trained";
  readonly height: number;
  readonly width: number;
  readonly frames: number;
  readonly fps: number;
  readonly maxReferences: number;
  readonly latent: LatentSize;
  readonly vae: { readonly scalingFactor: number; readonly invertScaleLatents: boolean };
  readonly text: {
    readonly maxTokens: number;
    readonly width: number;
    readonly padId: number;
    readonly eosId: number;
    /** What is done to a prompt before it is tokenized. */
    readonly cleaning: PromptCleaning;
  };
  /** Absent where the variant reads no image by CLIP. */
  readonly clip?: ClipManifest;
  /** What scheduler_config.json says: nothing in it is unknown to domain/vap. */
  readonly schedulers: SchedulerFamily;
  /** Tokenizer file, relative to the model's folder. */
  readonly tokenizer: string;
  readonly defaults: {
    readonly steps: number;
    readonly guidanceScale: number;
    readonly dynamicGuidance: boolean;
    readonly negativePrompt: string;
  };
  readonly engines: Readonly<Record<string, Engine>>;
};

/** Reads a manifest's text; MODEL_INVALID names the field and the reason. */
export function parseManifest(text: string, folder: string): ModelManifest {
  const json = manifestSchema.safeParse(parseJson(text, folder));
  if (!json.success) throw invalid(folder, z.prettifyError(json.error));
  const { data } = json;
  const schedulers = schedulersOf(data, folder);
  const digests = engineDigests(text);
  const engines = enginesFrom(data.engines, { folder, digests });
  requireFit(data, folder);
  const { max_tokens: maxTokens, pad_id: padId, eos_id: eosId, ...otherText } = data.text;
  return {
    folder,
    ...pick(data),
    maxReferences: data.max_references,
    vae: { scalingFactor: data.vae.scaling_factor, invertScaleLatents: data.vae.invert_scale_latents },
    text: { ...otherText, maxTokens, padId, eosId },
    ...(data.clip === undefined ? {} : { clip: clipFrom(data.clip) }),
    schedulers,
    defaults: {
      steps: data.defaults.steps,
      guidanceScale: data.defaults.guidance_scale,
      dynamicGuidance: data.defaults.dynamic_guidance,
      negativePrompt: data.defaults.negative_prompt,
    },
    engines,
  };
}

/** What is called the same in both. */
function pick({ name, version, variant, weights, height, width, frames, fps, latent, tokenizer }: ManifestJson) {
  return { name, version, variant, weights, height, width, frames, fps, latent, tokenizer };
}

function clipFrom(clip: NonNullable<ManifestJson["clip"]>): ClipManifest {
  const { embed_width: width, shortest_edge: shortestEdge, crop_height: cropHeight, crop_width: cropWidth, ...rest } = clip;
  return { ...rest, width, shortestEdge, cropHeight, cropWidth };
}

/** An engine that every model has; `parseManifest` made sure of it. */
export function engineOf(manifest: ModelManifest, name: EngineName): Engine {
  const engine = manifest.engines[name];
  if (engine === undefined) throw invalid(manifest.folder, `engine ${name} is missing`);
  return engine;
}

/** The JSON of a farm.json; MODEL_INVALID when it is none. */
export function parseJson(text: string, folder: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(folder, "farm.json is no JSON", cause);
  }
}

function schedulersOf({ variant, scheduler }: ManifestJson, folder: string): SchedulerFamily {
  try {
    return variantOf(variant).schedulers(scheduler);
  } catch (cause) {
    throw invalid(folder, toFarmError(cause).message, cause);
  }
}

/** Engines by name, each digest recomputed and held against what the manifest states. */
export function enginesFrom(
  engines: Readonly<Record<string, EngineJson>>,
  context: Omit<EngineContext, "name">,
): Readonly<Record<string, Engine>> {
  return Object.fromEntries(Object.entries(engines).map(([name, engine]) => [name, engineFrom({ name, ...context }, engine)] as const));
}

type EngineContext = { readonly name: string; readonly folder: string; readonly digests: ReadonlyMap<string, string> };

function engineFrom({ name, folder, digests }: EngineContext, engine: EngineJson): Engine {
  if (!engine.files.some(({ path }) => path === engine.path)) throw invalid(folder, `engine ${name} does not list its own ${engine.path}`);
  const { memory_bytes: memoryBytes, ...rest } = engine;
  const digest = digests.get(name);
  if (digest !== engine.digest) throw invalid(folder, `engine ${name} has digest ${digest ?? "none"}, its manifest says ${engine.digest}`);
  return { name, ...rest, memoryBytes };
}

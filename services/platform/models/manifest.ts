/**
 * farm.json, the manifest of one exported model: parsed, checked against itself, in camelCase.
 *
 * Invariants of a `ModelManifest`: paths stay inside the model's folder, each engine's digest is the hash of what the engine really
 * relies on (recomputed here), and the sizes of pixels and latents fit together as far as one manifest can tell.
 */
import { z } from "zod";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type EngineName, stageOfEngine, type StageName } from "../../domain/stage.ts";
import { type VariantName, variantNames, variantOf } from "../../domain/variants/registry.ts";
import type { LatentSize } from "../../domain/variants/variant.ts";
import type { SchedulerFamily } from "../../domain/vap/schedulers/scheduler.ts";
import { engineDigests } from "./engine-digest.ts";

export type TensorPort = {
  readonly name: string;
  readonly dtype: "float32" | "int64";
  /** -1 where the extent is dynamic. */
  readonly shape: readonly number[];
};

export type EngineFile = { readonly path: string; readonly bytes: number; readonly sha256: string };

export type Engine = {
  readonly name: string;
  readonly stage: StageName;
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
    readonly cleaning: "none" | "wan";
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

const count = z.number().int().positive();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex");
const innerPath = z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "must stay inside the model's folder");
const port = z.object({ name: z.string().min(1), dtype: z.enum(["float32", "int64"]), shape: z.array(z.number().int().min(-1)) });
const stages = [...new Set(Object.values(stageOfEngine))];
const channels = z.array(z.number()).length(3);

const engineSchema = z.object({
  stage: z.enum(stages),
  path: innerPath,
  precision: z.string().min(1),
  files: z.array(z.object({ path: innerPath, bytes: z.number().int().nonnegative(), sha256 })).min(1),
  constants: z.record(z.string(), z.unknown()),
  digest: sha256,
  inputs: z.array(port).min(1),
  outputs: z.array(port).min(1),
  memory_bytes: z.number().int().nonnegative(),
});

const manifestSchema = z.object({
  format: z.literal(2, { error: "is not 2: export the model again" }),
  name: z.string().min(1),
  version: z.string().min(1),
  variant: z.enum(variantNames),
  weights: z.enum(["random", "trained"]),
  height: count,
  width: count,
  frames: count,
  fps: count,
  max_references: count,
  latent: z.object({ channels: count, frames: count, height: count, width: count }),
  vae: z.object({ scaling_factor: z.number().positive(), invert_scale_latents: z.boolean() }),
  text: z.object({
    max_tokens: count,
    width: count,
    pad_id: z.number().int().nonnegative(),
    eos_id: z.number().int().nonnegative(),
    cleaning: z.enum(["none", "wan"]),
  }),
  clip: z
    .object({
      tokens: count,
      embed_width: count,
      shortest_edge: count,
      crop_height: count,
      crop_width: count,
      mean: channels,
      std: channels,
      rescale: z.number().positive(),
    })
    .optional(),
  scheduler: z.record(z.string(), z.unknown()),
  tokenizer: innerPath,
  defaults: z.object({ steps: count, guidance_scale: z.number(), dynamic_guidance: z.boolean(), negative_prompt: z.string() }),
  engines: z.record(z.string(), engineSchema),
});

type EngineJson = z.output<typeof engineSchema>;

const pixelsPerLatent = 8;
const framesPerLatent = 4;

type ManifestJson = z.output<typeof manifestSchema>;

/** Reads a manifest's text; MODEL_INVALID names the field and the reason. */
export function parseManifest(text: string, folder: string): ModelManifest {
  const json = manifestSchema.safeParse(parseJson(text, folder));
  if (!json.success) throw invalid(folder, z.prettifyError(json.error));
  const { data } = json;
  requireFit(data, folder);
  const digests = engineDigests(text);
  const engines = Object.entries(data.engines).map(([name, engine]) => [name, engineFrom({ name, folder, digests }, engine)] as const);
  const { max_tokens: maxTokens, pad_id: padId, eos_id: eosId, ...otherText } = data.text;
  return {
    folder,
    ...pick(data),
    maxReferences: data.max_references,
    vae: { scalingFactor: data.vae.scaling_factor, invertScaleLatents: data.vae.invert_scale_latents },
    text: { ...otherText, maxTokens, padId, eosId },
    ...(data.clip === undefined ? {} : { clip: clipFrom(data.clip) }),
    schedulers: schedulersOf(data, folder),
    defaults: {
      steps: data.defaults.steps,
      guidanceScale: data.defaults.guidance_scale,
      dynamicGuidance: data.defaults.dynamic_guidance,
      negativePrompt: data.defaults.negative_prompt,
    },
    engines: Object.fromEntries(engines),
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

/** Holds a manifest to what its variant is. */
function requireFit(data: ManifestJson, folder: string): void {
  const { name, engines, sizeMultiple, maxReferences, hasDynamicGuidance } = variantOf(data.variant);
  const { width, height, frames, latent } = data;
  for (const engine of engines) if (data.engines[engine] === undefined) throw invalid(folder, `engine ${engine} is missing`);
  if (engines.includes("clip_encode") && data.clip === undefined) throw invalid(folder, `clip is missing, which ${name} reads images by`);
  const checks: readonly (readonly [isRight: boolean, reason: string])[] = [
    [width % sizeMultiple === 0 && height % sizeMultiple === 0, `${width}x${height} does not divide by ${sizeMultiple}`],
    [latent.width * pixelsPerLatent === width && latent.height * pixelsPerLatent === height, "latents do not have an eighth of its size"],
    [(latent.frames - 1) * framesPerLatent + 1 === frames, `${frames} frames are not those of ${latent.frames} latent frames, 4 each after the first`],
    [data.max_references <= maxReferences, `${data.max_references} references are more than ${name} takes (${maxReferences})`],
    [hasDynamicGuidance || !data.defaults.dynamic_guidance, `${name} has no dynamic guidance`],
  ];
  for (const [isRight, reason] of checks) if (!isRight) throw invalid(folder, reason);
}

/** An engine that every model has; `parseManifest` made sure of it. */
export function engineOf(manifest: ModelManifest, name: EngineName): Engine {
  const engine = manifest.engines[name];
  if (engine === undefined) throw invalid(manifest.folder, `engine ${name} is missing`);
  return engine;
}

function parseJson(text: string, folder: string): unknown {
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

type EngineContext = { readonly name: string; readonly folder: string; readonly digests: ReadonlyMap<string, string> };

function engineFrom({ name, folder, digests }: EngineContext, engine: EngineJson): Engine {
  if (!engine.files.some(({ path }) => path === engine.path)) throw invalid(folder, `engine ${name} does not list its own ${engine.path}`);
  const { memory_bytes: memoryBytes, ...rest } = engine;
  const digest = digests.get(name);
  if (digest !== engine.digest) throw invalid(folder, `engine ${name} has digest ${digest ?? "none"}, its manifest says ${engine.digest}`);
  return { name, ...rest, memoryBytes };
}

function invalid(folder: string, reason: string, cause?: unknown): FarmError {
  return new FarmError("MODEL_INVALID", { message: `model ${folder}: ${reason}`, details: { folder }, cause });
}

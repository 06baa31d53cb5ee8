/**
 * farm.json, the manifest of one exported model: parsed, checked against itself, in camelCase.
 *
 * Invariants of a `ModelManifest`: paths stay inside the model's folder, each engine's digest is the hash of what the engine really
 * relies on (recomputed here), and the sizes of pixels and latents fit together as far as one manifest can tell.
 */
import { z } from "zod";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { StageName } from "../../domain/stage.ts";
import { parseSchedulerConfig } from "../../domain/vap/scheduler-config.ts";
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

export type LatentSize = { readonly channels: number; readonly frames: number; readonly height: number; readonly width: number };

export type ModelManifest = {
  /** Absolute folder that the manifest was read from. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly variant: "cogvideox";
  readonly weights: "random" | "trained";
  readonly height: number;
  readonly width: number;
  readonly frames: number;
  readonly fps: number;
  readonly maxReferences: number;
  readonly latent: LatentSize;
  readonly vae: { readonly scalingFactor: number; readonly invertScaleLatents: boolean };
  readonly text: { readonly maxTokens: number; readonly width: number; readonly padId: number; readonly eosId: number };
  /** scheduler_config.json as it is; domain/vap reads it, and has found nothing that it does not know. */
  readonly scheduler: Readonly<Record<string, unknown>>;
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
const stages = ["text_encode", "vae_encode", "denoise", "vae_decode"] as const satisfies readonly StageName[];

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
  format: z.literal(1),
  name: z.string().min(1),
  version: z.string().min(1),
  variant: z.literal("cogvideox"),
  weights: z.enum(["random", "trained"]),
  height: count,
  width: count,
  frames: count,
  fps: count,
  max_references: count,
  latent: z.object({ channels: count, frames: count, height: count, width: count }),
  vae: z.object({ scaling_factor: z.number().positive(), invert_scale_latents: z.boolean() }),
  text: z.object({ max_tokens: count, width: count, pad_id: z.number().int().nonnegative(), eos_id: z.number().int().nonnegative() }),
  scheduler: z.record(z.string(), z.unknown()),
  tokenizer: innerPath,
  defaults: z.object({ steps: count, guidance_scale: z.number(), dynamic_guidance: z.boolean(), negative_prompt: z.string() }),
  engines: z.record(z.string(), engineSchema),
});

type EngineJson = z.output<typeof engineSchema>;

/** Engines that every model of the CogVideoX variant has. */
export const engineNames = ["text_encode", "vae_encode_image", "vae_encode", "denoise", "vae_decode"] as const;
export type EngineName = (typeof engineNames)[number];

/** Reads a manifest's text; MODEL_INVALID names the field and the reason. */
export function parseManifest(text: string, folder: string): ModelManifest {
  const json = manifestSchema.safeParse(parseJson(text, folder));
  if (!json.success) throw invalid(folder, z.prettifyError(json.error));
  const { data } = json;
  for (const name of engineNames) if (data.engines[name] === undefined) throw invalid(folder, `engine ${name} is missing`);
  checkScheduler(data.scheduler, folder);
  const digests = engineDigests(text);
  const engines = Object.entries(data.engines).map(([name, engine]) => [name, engineFrom({ name, folder, digests }, engine)] as const);
  return {
    folder,
    name: data.name,
    version: data.version,
    variant: data.variant,
    weights: data.weights,
    height: data.height,
    width: data.width,
    frames: data.frames,
    fps: data.fps,
    maxReferences: data.max_references,
    latent: data.latent,
    vae: { scalingFactor: data.vae.scaling_factor, invertScaleLatents: data.vae.invert_scale_latents },
    text: { maxTokens: data.text.max_tokens, width: data.text.width, padId: data.text.pad_id, eosId: data.text.eos_id },
    scheduler: data.scheduler,
    tokenizer: data.tokenizer,
    defaults: {
      steps: data.defaults.steps,
      guidanceScale: data.defaults.guidance_scale,
      dynamicGuidance: data.defaults.dynamic_guidance,
      negativePrompt: data.defaults.negative_prompt,
    },
    engines: Object.fromEntries(engines),
  };
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

function checkScheduler(scheduler: unknown, folder: string): void {
  try {
    parseSchedulerConfig(scheduler);
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

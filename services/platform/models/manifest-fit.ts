/**
 * Whether the parts of a manifest fit together: sizes, the variant's limits, and what engines were exported with.
 *
 * Runtime and planner read sizes, text, CLIP and scheduler from the top of farm.json, while content keys hold engine digests only: what is
 * read there must be what the digests cover, or old results would be taken for new.
 */
import { isDeepStrictEqual } from "node:util";
import { FarmError } from "../../domain/errors.ts";
import { type EngineName, stageOfEngine } from "../../domain/stage.ts";
import { variantOf } from "../../domain/variants/registry.ts";
import { wrongPort } from "./engine-ports.ts";
import type { ManifestJson } from "./manifest-schema.ts";

const pixelsPerLatent = 8;
const framesPerLatent = 4;

/** Holds a manifest to what its variant is, and to what its engines were exported with; MODEL_INVALID says what does not fit. */
export function requireFit(data: ManifestJson, folder: string): void {
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
    [cropEdge(data) <= (data.clip?.shortest_edge ?? Infinity), "clip cuts more out of a picture than its shortest edge has"],
  ];
  for (const [isRight, reason] of checks) if (!isRight) throw invalid(folder, reason);
  for (const [engine, stage] of Object.entries(stageOfEngine)) {
    const stated = data.engines[engine]?.stage ?? stage;
    if (stated !== stage) throw invalid(folder, `engine ${engine} is one of stage ${stage}, not of ${stated}`);
  }
  const wrong = wrongPort(data);
  if (wrong !== undefined) throw invalid(folder, wrong);
  requireCovered(data, folder);
}

function cropEdge({ clip }: ManifestJson): number {
  return Math.max(clip?.crop_height ?? 0, clip?.crop_width ?? 0);
}

/** What results rely on stands among an engine's constants, which its digest covers; here it must say the same. */
function requireCovered({ engines, text, clip, scheduler, vae, max_references: maxReferences }: ManifestJson, folder: string): void {
  const { max_tokens, pad_id, eos_id, cleaning } = text;
  const copies: readonly (readonly [engine: EngineName, values: Readonly<Record<string, unknown>>])[] = [
    ["text_encode", { max_tokens, pad_id, eos_id, cleaning }],
    ["denoise", { scheduler, max_references: maxReferences }],
    ...(clip === undefined ? [] : [["clip_encode", { clip }] as const]),
    ...(["denoise", "vae_decode"] as const).map((engine) => [engine, "scaling_factor" in (engines[engine]?.constants ?? {}) ? vae : {}] as const),
  ];
  for (const [engine, values] of copies) {
    for (const [key, value] of Object.entries(values)) {
      const covered = engines[engine]?.constants[key];
      if (isDeepStrictEqual(covered, value)) continue;
      throw invalid(folder, `${key} is not what engine ${engine} was exported with`);
    }
  }
}

/** A manifest that is refused: MODEL_INVALID, with its folder. */
export function invalid(folder: string, reason: string, cause?: unknown): FarmError {
  return new FarmError("MODEL_INVALID", { message: `model ${folder}: ${reason}`, details: { folder }, cause });
}

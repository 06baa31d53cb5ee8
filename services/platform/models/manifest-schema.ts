/**
 * The form of farm.json, format 2: what may stand in each field, one by one.
 */
import { z } from "zod";
import { promptCleaningNames } from "../../domain/text/prompt-cleaning.ts";
import { stageOfEngine } from "../../domain/stage.ts";
import { variantNames } from "../../domain/variants/registry.ts";

const count = z.number().int().positive();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex");
const innerPath = z.string().regex(/^(?!\/)(?!.*(^|\/)\.\.(\/|$)).+$/, "must stay inside the model's folder");
const port = z.object({ name: z.string().min(1), dtype: z.enum(["float32", "int64"]), shape: z.array(z.number().int().min(-1)) });
const stages = [...new Set(Object.values(stageOfEngine))];
const channels = z.array(z.number()).length(3);
// Names stand in file names, URLs, subjects and tables; the exporter holds to the same.
const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "must be up to 100 letters, digits, '.', '_' or '-', the first no sign");

const engineFields = {
  path: innerPath,
  precision: z.string().min(1),
  files: z.array(z.object({ path: innerPath, bytes: z.number().int().nonnegative(), sha256 })).min(1),
  constants: z.record(z.string(), z.unknown()),
  digest: sha256,
  inputs: z.array(port).min(1),
  outputs: z.array(port).min(1),
  memory_bytes: z.number().int().nonnegative(),
};
const engineSchema = z.object({ stage: z.enum(stages), ...engineFields });
const metricEngineSchema = z.object({ stage: z.literal("score"), ...engineFields });
const format = z.literal(2, { error: "is not 2: export the model again" });

/** A repository of metric networks, as `vapfarm-export metrics` writes it; engines that no metric of this release reads are let be. */
export const metricsSchema = z.object({
  format,
  kind: z.literal("metrics"),
  name: label,
  version: label,
  weights: z.enum(["random", "trained"]),
  engines: z.record(z.string(), metricEngineSchema),
});

/** As `vapfarm-export` writes it. */
export const manifestSchema = z.object({
  format,
  name: label,
  version: label,
  variant: z.enum(variantNames),
  weights: z.enum(["random", "trained"]),
  height: count,
  width: count,
  frames: count,
  fps: count.max(240),
  max_references: count,
  latent: z.object({ channels: count, frames: count, height: count, width: count }),
  vae: z.object({ scaling_factor: z.number().positive(), invert_scale_latents: z.boolean() }),
  text: z.object({
    max_tokens: count,
    width: count,
    pad_id: z.number().int().nonnegative(),
    eos_id: z.number().int().nonnegative(),
    cleaning: z.enum(promptCleaningNames),
  }),
  clip: z
    .object({
      tokens: count,
      embed_width: count,
      shortest_edge: count,
      crop_height: count,
      crop_width: count,
      mean: channels,
      std: z.array(z.number().positive()).length(3),
      rescale: z.number().positive(),
    })
    .optional(),
  scheduler: z.record(z.string(), z.unknown()),
  tokenizer: innerPath,
  defaults: z.object({ steps: count, guidance_scale: z.number(), dynamic_guidance: z.boolean(), negative_prompt: z.string().regex(/^[^\0]*$/, "must not hold a NUL") }),
  engines: z.record(z.string(), engineSchema),
});

/** A manifest whose form is right. */
export type ManifestJson = z.output<typeof manifestSchema>;
/** An engine of it, or of a repository of metric networks. */
export type EngineJson = z.output<typeof engineSchema> | z.output<typeof metricEngineSchema>;

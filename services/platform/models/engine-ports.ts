/**
 * What goes into a model's engines and comes out of them, by the sizes that its manifest states.
 *
 * Files and digests say nothing of shapes: an engine exported for another size would pass both, and fail in the middle of a render.
 */
import { isDeepStrictEqual } from "node:util";
import type { EngineName } from "../../domain/stage.ts";
import { variantOf } from "../../domain/variants/registry.ts";
import type { ManifestJson } from "./manifest-schema.ts";

type PortShape = readonly [engine: EngineName, side: "inputs" | "outputs", port: string, shape: readonly number[]];

/** The ports that are alike in every variant; others are between an engine and the variant that it was exported for. */
function portShapes({ variant, width, height, frames, latent, text, clip }: ManifestJson): readonly PortShape[] {
  const video = [1, 3, frames, height, width];
  const embedding = [1, text.max_tokens, text.width];
  return [
    ["text_encode", "inputs", "input_ids", [1, text.max_tokens]],
    ["text_encode", "outputs", "prompt_embeds", embedding],
    ["vae_encode_image", "inputs", "pixels", [1, 3, 1, height, width]],
    ["vae_encode", "inputs", "pixels", video],
    ["denoise", "inputs", "latents", variantOf(variant).latentShape(latent)],
    ["vae_decode", "inputs", "latents", [1, latent.channels, latent.frames, latent.height, latent.width]],
    ["vae_decode", "outputs", "frames", video],
    ...(clip === undefined
      ? []
      : ([
          ["clip_encode", "inputs", "pixels", [1, 3, clip.crop_height, clip.crop_width]],
          ["clip_encode", "outputs", "image_embeds", [1, clip.tokens, clip.embed_width]],
        ] as const)),
  ];
}

/** What is wrong with the first port that has another shape than the manifest's sizes give it; undefined where all fit. */
export function wrongPort(data: ManifestJson): string | undefined {
  for (const [engine, side, port, shape] of portShapes(data)) {
    const stated = data.engines[engine];
    if (stated === undefined) continue;
    const found = stated[side].find(({ name }) => name === port);
    if (found === undefined) return `engine ${engine} has no ${port} among its ${side}`;
    if (!isDeepStrictEqual(found.shape, shape)) return `engine ${engine} has ${port} of [${found.shape.join()}], not [${shape.join()}]`;
  }
  return undefined;
}

/**
 * Video-As-Prompt on CogVideoX-5B-I2V (spec §1.1): up to three references, a stochastic VAE, guidance in one call of two rows.
 */
import { latentsToDecoderInput } from "../../vap/moments.ts";
import { parseCogvideoxFamily } from "../../vap/schedulers/cogvideox-family.ts";
import type { Variant } from "../variant.ts";
import { beginCogvideox, cogvideoxLatentShape } from "./begin.ts";
import { cogvideoxGraph } from "./graph.ts";

/** Video-As-Prompt on CogVideoX-5B. */
export const cogvideox: Variant = {
  name: "cogvideox",
  engines: ["text_encode", "vae_encode_image", "vae_encode", "denoise", "vae_decode"],
  graph: cogvideoxGraph,
  maxReferences: 3,
  sizeMultiple: 8,
  hasDynamicGuidance: true,
  guidance: "rows",
  singleFrame: "alone",
  schedulers: parseCogvideoxFamily,
  latentShape: cogvideoxLatentShape,
  begin: beginCogvideox,
  decoderInput: (latents, { vae }) => latentsToDecoderInput(latents, vae.scalingFactor),
};

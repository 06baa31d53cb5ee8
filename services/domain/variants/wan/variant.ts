/**
 * Video-As-Prompt on Wan2.1-I2V-14B (spec §1.2): one reference, a deterministic VAE that normalises its latents itself, images read by CLIP,
 * guidance in two calls.
 */
import { parseFlowFamily } from "../../vap/schedulers/flow-config.ts";
import type { Variant } from "../variant.ts";
import { beginWan, wanLatentShape } from "./begin.ts";
import { wanGraph } from "./graph.ts";

/** Video-As-Prompt on Wan2.1-14B. */
export const wan: Variant = {
  name: "wan",
  engines: ["text_encode", "clip_encode", "vae_encode", "denoise", "vae_decode"],
  graph: wanGraph,
  maxReferences: 1,
  sizeMultiple: 16,
  hasDynamicGuidance: false,
  guidance: "calls",
  singleFrame: "padded",
  schedulers: parseFlowFamily,
  latentShape: wanLatentShape,
  begin: beginWan,
  decoderInput: (latents) => latents,
};

/**
 * vae_decode: latents float32, as denoise leaves them → uint8 frames [F,H,W,3], as mp4 and or as a tensor file.
 *
 * The mp4 is made by this task because frames are too large to travel (design §6); it is encoded after the slot was let go.
 */
import { requireFloat32, requireShape, type Uint8Tensor } from "../../../domain/tensors/tensor.ts";
import { variantOf } from "../../../domain/variants/registry.ts";
import { vaeOutputToPixels } from "../../../domain/vap/pixels.ts";
import type { VaeDecodeWork } from "../stage-run.ts";
import { runEngineOnce } from "./run-engine-once.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** Decodes, clamps and rounds (spec §1.1.7, §1.2.7), into what was asked for. */
export async function vaeDecode(context: StageContext, { outputs }: VaeDecodeWork): Promise<readonly StageMade[]> {
  const frames = await decodeFrames(context);
  const made: StageMade[] = [];
  if (outputs.includes("frames")) made.push(tensorsMade("frames", { frames }));
  if (outputs.includes("mp4")) {
    const { fps } = await context.model();
    made.push({ kind: "mp4", name: "mp4", frames, fps, ffmpegPath: await context.ffmpegPath() });
  }
  return made;
}

async function decodeFrames(context: StageContext): Promise<Uint8Tensor> {
  const model = await context.model();
  const tensors = await context.inputTensors("latents");
  const latents = requireFloat32("latents", tensors.get("latents"));
  const variant = variantOf(model.variant);
  requireShape("latents", latents, variant.latentShape(model.latent));
  const { tensor } = await runEngineOnce(context, "vae_decode", () => ({ latents: variant.decoderInput(latents, model) }));
  return vaeOutputToPixels(tensor);
}

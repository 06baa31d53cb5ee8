/**
 * vae_encode: frames → what the VAE's encoder says of them. Input "pixels": uint8 [F,H,W,3]; the output has the engine's name: "moments"
 * float32 [1,2C,t,h,w] of a stochastic encoder, whose draw happens in denoise (design §6), "latents" [1,C,T,h,w] of a deterministic one.
 */
import { FarmError } from "../../../domain/errors.ts";
import { requireUint8, type Uint8Tensor } from "../../../domain/tensors/tensor.ts";
import { variantOf } from "../../../domain/variants/registry.ts";
import { firstFrame, pixelsToVaeInput } from "../../../domain/vap/pixels.ts";
import type { VaeEncodeWork } from "../stage-run.ts";
import { runEngineOnce } from "./run-engine-once.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** A single frame is encoded apart, not as frame 0 of the clip (spec §1.1.5, §1.2.5). */
export async function vaeEncode(context: StageContext, work: VaeEncodeWork): Promise<readonly StageMade[]> {
  const tensors = await context.inputTensors("pixels");
  const clip = requireUint8("pixels", tensors.get("pixels"));
  const model = await context.model();
  const { singleFrame } = variantOf(model.variant);
  const isAlone = work.firstFrameOnly || clip.shape[0] === 1;
  const pixels = isAlone ? firstFrame(clip) : clip;
  const [engine, frames] =
    isAlone && singleFrame === "alone" ? (["vae_encode_image", 1] as const) : (["vae_encode", model.frames] as const);
  requireLength(pixels, isAlone ? 1 : frames);
  const { name, tensor } = await runEngineOnce(context, engine, () => ({ pixels: pixelsToVaeInput(pixels, frames) }));
  return [tensorsMade(name, { [name]: tensor })];
}

function requireLength({ shape }: Uint8Tensor, frames: number): void {
  if (shape[0] === frames) return;
  throw new FarmError("STAGE_INPUT_INVALID", { message: `a clip of ${shape[0] ?? 0} frames, the model encodes ${frames}` });
}

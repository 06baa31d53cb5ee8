/**
 * clip_encode: one frame as CLIP sees it → its embedding. Input "pixels": uint8 [1,H,W,3]; output "image_embeds": float32 [1,P,D].
 *
 * The frame was cut out of the picture at its own size, not of what the VAE sees (spec §1.2.4).
 */
import { FarmError } from "../../../domain/errors.ts";
import { requireUint8 } from "../../../domain/tensors/tensor.ts";
import { pixelsToClipInput } from "../../../domain/vap/clip-pixels.ts";
import { runEngineOnce } from "./run-engine-once.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** Normalises as CLIP's own preprocessing does, then runs all but CLIP's last layer. */
export async function clipEncode(context: StageContext): Promise<readonly StageMade[]> {
  const { clip } = await context.model();
  if (clip === undefined) throw new FarmError("STAGE_INPUT_INVALID", { message: "the model reads no image by CLIP" });
  const pixels = requireUint8("pixels", (await context.inputTensors("pixels")).get("pixels"));
  const { name, tensor } = await runEngineOnce(context, "clip_encode", () => ({ pixels: pixelsToClipInput(pixels, clip) }));
  return [tensorsMade(name, { [name]: tensor })];
}

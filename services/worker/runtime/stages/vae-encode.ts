/**
 * vae_encode: frames → moments of the latent distribution. Input "pixels": uint8 [F,H,W,3]; output "moments": float32 [1,2C,t,h,w].
 *
 * The encoder is stochastic, so moments are kept and the draw happens in denoise (design §6).
 */
import { requireFloat32, requireUint8 } from "../../../domain/tensors/tensor.ts";
import { firstFrame, pixelsToVaeInput } from "../../../domain/vap/pixels.ts";
import type { StageOutputFile, VaeEncodeWork } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";

/** A single frame has an engine of its own: it is encoded apart, not as frame 0 of a clip (spec §1.1.5). */
export async function vaeEncode(context: StageContext, work: VaeEncodeWork): Promise<readonly StageOutputFile[]> {
  const tensors = await context.inputTensors("pixels");
  const clip = requireUint8("pixels", tensors.get("pixels"));
  const isImage = work.firstFrameOnly || clip.shape[0] === 1;
  const engine = await context.engine(isImage ? "vae_encode_image" : "vae_encode");
  context.progress({ phase: "encode", step: 0, steps: 1, stepMs: 0 });
  await context.checkpoint();
  const outputs = await engine.run({ pixels: pixelsToVaeInput(isImage ? firstFrame(clip) : clip) });
  context.progress({ phase: "encode", step: 1, steps: 1, stepMs: 0 });
  return [await context.writeTensors("moments", { moments: requireFloat32("moments", outputs["moments"]) })];
}

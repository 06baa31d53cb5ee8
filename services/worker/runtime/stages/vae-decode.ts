/**
 * vae_decode: latents float32, as denoise leaves them → uint8 frames [F,H,W,3], as mp4 and or as a tensor file.
 *
 * The mp4 is made here because frames are too large to travel (design §6).
 */
import { stat } from "node:fs/promises";
import { requireFloat32, requireShape, type Uint8Tensor } from "../../../domain/tensors/tensor.ts";
import { variantOf } from "../../../domain/variants/registry.ts";
import { vaeOutputToPixels } from "../../../domain/vap/pixels.ts";
import { encodeMp4 } from "../../../platform/media/encode-mp4.ts";
import type { StageOutputFile, VaeDecodeWork } from "../stage-run.ts";
import { runEngineOnce } from "./run-engine-once.ts";
import type { StageContext } from "./stage-context.ts";

/** Decodes, clamps and rounds (spec §1.1.7, §1.2.7), then writes what was asked for. */
export async function vaeDecode(context: StageContext, { outputs }: VaeDecodeWork): Promise<readonly StageOutputFile[]> {
  const frames = await decodeFrames(context);
  const files: StageOutputFile[] = [];
  if (outputs.includes("frames")) files.push(await context.writeTensors("frames", { frames }));
  if (outputs.includes("mp4")) files.push(await writeMp4(context, frames));
  return files;
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

async function writeMp4(context: StageContext, frames: Uint8Tensor): Promise<StageOutputFile> {
  const [steps = 0] = frames.shape;
  const path = context.outputPath("video.mp4");
  const { fps } = await context.model();
  const report = (step: number): void => context.progress({ phase: "mp4", step, steps, stepMs: 0 });
  report(0);
  await encodeMp4({ ffmpegPath: await context.ffmpegPath(), frames, fps, path, signal: context.signal, onFrame: report });
  return { name: "mp4", path, mediaType: "video/mp4", bytes: (await stat(path)).size };
}

/**
 * prepare: media → frames of the size that the model or CLIP reads. Input "media"; output "pixels": uint8 [frames,height,width,3].
 */
import type { PrepareWork } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** Decodes, chooses and resizes (spec §1.1.3, §1.2.4). Needs no engine. */
export async function prepare(context: StageContext, work: PrepareWork): Promise<readonly StageMade[]> {
  const { frames: count, resize, selection } = work;
  const report = (step: number): void => context.progress({ phase: "decode", step, steps: count, stepMs: 0 });
  report(0);
  const media = await context.media();
  const path = await context.inputPath("media");
  const pixels = await media.decodeFrames(path, { selection, count, resize, signal: context.signal, onFrame: report });
  return [tensorsMade("pixels", { pixels })];
}

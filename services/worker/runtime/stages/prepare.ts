/**
 * prepare: media → frames of the model's size. Input "media"; output "pixels": uint8 [frames,height,width,3].
 */
import type { PrepareWork, StageOutputFile } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";

/** Decodes, chooses and resizes (spec §1.1.3). Needs no engine. */
export async function prepare(context: StageContext, work: PrepareWork): Promise<readonly StageOutputFile[]> {
  const { frames: count, height, width, selection } = work;
  const report = (step: number): void => context.progress({ phase: "decode", step, steps: count, stepMs: 0 });
  report(0);
  const media = await context.media();
  const path = await context.inputPath("media");
  const resize = { kind: "stretch", height, width } as const;
  const pixels = await media.decodeFrames(path, { selection, count, resize, signal: context.signal, onFrame: report });
  return [await context.writeTensors("pixels", { pixels })];
}

/**
 * panels: [reference | target | result] side by side, as the reference's benchmark scripts write them (cog_vap_bench.py:111-123).
 *
 * Inputs "frames" uint8 [F,H,W,3], "reference" and "target" media, of which F frames are chosen and resized to HxW by Lanczos, as the model's
 * inputs are. Output "panels": an mp4 of 3W x H.
 */
import { FarmError } from "../../../domain/errors.ts";
import { requireUint8, uint8, type Uint8Tensor } from "../../../domain/tensors/tensor.ts";
import type { PanelsWork } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";
import type { StageMade } from "./stage-made.ts";

const channels = 3;

/** Decodes the two clips and puts the frames beside each other. */
export async function panels(context: StageContext, { selection, fps }: PanelsWork): Promise<readonly StageMade[]> {
  const result = requireUint8("frames", (await context.inputTensors("frames")).get("frames"));
  const [count = 0, height = 0, width = 0] = result.shape;
  const media = await context.media();
  const read = async (name: string, done: number): Promise<Uint8Tensor> => {
    const onFrame = (frames: number): void => context.progress({ phase: "decode", step: done + frames, steps: 2 * count, stepMs: 0 });
    const resize = { kind: "stretch", height, width } as const;
    return await media.decodeFrames(await context.inputPath(name), { selection, count, resize, signal: context.signal, onFrame });
  };
  const reference = await read("reference", 0);
  await context.hear();
  const target = await read("target", count);
  const frames = sideBySide([reference, target, result]);
  return [{ kind: "mp4", name: "panels", frames, fps, ffmpegPath: await context.ffmpegPath() }];
}

/** uint8 [F,H,W,3] each → [F,H,nW,3]. */
function sideBySide(clips: readonly Uint8Tensor[]): Uint8Tensor {
  const [count = 0, height = 0, width = 0] = clips[0]?.shape ?? [];
  const rowBytes = width * channels;
  if (clips.some(({ data }) => data.length !== count * height * rowBytes)) {
    throw new FarmError("INTERNAL", { message: "clips of different sizes cannot stand side by side" });
  }
  const data = new Uint8Array(clips.length * count * height * rowBytes);
  let offset = 0;
  for (let row = 0; row < count * height; row += 1) {
    for (const clip of clips) {
      data.set(clip.data.subarray(row * rowBytes, (row + 1) * rowBytes), offset);
      offset += rowBytes;
    }
  }
  return uint8([count, height, clips.length * width, channels], data);
}

/**
 * The stub networks that the golden values were made with (`_meta.stubs` of vbench.json), and the golden values by name.
 */
import { readFileSync } from "node:fs";
import type { AestheticHead } from "../../../services/domain/vbench/frame-scores.ts";
import type { Float32Tensor } from "../../../services/domain/tensors/tensor.ts";
import { requireFloat32 } from "../../../services/domain/tensors/tensor.ts";
import { decodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";

/** Folder of the fixtures. */
export const vbenchFixtures = new URL("../../fixtures/vbench/", import.meta.url);

export type GoldenVideo = {
  readonly video_path: string;
  readonly video_results: number | boolean;
  readonly video_sim?: number;
  readonly cnt_per_video?: number;
  readonly thres?: number;
  readonly count_num?: number;
  readonly pair_scores?: readonly number[];
};

export type GoldenDimension = { readonly set: number; readonly video: (name: string) => GoldenVideo };

/** The dimension of vbench.json whose name begins so. */
export function goldenDimension(prefix: string): GoldenDimension {
  const all = JSON.parse(readFileSync(new URL("vbench.json", vbenchFixtures), "utf8")) as Record<string, [number, GoldenVideo[]]>;
  const found = Object.entries(all).find(([name]) => name.startsWith(prefix))?.[1];
  if (found === undefined) throw new TypeError(`vbench.json has no ${prefix}`);
  return {
    set: found[0],
    video: (name) => {
      const video = found[1].find(({ video_path: path }) => path === name);
      if (video === undefined) throw new TypeError(`vbench.json has no ${name}`);
      return video;
    },
  };
}

/** Tensors of laion-aesthetic.safetensors by name. */
export function laionTensor(name: string): Float32Tensor {
  const { tensors } = decodeSafetensors(readFileSync(new URL("laion-aesthetic.safetensors", vbenchFixtures)));
  return requireFloat32(name, tensors.get(name));
}

/** LAION's real head of a CLIP. */
export function laionHead(clip: "vit_l_14" | "vit_b_32"): AestheticHead {
  return { weight: laionTensor(`${clip}.weight`).data, bias: laionTensor(`${clip}.bias`).data[0] ?? NaN };
}

/** adaptive_avg_pool2d(x, k).flatten(): float32 [1,3,H,W] → [3·k·k]. */
export function averagePool({ shape, data }: Float32Tensor, k: number): Float32Array {
  const [, channels = 0, height = 0, width = 0] = shape;
  return Float32Array.from({ length: channels * k * k }, (_, index) => {
    const rows = spanOf(Math.floor(index / k) % k, k, height);
    const columns = spanOf(index % k, k, width);
    const start = Math.floor(index / (k * k)) * height;
    let sum = 0;
    for (let row = rows.first; row < rows.end; row += 1) {
      for (let column = columns.first; column < columns.end; column += 1) sum += data[(start + row) * width + column] ?? NaN;
    }
    return sum / ((rows.end - rows.first) * (columns.end - columns.first));
  });
}

function spanOf(index: number, k: number, length: number): { readonly first: number; readonly end: number } {
  return { first: Math.floor((index * length) / k), end: Math.ceil(((index + 1) * length) / k) };
}

/** 100·mean(x²). */
export function stubImaging({ data }: Float32Tensor): number {
  let sum = 0;
  for (const value of data) sum += value * value;
  return (100 * sum) / data.length;
}

/** (a + b)/2 in float32. */
export function stubInterpolation(before: Float32Tensor, after: Float32Tensor): Float32Array {
  return before.data.map((value, index) => Math.fround(value + (after.data[index] ?? NaN)) / 2);
}

/** u = 0.5·mean over RGB of (b − a), v = −u/2; float32 [2,H,W]. */
export function stubFlow(before: Float32Tensor, after: Float32Tensor): Float32Array {
  const plane = before.data.length / 3;
  const flow = new Float32Array(2 * plane);
  for (let index = 0; index < plane; index += 1) {
    const difference = (channel: number): number =>
      Math.fround((after.data[channel * plane + index] ?? NaN) - (before.data[channel * plane + index] ?? NaN));
    const u = Math.fround(0.5 * Math.fround(Math.fround(difference(0) + difference(1) + difference(2)) / 3));
    flow[index] = u;
    flow[plane + index] = -u / 2;
  }
  return flow;
}

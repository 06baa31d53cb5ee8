/**
 * dynamic_degree: whether enough of the compared frames move enough, by RAFT's flow (vbench/dynamic_degree.py; spec vbench §1.5). Frames are OpenCV's
 * (`bt601`). Which frames are compared: `dynamicDegreeIndices`; the container's frame rate decides it.
 *
 * VBench's answer needs the number of moving pairs alone, so all pairs are scored and kept, where it may stop early. Two answers of VBench are no
 * measurements: one compared frame is never dynamic (skipped here), two always are (a value, marked). Where RAFT's coarsest correlation map is one
 * pixel wide its flow is NaN, which VBench takes for no motion; here such a clip has no value.
 */
import { FarmError } from "../errors.ts";
import type { ImageSize } from "../vap/pillow-resize.ts";
import { dynamicDegreeCount, dynamicDegreeIndices, dynamicDegreeInterval } from "./frame-indices.ts";
import { absent, type MetricExtra, type MetricOutcome } from "./metric.ts";
import { flowSize } from "./padding.ts";

export type DynamicDegreePlan = {
  readonly size: ImageSize;
  /** Decoded frames of the clip. */
  readonly frameCount: number;
  /** As the container says; 0 where it does not. */
  readonly framesPerSecond: number;
  /** Padded short side in pixels below which the network's flow is NaN: 128 for RAFT. */
  readonly minimumSide: number;
};

export type DynamicDegreeAccumulator = {
  /** Nothing needs to be computed: the outcome is known from the plan. */
  readonly known: MetricOutcome | undefined;
  /** The next pair's flow, float32 [2,H',W'] with padding: all u, then all v. Not kept. */
  push(flow: Float32Array): void;
  finish(): MetricOutcome;
};

const topShare = 0.05;

/** Takes the flows of the compared pairs in order. */
export function dynamicDegree(plan: DynamicDegreePlan): DynamicDegreeAccumulator {
  const { size, frameCount, framesPerSecond } = plan;
  const frames = dynamicDegreeIndices(frameCount, framesPerSecond).length;
  const facts: Facts = {
    thres: dynamicDegreeThreshold(size),
    count_num: dynamicDegreeCount(frames),
    frames,
    interval: dynamicDegreeInterval(framesPerSecond),
    fps: framesPerSecond,
  };
  const known = knownOutcome(plan, facts);
  const padded = flowSize(size);
  const scores: number[] = [];
  let fault: string | undefined;
  return {
    known,
    push: (flow) => {
      const score = pairScore(flow, padded);
      if (score.notFinite > 0) fault ??= `the flow of pair ${scores.length} has ${score.notFinite} pixels that are no finite number`;
      if (Number.isNaN(score.mean)) fault ??= `the flow of pair ${scores.length} has too few pixels for a top 5 %`;
      scores.push(score.mean);
    },
    finish: () => known ?? outcomeOf(scores, facts, fault),
  };
}

type Facts = {
  readonly thres: number;
  readonly count_num: number;
  readonly frames: number;
  readonly interval: number;
  readonly fps: number;
};

/** Pixels that a pair must move by: of the frame without padding. */
export function dynamicDegreeThreshold({ height, width }: ImageSize): number {
  return 6 * (Math.min(height, width) / 256);
}

/**
 * Mean length of the fastest 5 % of a flow, float32 [2,H',W'], and how many pixels are no number. Numbers that are none sort last, as numpy has it; a
 * flow of fewer than 20 pixels has no fastest 5 %, so its mean is NaN.
 */
export function pairScore(flow: Float32Array, { height, width }: ImageSize): { readonly mean: number; readonly notFinite: number } {
  const pixels = height * width;
  if (flow.length !== 2 * pixels) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `a flow of ${width}x${height} has other values than ${flow.length}` });
  }
  const lengths = new Float32Array(pixels);
  let notFinite = 0;
  let numbers = pixels;
  for (let index = 0; index < pixels; index += 1) {
    const u = flow[index] as number;
    const v = flow[pixels + index] as number;
    const length = Math.sqrt(Math.fround(Math.fround(u * u) + Math.fround(v * v)));
    if (!Number.isFinite(length)) notFinite += 1;
    // A NaN stays 0 here, below all others, and is not counted as a number.
    if (Number.isNaN(length)) numbers -= 1;
    else lengths[index] = length;
  }
  const cut = Math.trunc(pixels * topShare);
  return { mean: numbers < cut ? NaN : Math.fround(sumOfLargest(lengths, cut) / cut), notFinite };
}

const bucketBits = 16;

/** Sum of the `count` largest of numbers that are not negative: by the upper half of their bits first, which are in order as the numbers are. */
function sumOfLargest(values: Float32Array, count: number): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const buckets = new Uint32Array(1 << bucketBits);
  for (const word of bits) buckets[word >>> bucketBits] = (buckets[word >>> bucketBits] as number) + 1;
  let border = buckets.length - 1;
  let above = 0;
  while (border > 0 && above + (buckets[border] as number) < count) {
    above += buckets[border] as number;
    border -= 1;
  }
  let sum = 0;
  const atBorder: number[] = [];
  for (let index = 0; index < values.length; index += 1) {
    const bucket = (bits[index] as number) >>> bucketBits;
    if (bucket > border) sum += values[index] as number;
    else if (bucket === border) atBorder.push(values[index] as number);
  }
  atBorder.sort((left, right) => right - left);
  for (const value of atBorder.slice(0, count - above)) sum += value;
  return sum;
}

function knownOutcome({ size, minimumSide }: DynamicDegreePlan, facts: Facts): MetricOutcome | undefined {
  const extra = extraOf(facts);
  if (facts.frames < 2) {
    return absent("skipped", "one frame of the clip is compared, so there is no pair; VBench answers false", { vbenchValue: 0, extra });
  }
  const { height, width } = flowSize(size);
  if (Math.min(height, width) >= minimumSide) return undefined;
  const vbenchValue = facts.count_num === 0 ? 1 : 0;
  return absent(
    "nan",
    `frames of ${size.width}x${size.height}, padded to ${width}x${height}, are below ${minimumSide} pixels: the flow is NaN`,
    {
      vbenchValue,
      extra,
    },
  );
}

function outcomeOf(scores: readonly number[], facts: Facts, fault: string | undefined): MetricOutcome {
  const moving = scores.filter((score) => score > facts.thres).length;
  const value = moving >= facts.count_num ? 1 : 0;
  if (scores.length !== facts.frames - 1) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `${facts.frames} compared frames have other pairs than ${scores.length}` });
  }
  if (fault !== undefined) return absent("nan", fault, { vbenchValue: value, extra: extraOf(facts) });
  const margin = scores.reduce((least, score) => Math.min(least, Math.abs(score - facts.thres) / facts.thres), Infinity);
  const extra: MetricExtra = { ...extraOf(facts), moving, margin };
  return { status: "ok", value, series: { pairScores: scores }, extra };
}

/** `isAlwaysTrue`: no pair need move, so the value says nothing about the clip. */
function extraOf({ thres, count_num, frames, interval, fps }: Facts): MetricExtra {
  const isAlwaysTrue = frames >= 2 && count_num === 0;
  return { thres, count_num, frames, interval, fps: Number.isFinite(fps) ? fps : 0, ...(isAlwaysTrue ? { isAlwaysTrue } : {}) };
}

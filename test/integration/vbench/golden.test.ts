import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { dynamicDegree } from "../../../services/domain/vbench/dynamic-degree.ts";
import { frameConsistency } from "../../../services/domain/vbench/frame-consistency.ts";
import { dynamicDegreeIndices, middleFrameIndices, motionTriples } from "../../../services/domain/vbench/frame-indices.ts";
import { aestheticQuality, imagingQuality } from "../../../services/domain/vbench/frame-scores.ts";
import { motionSmoothness } from "../../../services/domain/vbench/motion-smoothness.ts";
import { flowInput, interpolationInput } from "../../../services/domain/vbench/padding.ts";
import { temporalFlickering } from "../../../services/domain/vbench/temporal-flickering.ts";
import { overallConsistency } from "../../../services/domain/vbench/text-alignment.ts";
import { clipTransform, dinoTransform, imagingTransform } from "../../../services/domain/vbench/transforms.ts";
import { maxDifference } from "../../support/golden.ts";
import type { ColourStream } from "../../../services/platform/media/clip-reader.ts";
import { decodeClip } from "../../support/vbench/decode.ts";
import { valueOf } from "../../support/vbench/outcomes.ts";
import {
  averagePool,
  goldenDimension,
  laionHead,
  stubFlow,
  stubImaging,
  stubInterpolation,
  vbenchFixtures,
} from "../../support/vbench/stubs.ts";

const fixture = (name: string): string => fileURLToPath(new URL(name, vbenchFixtures));
const demoClip = fileURLToPath(new URL("../../fixtures/media/man-534.mp4", import.meta.url));

const rateOf = ({ facts: { fps } }: Awaited<ReturnType<typeof decodeClip>>): number => fps.numerator / fps.denominator;

async function flickerOf(path: string, profile: ColourStream): Promise<{ count: number; value: number }> {
  const { size, frames } = await decodeClip(path, profile);
  const flicker = temporalFlickering(size);
  let count = 0;
  for (const frame of frames) {
    flicker.push(frame);
    count += 1;
  }
  return { count, value: valueOf(flicker.finish()) };
}

describe("temporal flickering", () => {
  test.each([
    ["realshort.mp4", 36, 0.9731172150256587],
    ["cup.mp4", 217, 0.9886883857203465],
    ["sintel-captions.mpegts", 240, 0.9813538326936609],
    ["multi-channel-608-captions.mpegts", 181, 0.9963701322966931],
    ["test-no-audio-segment.mpegts", 134, 0.9621738471236884],
    ["cockatoo.mp4", 280, 0.9596333559821634],
  ])("of %s is VBench's, over %i decoded frames", async (name, count, expected) => {
    const flicker = await flickerOf(fixture(name), "bt601");
    expect(flicker.count).toBe(count);
    expect(flicker.value).toBe(expected);
  });

  test("of a clip tagged bt709 and full range depends on whether the tag is honoured", async () => {
    const untagged = await flickerOf(demoClip, "bt601");
    const tagged = await flickerOf(demoClip, "rgb");
    expect(untagged.value).toBe(0.9909135201398064);
    expect(tagged.value).toBe(0.9908584314234117);
  });
});

const clips = [{ name: "realshort.mp4" }, { name: "cup.mp4" }] as const;

describe.each(clips)("with the golden values' stub networks, $name", ({ name }) => {
  let clip: Awaited<ReturnType<typeof decodeClip>>;
  const frameAt = (index: number): Uint8Array => clip.frames[index] ?? new Uint8Array();

  beforeAll(async () => {
    clip = await decodeClip(fixture(name));
  });

  test("has VBench's subject consistency", () => {
    const transform = dinoTransform(clip.size);
    const subject = frameConsistency();
    for (const frame of clip.frames) subject.push(averagePool(transform(frame), 4));
    const value = valueOf(subject.finish());
    expect(Math.abs(value - Number(goldenDimension("subject_consistency").video(name).video_results))).toBeLessThan(1e-6);
  });

  test("has VBench's background consistency, aesthetic quality with LAION's real head included", () => {
    const transform = clipTransform(clip.size);
    const background = frameConsistency();
    const aesthetic = aestheticQuality(laionHead("vit_l_14"));
    for (const frame of clip.frames) {
      const input = transform(frame);
      background.push(averagePool(input, 4));
      aesthetic.push(averagePool(input, 16));
    }
    const golden = goldenDimension("background_consistency").video(name);
    const outcome = background.finish();
    expect(Math.abs(valueOf(outcome) - Number(golden.video_results))).toBeLessThan(1e-6);
    expect(outcome.extra["cnt_per_video"]).toBe(golden.cnt_per_video);
    expect(Math.abs(Number(outcome.extra["video_sim"]) - (golden.video_sim ?? NaN))).toBeLessThan(1e-4);
    const expected = Number(goldenDimension("aesthetic_quality").video(name).video_results);
    expect(Math.abs(valueOf(aesthetic.finish()) - expected)).toBeLessThan(1e-6);
  });

  test("has VBench's imaging quality", () => {
    const transform = imagingTransform(clip.size);
    const imaging = imagingQuality();
    for (const frame of clip.frames) imaging.push(stubImaging(transform(frame)));
    const expected = Number(goldenDimension("imaging_quality").video(name).video_results);
    expect(Math.abs(valueOf(imaging.finish()) - expected)).toBeLessThan(1e-4);
  });

  test("has VBench's overall consistency", () => {
    const transform = clipTransform(clip.size, { isRounded: true });
    const pooled = middleFrameIndices(clip.frames.length).map((index) => averagePool(transform(frameAt(index)), 4));
    const video = Float64Array.from({ length: 48 }, (_, index) => pooled.reduce((sum, one) => sum + (one[index] ?? NaN), 0) / 8);
    const text = Float64Array.from({ length: 48 }, (_, index) => -1 + (2 * index) / 47);
    const value = valueOf(overallConsistency(video, text, { tokens: 3, isTruncated: false }));
    expect(Math.abs(value - Number(goldenDimension("overall_consistency").video(name).video_results))).toBeLessThan(1e-5);
  });

  test("has VBench's motion smoothness", () => {
    const motion = motionSmoothness(clip.size);
    for (const { before, between, after } of motionTriples(clip.frames.length)) {
      const [first, second] = [before, after].map((index) => interpolationInput(frameAt(index), clip.size));
      if (first !== undefined && second !== undefined) motion.push(stubInterpolation(first, second), frameAt(between));
    }
    const value = valueOf(motion.finish(clip.frames.length));
    expect(Math.abs(value - Number(goldenDimension("motion_smoothness").video(name).video_results))).toBeLessThan(1e-9);
  });

  test("has VBench's dynamic degree, pair by pair", () => {
    const golden = goldenDimension("dynamic_degree").video(name);
    const frameCount = clip.frames.length;
    const dynamic = dynamicDegree({ size: clip.size, frameCount, framesPerSecond: rateOf(clip), minimumSide: 128 });
    const inputs = dynamicDegreeIndices(frameCount, rateOf(clip)).map((index) => flowInput(frameAt(index), clip.size));
    inputs.slice(1).forEach((after, index) => {
      const before = inputs[index];
      if (before !== undefined) dynamic.push(stubFlow(before, after));
    });
    const outcome = dynamic.finish();
    expect(valueOf(outcome)).toBe(Number(golden.video_results));
    expect(outcome.extra["thres"]).toBe(golden.thres);
    expect(outcome.extra["count_num"]).toBe(golden.count_num);
    const relative = outcome.series["pairScores"]?.map((score, index) => score / (golden.pair_scores?.[index] ?? NaN)) ?? [];
    expect(relative).toHaveLength(golden.pair_scores?.length ?? NaN);
    expect(
      maxDifference(
        relative,
        relative.map(() => 1),
      ),
    ).toBeLessThan(1e-6);
  });
});

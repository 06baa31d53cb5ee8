import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { frameConsistency } from "../../../services/domain/vbench/frame-consistency.ts";
import { aestheticQuality, aestheticScore, imagingQuality } from "../../../services/domain/vbench/frame-scores.ts";
import { i2vSubject } from "../../../services/domain/vbench/i2v-subject.ts";
import {
  isMetricName,
  metricEngines,
  metricNames,
  metricNeeds,
  type MetricOutcome,
  metricVersions,
  withFormatNote,
} from "../../../services/domain/vbench/metric.ts";
import { motionSmoothness } from "../../../services/domain/vbench/motion-smoothness.ts";
import { interpolationInput } from "../../../services/domain/vbench/padding.ts";
import { temporalFlickering } from "../../../services/domain/vbench/temporal-flickering.ts";
import { clipScore, overallConsistency } from "../../../services/domain/vbench/text-alignment.ts";
import { pixelsOf } from "../../support/fixture-image.ts";
import { pushAll, valueOf } from "../../support/vbench/outcomes.ts";
import { laionHead, laionTensor } from "../../support/vbench/stubs.ts";

const prompt = { tokens: 5, isTruncated: false };

test("every metric says what it needs, of engines that exist, and its version", () => {
  for (const name of metricNames) {
    expect(metricNeeds[name].engines.every((engine) => metricEngines.includes(engine))).toBe(true);
    expect(Number.isSafeInteger(metricVersions[name])).toBe(true);
    expect(isMetricName(name)).toBe(true);
  }
  expect(new Set(metricNames.flatMap((name) => metricNeeds[name].engines))).toEqual(new Set(metricEngines));
  expect(isMetricName("camera_motion")).toBe(false);
  expect(metricNeeds.clip_score.variant).toBe("clip_b32_middle8");
});

test("OpenCV's colours are for flicker, motion and dynamic degree alone", () => {
  expect(metricNames.filter((name) => metricNeeds[name].stream === "bt601")).toEqual([
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
  ]);
});

test("a GIF is scored where VBench refuses it, and the outcome says so", () => {
  const outcome: MetricOutcome = { status: "ok", value: 1, series: {}, extra: { pairs: 2 } };
  expect(withFormatNote(outcome, "dynamic_degree", true).extra).toMatchObject({ pairs: 2, note: expect.stringContaining("GIF") as string });
  expect(withFormatNote(outcome, "subject_consistency", true)).toBe(outcome);
  expect(withFormatNote(outcome, "dynamic_degree", false)).toBe(outcome);
});

describe("temporal flickering", () => {
  const size = { height: 6, width: 8 };
  const frame = (seed: number): Uint8Array => pixelsOf({ from: [6, 8], seed, binary: false });
  const flicker = (frames: readonly Uint8Array[]): MetricOutcome => pushAll(temporalFlickering(size), frames);

  test("is 1 for a still clip, and the same for a reversed one but for the order in which float32 is added up", () => {
    expect(valueOf(flicker([frame(1), frame(1), frame(1)]))).toBe(1);
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 2, maxLength: 6 }), (seeds) => {
        const frames = seeds.map(frame);
        expect(valueOf(flicker(frames.toReversed()))).toBeCloseTo(valueOf(flicker(frames)), 6);
      }),
    );
  });

  test("rises where a frame is doubled", () => {
    expect(valueOf(flicker([frame(1), frame(1), frame(2)]))).toBeGreaterThan(valueOf(flicker([frame(1), frame(2)])));
  });

  test("has the exact mean difference of each pair", () => {
    const outcome = flicker([new Uint8Array(144).fill(10), new Uint8Array(144).fill(13), new Uint8Array(144).fill(3)]);
    expect(outcome).toEqual({ status: "ok", value: (255 - 6.5) / 255, series: { differences: [3, 10] }, extra: { pairs: 2 } });
  });

  test("of one frame is no number, as VBench's NaN, and of none is skipped", () => {
    expect(flicker([frame(1)])).toMatchObject({ status: "nan", reason: expect.stringContaining("one frame") as string });
    expect(flicker([frame(1)])).not.toHaveProperty("vbenchValue");
    expect(flicker([])).toMatchObject({ status: "skipped" });
  });

  test("refuses frames of another size", () => {
    expect(() => flicker([new Uint8Array(3)])).toThrow(/other bytes/);
  });
});

describe("subject and background consistency", () => {
  test("are 1 for identical frames", () => {
    expect(
      Math.abs(
        valueOf(
          pushAll(frameConsistency(), [
            [0.3, -2, 5],
            [0.3, -2, 5],
            [0.3, -2, 5],
          ]),
        ) - 1,
      ),
    ).toBeLessThan(1e-6);
  });

  test("are the mean of the likeness to the predecessor and to the first frame, negative ones counting as 0", () => {
    const outcome = pushAll(frameConsistency(), [
      [1, 0],
      [0, 2],
      [-3, 0],
    ]);
    expect(outcome).toMatchObject({ status: "ok", value: 0, extra: { video_sim: 0, cnt_per_video: 2 } });
    const [, toFirst] = outcome.series["toFirst"] ?? [];
    expect(toFirst).toBe(-1);
    expect(
      valueOf(
        pushAll(frameConsistency(), [
          [1, 0],
          [1, 1],
          [1, 0],
        ]),
      ),
    ).toBeCloseTo((Math.SQRT1_2 + (Math.SQRT1_2 + 1) / 2) / 2, 12);
  });

  test("of one frame are skipped, where VBench ends with an error", () => {
    const outcome = pushAll(frameConsistency(), [[1, 0]]);
    expect(outcome).toMatchObject({ status: "skipped", reason: expect.stringContaining("ZeroDivisionError") as string });
    expect(outcome).not.toHaveProperty("vbenchValue");
  });

  test("name the frame whose embedding is no number, and say what VBench makes of it", () => {
    const outcome = pushAll(frameConsistency(), [
      [1, 0],
      [1, 0],
      [NaN, 1],
      [1, 0],
    ]);
    expect(outcome).toMatchObject({ status: "nan", reason: expect.stringContaining("frame 2") as string, series: {} });
    // Python's max(0.0, nan) is 0.0: frame 2 counts 0 twice, frame 3 once.
    expect(outcome).toHaveProperty("vbenchValue", (1 + 0 + 0.5) / 3);
  });

  test("stand an embedding of zeros, which is like nothing", () => {
    expect(
      valueOf(
        pushAll(frameConsistency(), [
          [0, 0],
          [1, 0],
        ]),
      ),
    ).toBe(0);
  });

  test("refuse embeddings of different lengths", () => {
    expect(() =>
      pushAll(frameConsistency(), [
        [1, 0],
        [1, 0, 0],
      ]),
    ).toThrow(/cannot be compared/);
  });
});

describe("i2v subject", () => {
  test("weights the best likeness to the image, the mean and the least to the predecessor", () => {
    const half = [0.5, Math.sqrt(0.75)];
    const outcome = pushAll(i2vSubject([1, 0]), [half, [1, 0], [0, 1]]);
    expect(valueOf(outcome)).toBeCloseTo(0.4 * 1 + 0.3 * 0.25 + 0.3 * 0, 12);
    expect(outcome.series["toImage"]).toHaveLength(3);
    expect(outcome.series["toPrevious"]).toHaveLength(2);
  });

  test("of one frame is skipped, and of an image without numbers is none", () => {
    expect(pushAll(i2vSubject([1, 0]), [[1, 0]])).toMatchObject({ status: "skipped" });
    expect(
      pushAll(i2vSubject([NaN, 0]), [
        [1, 0],
        [1, 0],
      ]),
    ).toMatchObject({
      status: "nan",
      reason: expect.stringContaining("reference image") as string,
    });
  });
});

describe("motion smoothness", () => {
  const size = { height: 20, width: 24 };
  const grey = (level: number): Uint8Array => new Uint8Array(20 * 24 * 3).fill(level);
  const prediction = (level: number): Float32Array => interpolationInput(grey(0), size).data.fill(level);

  test("compares cut-off predictions with the frames between", () => {
    const motion = motionSmoothness(size);
    motion.push(prediction(100.9 / 255), grey(100));
    motion.push(prediction(99.9 / 255), grey(100));
    expect(motion.finish(5)).toMatchObject({ status: "ok", value: (255 - 0.5) / 255, series: { differences: [0, 1] } });
  });

  test("of 2 frames is skipped with a reason", () => {
    expect(motionSmoothness(size).finish(2)).toMatchObject({
      status: "skipped",
      reason: expect.stringContaining("AssertionError") as string,
    });
  });

  test("names the frame whose prediction is no number", () => {
    const motion = motionSmoothness(size);
    motion.push(prediction(0.5), grey(127));
    const broken = prediction(0.5);
    broken[7] = NaN;
    motion.push(broken, grey(127));
    expect(motion.finish(5)).toMatchObject({ status: "nan", reason: expect.stringMatching(/value 7 .* frame 3/) as string, series: {} });
  });
});

describe("aesthetic quality", () => {
  const expectedL14 = [-0.2457911, -0.0137857, 0.1895108, 0.3584934, 0.5099727, 0.6470104, 0.7786988, 0.9048002, 1.0226406, 1.1304427];
  const expectedB32 = [-0.1469955, 0.0272794, 0.199002, 0.3611417, 0.5087442, 0.639255, 0.7668165, 0.8915453, 0.9916606, 1.1005579];

  test.each([
    ["vit_l_14", expectedL14],
    ["vit_b_32", expectedB32],
  ] as const)("of LAION's rating embeddings is what its own head gives, unclamped, %s", (clip, expected) => {
    const head = laionHead(clip);
    const { shape, data } = laionTensor(`${clip}.rating_embeddings`);
    const ratings = expected.map((_, rating) => data.subarray(rating * head.weight.length, (rating + 1) * head.weight.length));
    expect(shape).toEqual([10, head.weight.length]);
    expected.forEach((score, rating) => {
      expect(Math.abs(aestheticScore(ratings[rating] ?? [], head) - score)).toBeLessThan(1e-6);
    });
    const outcome = pushAll(aestheticQuality(head), [ratings[0] ?? [], ratings[9] ?? []]);
    expect(valueOf(outcome)).toBeCloseTo(((expected[0] ?? NaN) + (expected[9] ?? NaN)) / 2, 6);
  });

  test("of a broken embedding names the frame; a broken head is refused", () => {
    const head = { weight: Float32Array.of(1, 2), bias: 0 };
    expect(
      pushAll(aestheticQuality(head), [
        [1, 0],
        [Infinity, 0],
      ]),
    ).toMatchObject({
      status: "nan",
      reason: expect.stringContaining("frame 1") as string,
    });
    expect(() => aestheticQuality({ ...head, bias: NaN })).toThrow(/bias/);
  });
});

test("imaging quality is the mean on MUSIQ's scale, and names a frame without a score", () => {
  expect(pushAll(imagingQuality(), [40, 60])).toEqual({ status: "ok", value: 50, series: { scores: [40, 60] }, extra: { frames: 2 } });
  expect(pushAll(imagingQuality(), [40, NaN])).toMatchObject({ status: "nan", reason: expect.stringContaining("frame 1") as string });
  expect(pushAll(imagingQuality(), [])).toMatchObject({ status: "skipped" });
});

describe("text alignment", () => {
  test("of ViCLIP is a cosine that may be negative", () => {
    expect(overallConsistency([2, 0], [-1, 0], { tokens: 40, isTruncated: true })).toEqual({
      status: "ok",
      value: -1,
      series: {},
      extra: { tokens: 40, isTruncated: true },
    });
    expect(overallConsistency([2, NaN], [-1, 0], prompt)).toMatchObject({
      status: "nan",
      reason: expect.stringContaining("clip") as string,
    });
  });

  test("of CLIP is the mean cosine of the middle frames, its variant named", () => {
    const outcome = pushAll(clipScore([1, 0], prompt), [
      [1, 0],
      [0, 1],
      [-1, 0],
      [1, 0],
    ]);
    expect(outcome).toMatchObject({
      status: "ok",
      value: 0.25,
      series: { cosines: [1, 0, -1, 1] },
      extra: { variant: "clip_b32_middle8", tokens: 5 },
    });
    expect(pushAll(clipScore([0, Infinity], prompt), [[1, 0]])).toMatchObject({
      status: "nan",
      reason: expect.stringContaining("prompt") as string,
    });
    expect(pushAll(clipScore([1, 0], prompt), [])).toMatchObject({ status: "skipped" });
  });
});

test("no outcome holds a number that is none", () => {
  const numbers = fc.array(fc.array(fc.double(), { minLength: 2, maxLength: 2 }), { maxLength: 5 });
  fc.assert(
    fc.property(numbers, (embeddings) => {
      const head = { weight: Float32Array.of(1, 2), bias: 0 };
      const accumulators = [frameConsistency(), i2vSubject([1, 1]), clipScore([1, 1], prompt), aestheticQuality(head)];
      for (const outcome of accumulators.map((accumulator) => pushAll(accumulator, embeddings))) {
        const values = [outcome.status === "ok" ? outcome.value : (outcome.vbenchValue ?? 0), ...Object.values(outcome.series).flat()];
        expect(values.filter((value) => !Number.isFinite(value))).toEqual([]);
        expect(Object.values(outcome.extra).filter((value) => typeof value === "number" && !Number.isFinite(value))).toEqual([]);
      }
    }),
  );
});

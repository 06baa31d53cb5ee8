/**
 * The score stage as workers run it, from the file to what is committed, with the stub networks of VBench's golden values.
 */
import { readFile } from "node:fs/promises";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { type Float32Tensor, float32, requireFloat32, type Tensor } from "../../../services/domain/tensors/tensor.ts";
import type { MetricName } from "../../../services/domain/vbench/metric.ts";
import { createClipCache } from "../../../services/worker/runtime/thread/clip-cache.ts";
import { makeClip } from "../../support/ffmpeg.ts";
import { rowsOf, scoreClip, type StubEngine } from "../../support/vbench/score-context.ts";
import { averagePool, goldenDimension, laionTensor, stubFlow, stubInterpolation, vbenchFixtures } from "../../support/vbench/stubs.ts";

const fixture = (name: string): string => fileURLToPath(new URL(name, vbenchFixtures));
const tensor = (feeds: Readonly<Record<string, Tensor>>, name: string): Float32Tensor => requireFloat32(name, feeds[name]);

/** Pools each row of the input to k x k. */
const pooling = (input: string, k: number): Omit<StubEngine, "output"> => ({
  answer: (feeds) => {
    const rows = rowsOf(tensor(feeds, input)).map((row) => averagePool(row, k));
    return float32([rows.length, 3 * k * k], Float32Array.from(rows.flatMap((row) => [...row])));
  },
});

const learned = { pos_embed: float32([1, 197, 1], new Float32Array(197)) };
const head = { weight: laionTensor("vit_l_14.weight"), bias: laionTensor("vit_l_14.bias") };
const asVector = ({ data }: Float32Tensor): Float32Tensor => float32([data.length], data);

const engines: Readonly<Record<string, StubEngine>> = {
  dino_b16: { output: "embedding", ...pooling("pixels", 4), constants: { patch: 16 }, files: { positions: encodeSafetensors(learned) } },
  clip_b32_image: { output: "embeddings", ...pooling("pixels", 4) },
  clip_l14_image: {
    output: "embeddings",
    ...pooling("pixels", 16),
    files: { head: encodeSafetensors({ weight: asVector(head.weight), bias: asVector(head.bias) }) },
  },
  amt_s: {
    output: "middle",
    answer: (feeds) => {
      const before = tensor(feeds, "frame0");
      return float32(before.shape, stubInterpolation(before, tensor(feeds, "frame1")));
    },
  },
  raft_things: {
    output: "flow",
    constants: { minimum_side: 128 },
    answer: (feeds) => {
      const before = tensor(feeds, "frame0");
      const [, , height = 0, width = 0] = before.shape;
      return float32([1, 2, height, width], stubFlow(before, tensor(feeds, "frame1")));
    },
  },
  viclip_video: {
    output: "embedding",
    answer: (feeds) => {
      const { shape, data } = tensor(feeds, "frames");
      const rows = rowsOf(float32(shape.slice(1), data)).map((row) => averagePool(row, 4));
      return float32(
        [1, 48],
        Float32Array.from({ length: 48 }, (_, index) => rows.reduce((sum, row) => sum + (row[index] ?? NaN), 0) / 8),
      );
    },
  },
  viclip_text: {
    output: "embedding",
    answer: () =>
      float32(
        [1, 48],
        Float32Array.from({ length: 48 }, (_, index) => -1 + (2 * index) / 47),
      ),
  },
};

const goldens: readonly (readonly [metric: MetricName, golden: string, tolerance: number])[] = [
  ["temporal_flickering", "temporal_flickering", 1e-8],
  ["subject_consistency", "subject_consistency", 1e-5],
  ["background_consistency", "background_consistency", 1e-5],
  ["aesthetic_quality", "aesthetic_quality", 1e-5],
  ["overall_consistency", "overall_consistency", 1e-5],
  ["motion_smoothness", "motion_smoothness", 1e-8],
];

describe.each(["realshort.mp4", "cup.mp4"])("%s", (name) => {
  it.each(goldens)("%s is VBench's", async (metric, golden, tolerance) => {
    const { outcome } = await scoreClip(metric, { video: fixture(name), engines, prompt: "a prompt" });
    expect(outcome.status).toBe("ok");
    const value = outcome.status === "ok" ? outcome.value : NaN;
    expect(Math.abs(value - Number(goldenDimension(golden).video(name).video_results))).toBeLessThan(tolerance);
  });

  it("dynamic_degree is VBench's, pair by pair", async () => {
    const { outcome } = await scoreClip("dynamic_degree", { video: fixture(name), engines });
    const golden = goldenDimension("dynamic_degree").video(name);
    expect(outcome).toMatchObject({ status: "ok", value: 1, extra: { thres: golden.thres, count_num: golden.count_num } });
    const pairs = outcome.series["pairScores"] ?? [];
    expect(pairs.length).toBe(golden.pair_scores?.length);
    golden.pair_scores?.forEach((pair, index) => expect(Math.abs((pairs[index] ?? NaN) - pair) / pair).toBeLessThan(1e-5));
  });
});

describe("colour tags", () => {
  const video = fileURLToPath(new URL("../media/man-534.mp4", vbenchFixtures));

  it("are ignored by the metrics that VBench reads with OpenCV", async () => {
    const { outcome, decodeProfile, clip } = await scoreClip("temporal_flickering", { video });
    expect(decodeProfile).toBe("bt601/ffmpeg");
    expect(clip).toMatchObject({ frameCount: 129, fps: { numerator: 32, denominator: 1 }, isTagged: true });
    expect(outcome.status === "ok" ? outcome.value : NaN).toBeCloseTo(0.9909135201398064, 8);
  });

  it("make another stream for the others, and untagged clips are one", async () => {
    const cache = createClipCache(4 * 1024 ** 3);
    const tagged = [
      await scoreClip("temporal_flickering", { video, clips: cache }),
      await scoreClip("background_consistency", { video, clips: cache, engines }),
    ];
    expect(tagged.map(({ decodeProfile }) => decodeProfile.split("/")[0])).toEqual(["bt601", "rgb"]);
  });
});

describe("what cannot be measured", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "vapfarm-score-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const clip = async (name: string, frames: number, size = "160x128"): Promise<string> => {
    const path = join(folder, name);
    const codec = ["-frames:v", String(frames), "-c:v", "libx264", "-pix_fmt", "yuv420p"];
    return await makeClip(path, { size, seconds: 4, output: codec });
  };

  it("of one frame: no neighbours, each metric with its own reason", async () => {
    const video = await clip("one.mp4", 1);
    const outcomes = new Map<MetricName, unknown>();
    for (const metric of [
      "temporal_flickering",
      "subject_consistency",
      "motion_smoothness",
      "dynamic_degree",
      "aesthetic_quality",
    ] as const) {
      outcomes.set(metric, (await scoreClip(metric, { video, engines })).outcome);
    }
    expect(outcomes.get("temporal_flickering")).toMatchObject({ status: "nan", reason: expect.stringContaining("one frame") as string });
    expect(outcomes.get("subject_consistency")).toMatchObject({ status: "skipped" });
    expect(outcomes.get("motion_smoothness")).toMatchObject({ status: "skipped" });
    expect(outcomes.get("aesthetic_quality")).toMatchObject({ status: "ok" });
    expect(outcomes.get("dynamic_degree")).toMatchObject({ vbenchValue: 0 });
  });

  it("below RAFT's smallest side: no number, and VBench's false beside it", async () => {
    const video = await clip("small.mp4", 16, "160x96");
    const { outcome, json } = await scoreClip("dynamic_degree", { video, engines });
    expect(outcome).toMatchObject({ status: "nan", vbenchValue: 0 });
    expect(json).toMatchObject({ metric: "dynamic_degree", status: "nan", vbench_value: 0, clip: { frames: 16, width: 160, height: 96 } });
  });

  it("where a network answers with NaN, says which pair or frame", async () => {
    const video = await clip("whole.mp4", 16);
    const broken = {
      ...engines,
      raft_things: {
        ...engines["raft_things"],
        output: "flow",
        constants: { minimum_side: 128 },
        answer: (feeds: Readonly<Record<string, Tensor>>) => {
          const [, , height = 0, width = 0] = tensor(feeds, "frame0").shape;
          return float32([1, 2, height, width], new Float32Array(2 * height * width).fill(NaN));
        },
      },
    };
    const { outcome } = await scoreClip("dynamic_degree", { video, engines: broken });
    expect(outcome).toMatchObject({ status: "nan", vbenchValue: 0, reason: expect.stringContaining("pair 0") as string });
    expect(JSON.stringify(outcome)).not.toMatch(/null|NaN/);
  });

  it("a file that is cut, or a picture, is an error and no score", async () => {
    const whole = await readFile(await clip("long.mp4", 48));
    const cut = join(folder, "cut.mp4");
    await writeFile(cut, whole.subarray(0, whole.length / 2));
    await expect(scoreClip("temporal_flickering", { video: cut })).rejects.toMatchObject({ code: "MEDIA_TRUNCATED" });
    const picture = fileURLToPath(new URL("../media/animal-2.jpg", vbenchFixtures));
    await expect(scoreClip("temporal_flickering", { video: picture })).rejects.toMatchObject({ code: "MEDIA_NO_VIDEO" });
  });

  it("a run that is cancelled stops between two answers", async () => {
    const video = await clip("cancelled.mp4", 16);
    const cancelled = new AbortController();
    let answers = 0;
    const answer: StubEngine["answer"] = (feeds) => {
      answers += 1;
      cancelled.abort();
      return engines["amt_s"]?.answer(feeds) ?? float32([0], new Float32Array());
    };
    const run = scoreClip("motion_smoothness", { video, engines: { amt_s: { output: "middle", answer } }, signal: cancelled.signal });
    await expect(run).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    expect(answers).toBe(1);
  });
});

it("the image of i2v_subject may be a clip, whose first frame it is", async () => {
  const video = fixture("realshort.mp4");
  const own = await scoreClip("i2v_subject", { video, image: video, engines });
  const other = await scoreClip("i2v_subject", { video, image: fileURLToPath(new URL("../media/animal-2.jpg", vbenchFixtures)), engines });
  const toImage = [own, other].map(({ outcome }) => Math.max(...(outcome.series["toImage"] ?? [NaN])));
  expect(toImage[0]).toBeGreaterThan(0.999);
  expect(toImage[1]).toBeLessThan(0.95);
});

it("the metrics of a clip decode it once", async () => {
  const reads: string[] = [];
  const cache = createClipCache(1024 ** 3);
  const clips = {
    read: (request: Parameters<typeof cache.read>[0]) =>
      cache.read({
        ...request,
        onFrame: (frames) => {
          if (frames === 1) reads.push(request.stream);
        },
      }),
  };
  for (const metric of ["temporal_flickering", "aesthetic_quality", "motion_smoothness"] as const) {
    await scoreClip(metric, { video: fixture("realshort.mp4"), engines, clips });
  }
  expect(reads).toEqual(["bt601"]);
});

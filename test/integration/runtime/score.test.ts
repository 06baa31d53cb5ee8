/**
 * Scores and panels through a real runtime with the small networks of models/demo-metrics.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import { uint8 } from "../../../services/domain/tensors/tensor.ts";
import { type MetricName, metricNames, metricNeeds } from "../../../services/domain/vbench/metric.ts";
import { FrameSelection } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { defaultMediaLimits } from "../../../services/platform/media/limits.ts";
import { readClip } from "../../../services/platform/media/clip-reader.ts";
import { makeClip, testFfmpegPath } from "../../support/ffmpeg.ts";
import { demoMetricsFolder, startTestRuntime, type StageAnswer, type TestRuntime } from "../../support/runtime-process.ts";

const realshort = fileURLToPath(new URL("../../fixtures/vbench/realshort.mp4", import.meta.url));

let runtime: TestRuntime;
let small: string;
beforeAll(async () => {
  runtime = await startTestRuntime();
  small = await makeClip(join(runtime.folder, "small.mp4"), { size: "64x48", seconds: 1 });
});
afterAll(() => runtime.stop());

const score = (metric: MetricName, video: string, prompt = "A cat"): Promise<StageAnswer> =>
  runtime.run({
    modelFolder: demoMetricsFolder,
    parameters: { $case: "score", value: { metric, prompt } },
    inputs: { video, ...(metricNeeds[metric].needsImage ? { image: realshort } : {}) },
  });
const sha256 = async (path: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

describe.each(metricNames)("%s", (metric) => {
  it("has a finite value, the same in every run, and says how it was computed", async () => {
    const first = await score(metric, realshort);
    const again = await score(metric, realshort);
    expect(first.result.score).toMatchObject({
      metric,
      status: "ok",
      value: expect.any(Number) as number,
      frames: 36,
      fpsNumerator: 45000,
      fpsDenominator: 1499,
      width: 320,
      height: 240,
      decodeProfile: expect.stringMatching(new RegExp(`^${metricNeeds[metric].stream}/ffmpeg-`)) as string,
      runtime: metricNeeds[metric].engines.length === 0 ? "" : (expect.stringMatching(/^onnxruntime-node 1\./) as string),
    });
    expect(Number.isFinite(first.result.score?.value)).toBe(true);
    expect(await sha256(first.path(metric))).toBe(await sha256(again.path(metric)));
    expect(again.result.score?.decodeMs).toBe(0);
    expect(first.result.outputs).toMatchObject([{ name: metric, mediaType: "application/json" }]);
  });

  it("has a value for clips as small as the demo model's", async () => {
    expect((await score(metric, small)).result.score).toMatchObject({ status: "ok", frames: 16, width: 64, height: 48 });
  });
});

describe("a score", () => {
  it.each(["clip_score", "overall_consistency"] as const)("of %s follows the prompt", async (metric) => {
    const cat = await score(metric, realshort, "A cat");
    const rain = await score(metric, realshort, "Rain on a roof at night");
    expect(cat.result.score?.status).toBe("ok");
    expect(rain.result.score?.status).toBe("ok");
    expect(cat.result.score?.value).not.toBe(rain.result.score?.value);
  });

  it("is refused where the networks are others than the task was keyed with", async () => {
    const run = runtime.run({
      modelFolder: demoMetricsFolder,
      parameters: { $case: "score", value: { metric: "imaging_quality", prompt: "" } },
      inputs: { video: realshort },
      engineDigests: { musiq_spaq: "0".repeat(64) },
    });
    await expect(run).rejects.toMatchObject({ code: "ENGINE_DIGEST_MISMATCH" });
  });

  it("of a metric that nobody knows is refused", async () => {
    const run = runtime.run({ modelFolder: demoMetricsFolder, parameters: { $case: "score", value: { metric: "beauty", prompt: "" } } });
    await expect(run).rejects.toMatchObject({ code: "STAGE_INPUT_INVALID" });
  });
});

describe("panels", () => {
  it("stand side by side, each of the result's size", async () => {
    const frames = uint8([9, 32, 48, 3], new Uint8Array(9 * 32 * 48 * 3).fill(200));
    const made = await runtime.run({
      modelFolder: "",
      engineDigests: {},
      parameters: { $case: "panels", value: { frameSelection: FrameSelection.FRAME_SELECTION_EVENLY, fps: 8 } },
      inputs: { frames: encodeSafetensors({ frames }), reference: realshort, target: small },
    });
    const decoder = { ffmpegPath: await testFfmpegPath(), limits: defaultMediaLimits, signal: new AbortController().signal };
    const clip = await readClip(made.path("panels"), { stream: "rgb", onFrame: () => undefined }, decoder);
    expect(clip.facts).toMatchObject({ width: 144, height: 32, frameCount: 9, fps: { numerator: 8, denominator: 1 } });
    const right = clip.frames.map((frame) => frame[(16 * 144 + 120) * 3] ?? 0);
    expect(Math.min(...right)).toBeGreaterThan(190);
    const lefts = new Set(clip.frames.map((frame) => frame[(16 * 144 + 20) * 3]));
    expect(lefts.size).toBeGreaterThan(1);
  });
});

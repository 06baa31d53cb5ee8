import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { PlannedMetrics, PlannedTask, PlanRequest } from "../../../services/domain/planned-task.ts";
import type { RenderSpec } from "../../../services/domain/render-spec.ts";
import { planRender } from "../../../services/domain/stage-graph.ts";
import { metricNames, metricNeeds } from "../../../services/domain/vbench/metric.ts";

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
const target = { sha256: hash("target") };
const render: RenderSpec = {
  model: "demo",
  image: { sha256: hash("image") },
  prompt: "a cat",
  negativePrompt: "blurry",
  references: [{ sha256: hash("clip") }],
  referencePrompts: ["a dog"],
  seed: "1",
  steps: 2,
  guidanceScale: 6,
  dynamicGuidance: true,
  scheduler: "ddim",
  frameSelection: "evenly",
  outputs: ["mp4"],
  width: 64,
  height: 48,
  frames: 17,
};
const metrics: PlannedMetrics = {
  name: "networks",
  engineDigests: Object.fromEntries(metricNames.flatMap((metric) => metricNeeds[metric].engines).map((engine) => [engine, hash(engine)])),
  pool: "metrics",
  profile: "metrics' cpu",
};
const request: PlanRequest = {
  render,
  model: {
    name: "demo",
    variant: "cogvideox",
    fps: 16,
    engineDigests: { text_encode: "t", vae_encode_image: "i", vae_encode: "v", denoise: "d", vae_decode: "o" },
  },
  metrics,
  pool: "pool",
  profile: "cpu",
  tenant: "local",
  jobId: "job",
  reuse: "inputs",
  sha256: (bytes) => createHash("sha256").update(bytes).digest("hex"),
};
const scores = { metricsModel: "networks", metrics: metricNames };

const plan = (overrides: Partial<RenderSpec>, others: Partial<PlanRequest> = {}): readonly PlannedTask[] =>
  planRender({ ...request, ...others, render: { ...render, ...overrides } });
const stage = (tasks: readonly PlannedTask[], name: string): PlannedTask | undefined => tasks.find((task) => task.stage === name);

describe("scores of a render", () => {
  it("are one task for each metric on the mp4, with the metric repository's networks in its pool", () => {
    const tasks = plan({ scores });
    const decoded = stage(tasks, "vae_decode");
    const scored = tasks.filter(({ stage: name }) => name.startsWith("score/"));
    expect(scored.map(({ stage: name }) => name)).toEqual(metricNames.map((metric) => `score/${metric}`));
    for (const task of scored) {
      expect(task).toMatchObject({ pool: "metrics", model: "networks" });
      expect(task.inputs[0]).toEqual({ name: "video", source: { kind: "task", contentKey: decoded?.contentKey, output: "mp4" } });
      expect(task.artifacts).toEqual([task.stage.slice("score/".length)]);
    }
    expect(stage(tasks, "score/clip_score")?.shape).toBe(`score.clip_score/${hash("clip_b32_image")}`);
    expect(stage(tasks, "score/temporal_flickering")?.shape).toBe("score.temporal_flickering/-");
  });

  it("hold the prompt and the image only where a metric looks at them", () => {
    const tasks = plan({ scores });
    const others = plan({ scores, prompt: "a dog", image: { sha256: hash("other image") } });
    const same = metricNames.filter((metric) => {
      const [one, other] = [stage(tasks, `score/${metric}`), stage(others, `score/${metric}`)];
      const own = ({ inputs, parameters }: PlannedTask): unknown => [inputs.slice(1), parameters];
      return one !== undefined && other !== undefined && JSON.stringify(own(one)) === JSON.stringify(own(other));
    });
    expect(metricNames.filter((metric) => !same.includes(metric))).toEqual(["overall_consistency", "i2v_subject", "clip_score"]);
  });

  it("have another key with other networks, and keep it when the networks of another metric change", () => {
    const other = { ...metrics, engineDigests: { ...metrics.engineDigests, raft_things: hash("another") } };
    const changed = metricNames.filter((metric) => {
      const keys = [plan({ scores }), plan({ scores }, { metrics: other })].map((tasks) => stage(tasks, `score/${metric}`)?.contentKey);
      return keys[0] !== keys[1];
    });
    expect(changed).toEqual(["dynamic_degree"]);
  });

  it("make the mp4 that they read although nobody asked for it, and hand it out only when asked", () => {
    const decoded = stage(plan({ outputs: ["latents"], scores }), "vae_decode");
    expect(decoded).toMatchObject({ parameters: { vaeDecode: { outputs: ["OUTPUT_KIND_MP4"] } }, artifacts: [] });
    expect(stage(plan({ outputs: ["latents"] }), "vae_decode")).toBeUndefined();
  });

  it("cannot be planned without their repository, or without a network of theirs", () => {
    expect(() => plan({ scores }, { metrics: undefined })).toThrow(expect.objectContaining({ code: "METRICS_UNKNOWN" }) as Error);
    expect(() => plan({ scores }, { metrics: { ...metrics, engineDigests: {} } })).toThrow(
      expect.objectContaining({ code: "MODEL_INVALID" }) as Error,
    );
  });
});

describe("panels of a render", () => {
  it("are made of frames, the first reference and the target, and leave the frames out of what is handed out", () => {
    const tasks = plan({ outputs: ["mp4", "panels"], target });
    expect(stage(tasks, "vae_decode")).toMatchObject({ artifacts: ["mp4"] });
    expect(stage(tasks, "panels")).toMatchObject({
      shape: "panels/-",
      parameters: { panels: { frameSelection: "FRAME_SELECTION_EVENLY", fps: 16 } },
      artifacts: ["panels"],
    });
    expect(stage(tasks, "panels")?.inputs.map(({ name }) => name)).toEqual(["frames", "reference", "target"]);
  });
});

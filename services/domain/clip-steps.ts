/**
 * What is done with the frames of a render: mp4, panels, scores.
 *
 * A score reads the mp4 that people see, as VBench does, never the frames that it was made from. It runs in the pool that serves the metric
 * networks, which may be another than the render's. Panels read the frames, as the reference does.
 */
import { FarmError } from "./errors.ts";
import type { PlannedMetrics, PlanRequest, TaskInput } from "./planned-task.ts";
import { type EngineName, scoreStage, type StageName } from "./stage.ts";
import { type MetricEngine, type MetricName, metricNeeds } from "./vbench/metric.ts";

/** A task before it has a key. */
export type Step = {
  readonly stage: StageName;
  readonly label: string;
  readonly engines: readonly (EngineName | MetricEngine)[];
  readonly parameters: unknown;
  readonly constants?: unknown;
  readonly inputs?: readonly TaskInput[];
  readonly artifacts?: readonly string[];
  /** Whose engines they are and who runs them; absent: the render's model and pool. */
  readonly holder?: PlannedMetrics;
};

/** What is decoded for: outputs of `vae_decode` in their order, empty where nothing needs frames. */
export function decodedOutputs({ outputs, scores }: PlanRequest["render"]): readonly ("mp4" | "frames")[] {
  const needsMp4 = outputs.includes("mp4") || scores !== undefined;
  const needsFrames = outputs.includes("frames") || outputs.includes("panels");
  return [...(needsMp4 ? (["mp4"] as const) : []), ...(needsFrames ? (["frames"] as const) : [])];
}

/** The task that makes pixels of latents. */
export function decodeStep({ render, model }: PlanRequest, latents: string): Step {
  const names = decodedOutputs(render);
  return {
    stage: "vae_decode",
    label: "decode",
    engines: ["vae_decode"],
    parameters: { vaeDecode: { outputs: names.map((name) => `OUTPUT_KIND_${name.toUpperCase()}`) } },
    constants: { fps: model.fps },
    inputs: [{ name: "latents", source: { kind: "task", contentKey: latents, output: "latents" } }],
    artifacts: names.filter((name) => render.outputs.includes(name)),
  };
}

/** What comes after it: `decoded` is its key. */
export function clipSteps(request: PlanRequest, decoded: string): readonly Step[] {
  const { render } = request;
  return [
    ...(render.outputs.includes("panels") ? [panelsStep(request, decoded)] : []),
    ...(render.scores?.metrics ?? []).map((metric) => scoreStep(request, metric, decoded)),
  ];
}

function panelsStep({ render, model }: PlanRequest, decoded: string): Step {
  const [reference] = render.references;
  const selection = render.frameSelection === "first" ? "FRAME_SELECTION_FIRST" : "FRAME_SELECTION_EVENLY";
  return {
    stage: "panels",
    label: "panels",
    engines: [],
    parameters: { panels: { frameSelection: selection, fps: model.fps } },
    inputs: [
      { name: "frames", source: { kind: "task", contentKey: decoded, output: "frames" } },
      { name: "reference", source: { kind: "upload", sha256: reference?.sha256 ?? "" } },
      { name: "target", source: { kind: "upload", sha256: render.target?.sha256 ?? "" } },
    ],
    artifacts: ["panels"],
  };
}

function scoreStep({ render, metrics }: PlanRequest, metric: MetricName, decoded: string): Step {
  if (metrics === undefined) {
    throw new FarmError("METRICS_UNKNOWN", { message: `the farm has no metric repository "${render.scores?.metricsModel ?? ""}"` });
  }
  const { engines, needsPrompt, needsImage } = metricNeeds[metric];
  const image: TaskInput = { name: "image", source: { kind: "upload", sha256: render.image.sha256 } };
  return {
    stage: scoreStage(metric),
    label: "",
    engines,
    parameters: { score: { metric, ...(needsPrompt ? { prompt: render.prompt } : {}) } },
    inputs: [{ name: "video", source: { kind: "task", contentKey: decoded, output: "mp4" } }, ...(needsImage ? [image] : [])],
    artifacts: [metric],
    holder: metrics,
  };
}

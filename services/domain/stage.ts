import { type MetricEngine, metricEngines, type MetricName, metricNames, metricNeeds, metricVersions } from "./vbench/metric.ts";

/** The kinds of step by which a video comes to be, in the order in which a render goes through them. */
const renderStages = ["prepare", "text_encode", "clip_encode", "vae_encode", "denoise", "vae_decode", "panels"] as const;
type RenderStage = (typeof renderStages)[number];

/** A metric of the finished clip. */
export type ScoreStage = `score/${MetricName}`;

export type StageName = RenderStage | ScoreStage;

/** The kinds of step that a render is made of (design §3), in the order in which it goes through them. */
export const stageNames: readonly StageName[] = [...renderStages, ...metricNames.map(scoreStage)];

/** The stage that computes a metric. */
export function scoreStage(metric: MetricName): ScoreStage {
  return `score/${metric}`;
}

/** The metric that a stage computes, if it does. */
export function metricOfStage(stage: string): MetricName | undefined {
  return metricNames.find((metric) => scoreStage(metric) === stage);
}

/**
 * Version of each stage's code, part of every content key: raise one when its results may change for equal
 * inputs, so that what an older release stored is not taken for new.
 */
const renderCodeVersions: Readonly<Record<RenderStage, number>> = {
  prepare: 1,
  text_encode: 2,
  clip_encode: 1,
  vae_encode: 1,
  denoise: 1,
  vae_decode: 1,
  panels: 1,
};

/** Version of a stage's code; of a score, that of its metric. */
export function stageCodeVersion(stage: StageName): number {
  const metric = metricOfStage(stage);
  return metric === undefined ? renderCodeVersions[stage as RenderStage] : metricVersions[metric];
}

/** Engine → the stage that it computes. A stage may have one engine for a single frame and another for a clip. */
export const stageOfEngine = {
  text_encode: "text_encode",
  clip_encode: "clip_encode",
  vae_encode_image: "vae_encode",
  vae_encode: "vae_encode",
  denoise: "denoise",
  vae_decode: "vae_decode",
} as const satisfies Readonly<Record<string, StageName>>;

export type EngineName = keyof typeof stageOfEngine;

/** Whether it is an engine of a model that renders. */
export function isEngineName(name: string): name is EngineName {
  return Object.hasOwn(stageOfEngine, name);
}

/**
 * What a worker must hold to run a task of the stage: `<stage>/<digest of its first engine>`, `prepare/-` where it needs none. The stage is
 * spelled without a slash of its own, so that the digest is always what follows the slash.
 */
export function shapeOf(stage: StageName, engineDigests: readonly string[]): string {
  return `${stage.replace("/", ".")}/${engineDigests[0] ?? "-"}`;
}

/** Stages that need no engine: a worker that knows them runs them whatever it holds. */
export const stagesWithoutEngine: readonly StageName[] = [
  "prepare",
  "panels",
  ...metricNames.filter((metric) => metricNeeds[metric].engines.length === 0).map(scoreStage),
];

/** Whether an engine is one of a metric. */
export function isMetricEngine(name: string): name is MetricEngine {
  return (metricEngines as readonly string[]).includes(name);
}

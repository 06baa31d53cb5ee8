/**
 * What a StartRun asks for: what is wrong with it, the renders that it means, and what tells it from another.
 *
 * Pure but for hashing. A row's image is frame 0 of its target; its references, prompts and seed are the row's. Renders are judged by the rules of
 * every render: what they find of a setting is told as the request's field, what they find of a row as that row's.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../domain/content-key.ts";
import { numberRule, type RuleViolation, unknownValue, violation, type Violations } from "../../domain/field-rules.ts";
import type { JobRequest, RenderRequest } from "../../domain/render-request.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import { type SuiteRow, titleRule } from "../../domain/suite-rules.ts";
import { StartRunRequest } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { SuiteView } from "../store/store-contract.ts";
import type { ServedMetrics, ServedModel } from "./served-model.ts";
import { choiceOf, metrics as metricNumbers, runReuses, schedulers } from "./wire-names.ts";

/** Renders of one run: what a manifest may have. */
const maxRenders = 200_000;
const maxSeeds = 100;
/** Raised when what a run's numbers depend on is written down otherwise. */
const settingsVersion = 1;

/** Renders for each row. */
export function seedsOf({ seeds }: StartRunRequest): number {
  return seeds === 0 ? 1 : seeds;
}

/** Positions of the rows, in order. */
export function rowsOf({ rows }: StartRunRequest, { rowCount }: SuiteView): readonly number[] {
  return rows.length === 0 ? Array.from({ length: rowCount }, (_, position) => position) : rows.toSorted((one, other) => one - other);
}

/** What is asked of the run's job. */
export function jobRequestOf(request: StartRunRequest, idempotencyKey: string): JobRequest {
  const asked = choiceOf(runReuses, request.reuse);
  const reuse = asked === "unspecified" ? "inputs" : asked;
  return { idempotencyKey, jobClass: "benchmark", priority: request.priority, deadline: undefined, reuse };
}

/** What is wrong with the request itself; its job, renders and metrics are judged elsewhere. */
export function runViolations(request: StartRunRequest, suite: SuiteView): Violations {
  const { metrics, withoutMetrics, metricsModel, label } = request;
  const isEither = withoutMetrics && (metrics.length > 0 || metricsModel !== "");
  return [
    ...numberRule("seeds", { value: request.seeds, min: 0, max: maxSeeds }),
    ...rowViolations(request, suite),
    ...(isEither ? [violation("without_metrics", "is set, and metrics are named", "leave out one of them")] : []),
    ...(label === "" ? [] : titleRule("label", label)),
    ...metrics.flatMap((metric, index) => {
      const choice = choiceOf(metricNumbers, metric);
      return choice === "unspecified" || choice === "unrecognized" ? [unknownValue(`metrics[${index}]`)] : [];
    }),
  ];
}

function rowViolations(request: StartRunRequest, suite: SuiteView): Violations {
  const { rows } = request;
  const seen = new Set<number>();
  const found: RuleViolation[] = [];
  for (const [index, row] of rows.entries()) {
    const field = `rows[${index}]`;
    found.push(...numberRule(field, { value: row, min: 0, max: suite.rowCount - 1 }));
    if (seen.has(row)) found.push(violation(field, `names row ${row} again`, "name each row once"));
    seen.add(row);
    if (found.length > 20) return found;
  }
  const renders = (rows.length === 0 ? suite.rowCount : rows.length) * seedsOf(request);
  if (renders <= maxRenders) return found;
  return [...found, violation("seeds", `make ${renders} renders, more than ${maxRenders}`, "choose fewer rows or seeds")];
}

/** The render of a row, with the row's own seed. */
export function renderOf(row: SuiteRow, request: StartRunRequest): RenderRequest {
  const { metricsModel, metrics, withoutMetrics, panels, steps, guidanceScale } = request;
  return {
    model: request.model,
    image: { sha256: row.targetSha256 },
    prompt: row.caption,
    negativePrompt: undefined,
    references: row.referenceSha256s.map((sha256) => ({ sha256 })),
    referencePrompts: row.referenceCaptions,
    seed: row.seed,
    steps,
    guidance: guidanceScale === undefined ? undefined : { scale: guidanceScale },
    scheduler: choiceOf(schedulers, request.scheduler),
    frameSelection: "unspecified",
    outputs: panels ? ["mp4", "panels"] : ["mp4"],
    width: undefined,
    height: undefined,
    frames: undefined,
    ...(panels ? { target: { sha256: row.targetSha256 } } : {}),
    ...(withoutMetrics ? {} : { scores: { metricsModel, metrics: metrics.map((metric) => choiceOf(metricNumbers, metric)) } }),
  };
}

/** Fields of a render that are the run's settings, as the request names them. */
const settings: Readonly<Record<string, string>> = {
  model: "model",
  steps: "steps",
  "guidance.scale": "guidance_scale",
  scheduler: "scheduler",
  "scores.metrics_model": "metrics_model",
  "scores.metrics": "metrics",
};

/** A violation of a row's render (fields as of a render under the name "") as one of the request. */
export function violationOfRow(found: RuleViolation, position: number): RuleViolation {
  const field = found.field.replace(/^\./, "");
  return { ...found, field: settings[field] ?? `suite.rows[${position}].${field}` };
}

/** What a run is made with. */
export type RunParts = {
  readonly suite: SuiteView;
  readonly model: ServedModel;
  /** Undefined: nothing is scored. */
  readonly metrics: ServedMetrics | undefined;
  /** Of any of its rows: the settings are the same in all of them. */
  readonly spec: RenderSpec;
};

/** Names the request itself; hex. The key apart, every field counts as it was sent. */
export function requestDigest(request: StartRunRequest, { suiteId }: SuiteView): string {
  const bytes = StartRunRequest.encode({ ...request, suite: suiteId, idempotencyKey: "" }).finish();
  return createHash("sha256").update("StartRun\n").update(bytes).digest("hex");
}

/** Names what the request comes to with the model and the metric networks as they are: the same is the same run; hex. */
export function runDigest(request: StartRunRequest, { suite, model, metrics, spec }: RunParts): string {
  const rows = rowsOf(request, suite);
  return hashOf({
    suiteId: suite.suiteId,
    rows: rows.length === suite.rowCount ? null : rows,
    model: spec.model,
    modelDigest: model.digest,
    metricsModel: metrics?.reference ?? "",
    metricsDigest: metrics?.digest ?? "",
    metrics: spec.scores?.metrics.toSorted() ?? [],
    seeds: seedsOf(request),
    reuse: jobRequestOf(request, "").reuse,
    panels: request.panels,
    steps: spec.steps,
    guidanceScale: spec.guidanceScale,
    scheduler: spec.scheduler,
    priority: request.priority,
    label: request.label,
  });
}

/** Names everything that decides a run's numbers but its rows; hex. */
export function settingsDigest(seeds: number, { model, metrics, spec }: RunParts): string {
  const { steps, guidanceScale, dynamicGuidance, scheduler } = spec;
  const metricEngines = metrics?.engineDigests ?? {};
  return hashOf({ settingsVersion, modelDigest: model.digest, metricEngines, steps, guidanceScale, dynamicGuidance, scheduler, seeds });
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

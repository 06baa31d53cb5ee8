/**
 * What is wrong with the scores and panels that a render asks for, and what an unsaid choice of theirs is.
 *
 * Pure: the metric repositories are arguments. A repository that is not named is the only one that a bare name names.
 */
import { type RuleViolation, unknownValue, violation, type Violations } from "./field-rules.ts";
import { isModelName } from "./model-reference.ts";
import type { RenderRequest, ScoreRequest } from "./render-request.ts";
import type { MetricName } from "./vbench/metric.ts";

/** A repository of metric networks, by what it can compute; `name` is what a render that asks for it is pinned to. */
export type MetricsFacts = { readonly name: string; readonly metrics: readonly MetricName[] };

/** Metric repositories by everything that names them. */
export type KnownMetrics = ReadonlyMap<string, MetricsFacts>;

/** Everything that is wrong with them; fields as a RenderSpec's. */
export function scoreViolations({ scores, outputs, target }: RenderRequest, known: KnownMetrics): Violations {
  const lacksTarget = outputs.includes("panels") && target === undefined;
  const missing = violation("target", "is missing", "name the clip that stands in the middle of the panels, or ask for no panels");
  return [...(lacksTarget ? [missing] : []), ...(scores === undefined ? [] : requestViolations(scores, known))];
}

function requestViolations({ metricsModel, metrics }: ScoreRequest, known: KnownMetrics): Violations {
  const repository = repositoryOf(metricsModel, known);
  const doubled = metrics.filter((metric, index) => metrics.indexOf(metric) !== index);
  return [
    ...(repository === undefined ? [repositoryViolation(metricsModel, known)] : lackViolations(metrics, repository)),
    ...doubled.map((metric) => violation("scores.metrics", `names ${metric} again`, "name each metric once")),
    ...metrics.flatMap((metric, index) =>
      metric === "unrecognized" || metric === "unspecified" ? [unknownValue(`scores.metrics[${index}]`)] : [],
    ),
  ];
}

function repositoryOf(name: string, known: KnownMetrics): MetricsFacts | undefined {
  if (name !== "") return known.get(name);
  const [only, ...others] = [...known].filter(([each]) => isModelName(each));
  return others.length === 0 ? only?.[1] : undefined;
}

function repositoryViolation(name: string, known: KnownMetrics): RuleViolation {
  const names = [...known.keys()].sort().join(", ");
  const reason = name === "" ? "is not named" : `"${name.slice(0, 80)}" is no metric repository of this farm`;
  const remedy =
    names === "" ? "add a metric repository, such as models/demo-metrics, to the farm and to one of its pools" : `choose one of: ${names}`;
  return { ...violation("scores.metrics_model", reason, remedy), code: "METRICS_UNKNOWN" };
}

function lackViolations(metrics: ScoreRequest["metrics"], { name, metrics: computable }: MetricsFacts): Violations {
  if (computable.length === 0) return [violation("scores.metrics_model", `${name} has no networks`, "export the repository again")];
  const can: readonly string[] = computable;
  return metrics
    .filter((metric) => metric !== "unrecognized" && metric !== "unspecified" && !can.includes(metric))
    .map((metric) => ({
      ...violation("scores.metrics", `${name} lacks the networks of ${metric}`, `choose of: ${can.join(", ")}`),
      code: "METRICS_UNKNOWN",
    }));
}

/** The request with its repository and its metrics named; one that has violations stays as it is. */
export function resolveScores(request: RenderRequest, known: KnownMetrics): RenderRequest {
  const { scores } = request;
  const repository = scores === undefined ? undefined : repositoryOf(scores.metricsModel, known);
  if (scores === undefined || repository === undefined) return request;
  const metrics = scores.metrics.length === 0 ? repository.metrics : scores.metrics;
  return { ...request, scores: { metricsModel: repository.name, metrics } };
}

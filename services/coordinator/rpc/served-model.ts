/**
 * A model that the farm serves, as methods see it: what renders are checked against, and the planner of their graphs.
 */
import type { ModelFacts } from "../../domain/render-request.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedMetrics, PlannedTask } from "../../domain/planned-task.ts";
import type { MetricName } from "../../domain/vbench/metric.ts";
import type { ModelManifest } from "../../platform/models/manifest.ts";
import type { Reuse } from "../store/store-contract.ts";

/** Whose plan it is: what decides which results it may share. */
export type PlanOwner = { readonly jobId: string; readonly tenant: string; readonly reuse: Reuse };

/** What the farm knows of a model. */
export type ServedModel = {
  /** Its name is the reference. */
  readonly facts: ModelFacts;
  readonly manifest: ModelManifest;
  /** What a job that uses it is pinned to: the name of a plain folder's model, `<name>:<version>` of one that was pushed. */
  readonly reference: string;
  /** That name the version now. */
  readonly aliases: readonly string[];
  /** Of what plans are made from (hex SHA-256): another digest is another model. */
  readonly digest: string;
  /** Name of the pool that renders it. */
  readonly pool: string;
  /** Why no worker of that pool can ever run it; undefined: it can. */
  readonly tooLarge?: string | undefined;
  /** Of what a render's plan is made from: the model, and the networks that measure it as they are now. */
  digestFor(render: RenderSpec): string;
  plan(render: RenderSpec, owner: PlanOwner): readonly PlannedTask[];
};

/** A repository of metric networks that the farm serves. */
export type ServedMetrics = PlannedMetrics & {
  /** As of a ServedModel. */
  readonly reference: string;
  readonly aliases: readonly string[];
  readonly weights: "random" | "trained";
  /** Of its engines' digests (hex SHA-256): another digest gives other numbers. */
  readonly digest: string;
  /** What it can compute. */
  readonly metrics: readonly MetricName[];
};

/** Metric repositories by everything that names them, as they are now; several names may mean one. */
export type MetricRepositories = () => Promise<ReadonlyMap<string, ServedMetrics>>;

/** Models by everything that names them, as they are now; several names may mean one. */
export type ServedModels = () => Promise<ReadonlyMap<string, ServedModel>>;

/** What renders are checked against. */
type Serving = { readonly models: ServedModels; readonly metrics: MetricRepositories };

/** The same with models and metric repositories as they are now: a job that is checked part by part keeps to one version of each. */
export async function withModelsOfNow<D extends Serving>(dependencies: D): Promise<D> {
  const [models, metrics] = await Promise.all([dependencies.models(), dependencies.metrics()]);
  return { ...dependencies, models: () => Promise.resolve(models), metrics: () => Promise.resolve(metrics) };
}

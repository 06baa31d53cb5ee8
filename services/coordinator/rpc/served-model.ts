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
  readonly facts: ModelFacts;
  readonly manifest: ModelManifest;
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
  readonly weights: "random" | "trained";
  /** Of its engines' digests (hex SHA-256): another digest gives other numbers. */
  readonly digest: string;
  /** What it can compute. */
  readonly metrics: readonly MetricName[];
};

/** Metric repositories by name, as they are now. */
export type MetricRepositories = () => Promise<ReadonlyMap<string, ServedMetrics>>;

/** Models by name, as they are now. */
export type ServedModels = () => Promise<ReadonlyMap<string, ServedModel>>;

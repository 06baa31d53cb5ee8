/**
 * A coordinator's metrics, wired to what they tell of.
 */
import { createArtifactMetrics, measureStore } from "../platform/artifacts/measured-store.ts";
import type { Logger } from "../platform/logging.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import { registerBuild, registerConnection } from "../platform/process-metrics.ts";
import { createSampler, type Sampler } from "../platform/sample.ts";
import type { CoordinatorConfig } from "./config.ts";
import { type CoordinatorMetrics, createCoordinatorMetrics } from "./metrics.ts";
import type { Resources } from "./resources.ts";

export type MetricParts = {
  /** What is scraped. */
  readonly registry: Metrics;
  /** Reads of the store that scrapes show: one after another. */
  readonly sampler: Sampler;
  /** Where the parts tell what happens. */
  readonly metrics: CoordinatorMetrics;
  /** The same resources, whose artifacts are moved under a clock. */
  readonly resources: Resources;
};

export type MetricOptions = {
  readonly config: Pick<CoordinatorConfig, "VAPFARM_POOLS">;
  readonly resources: Resources;
  readonly logger: Logger;
  readonly version: string;
  readonly sampleMs: number;
};

/** Registers everything that a coordinator exports. */
export function createMetricParts({ config, resources, logger, version, sampleMs }: MetricOptions): MetricParts {
  const registry = createMetrics();
  registerBuild(registry, { component: "coordinator", version });
  registerConnection(registry)(resources.broker);
  const pools = config.VAPFARM_POOLS.map(({ name }) => name);
  const sampler = createSampler({ clock: () => performance.now(), logger, leastAgeMs: sampleMs });
  return {
    registry,
    sampler,
    metrics: createCoordinatorMetrics(registry, { store: resources.store, pools, sampler }),
    resources: { ...resources, artifacts: measureStore(resources.artifacts, createArtifactMetrics(registry)) },
  };
}

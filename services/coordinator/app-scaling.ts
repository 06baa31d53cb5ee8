/**
 * The parts of scaling: what the cluster is seen through, and the two duties. Nothing where VAPFARM_SCALING is not set.
 */
import type { Component } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Sampler } from "../platform/sample.ts";
import type { CoordinatorConfig } from "./config.ts";
import type { Announcer } from "./dispatch/announcer.ts";
import type { Duty, DutySpec } from "./duties/duty.ts";
import type { ClusterNode, ClusterPod, Source } from "./kube/cluster.ts";
import { createDisruptions } from "./kube/disruption-duty.ts";
import { createInformer, type Informer } from "./kube/informer.ts";
import { createScalingMetrics } from "./kube/metrics.ts";
import { createScaling } from "./kube/scaling-duty.ts";
import type { Resources } from "./resources.ts";
import type { Aftermath } from "./store/store-contract.ts";

export type ScalingPartsOptions = {
  readonly config: Pick<CoordinatorConfig, "VAPFARM_SCALING">;
  readonly resources: Pick<Resources, "store" | "openCluster">;
  readonly registry: Metrics;
  readonly sampler: Sampler;
  readonly logger: Logger;
  readonly timings: { readonly scalingMs: number; readonly dutyHoldMs: number };
  readonly announcer: Pick<Announcer, "announce">;
  readonly dutyOf: (spec: DutySpec) => Duty;
};

/** After a failure the cluster is watched again so soon at first, and after so many rounds at last. */
const firstWaitMs = 500;
const mostWaitRounds = 6;

/** In the order in which they start. */
export function createScalingParts(options: ScalingPartsOptions): readonly Component[] {
  const { config, resources, registry, sampler, logger, timings, announcer, dutyOf } = options;
  const { VAPFARM_SCALING: settings } = config;
  const { store, openCluster } = resources;
  const { scalingMs: intervalMs, dutyHoldMs } = timings;
  if (settings === undefined) return [];
  const { pools, unknownTaskMs } = settings;
  const names = pools.map(({ name }) => name);
  const onCommitted = (aftermath: Aftermath): void => announcer.announce([aftermath]);
  const metrics = createScalingMetrics(registry, { store, pools: names, sampler });
  const cluster = openCluster?.(metrics.onAnswer);
  const nudges: (() => void)[] = [];
  const nudge = (): void => nudges.forEach((each) => each());
  const watch = <T extends { readonly name: string }>(name: string, source: Source<T>): Informer<T> => {
    const waits = { firstWaitMs: Math.min(firstWaitMs, intervalMs), mostWaitMs: mostWaitRounds * intervalMs };
    return createInformer({ name, source, logger, onChange: nudge, draw: Math.random, clock: () => performance.now(), ...waits });
  };
  const pods = cluster && watch<ClusterPod>("pods", cluster.pods);
  const nodes = cluster && settings.watchNodes ? watch<ClusterNode>("nodes", cluster.nodes) : undefined;
  const now = (): number => Date.now();
  const { onScaled, onDisrupted } = metrics;
  const scaling = dutyOf(
    createScaling({ store, pools, cluster, pods, unknownTaskMs, intervalMs, budgetMs: dutyHoldMs / 2, now, logger, onCommitted, onScaled }),
  );
  if (pods === undefined) return [scaling];
  const disruptions = dutyOf(createDisruptions({ store, pools: names, pods, nodes, intervalMs, now, logger, onCommitted, onDisrupted }));
  nudges.push(() => disruptions.nudge());
  return [pods, ...(nodes === undefined ? [] : [nodes]), disruptions, scaling];
}

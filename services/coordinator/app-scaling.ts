/**
 * The parts of scaling: what the cluster is seen through, and the two duties. Nothing where VAPFARM_SCALING is not set.
 */
import type { Component } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Duty, DutySpec } from "./duties/duty.ts";
import type { ClusterNode, ClusterPod, Source } from "./kube/cluster.ts";
import { createDisruptions } from "./kube/disruption-duty.ts";
import { createInformer, type Informer } from "./kube/informer.ts";
import { createScalingMetrics } from "./kube/metrics.ts";
import type { OpenCluster } from "./kube/open-cluster.ts";
import { createScaling } from "./kube/scaling-duty.ts";
import type { ScalingSettings } from "./kube/settings.ts";
import type { Aftermath, Store } from "./store/store-contract.ts";

export type ScalingPartsOptions = {
  readonly settings: ScalingSettings | undefined;
  readonly openCluster: OpenCluster | undefined;
  readonly store: Store;
  readonly registry: Metrics;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly watchWaitMs: { readonly firstMs: number; readonly mostMs: number };
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly dutyOf: (spec: DutySpec) => Duty;
};

/** In the order in which they start. */
export function createScalingParts(options: ScalingPartsOptions): readonly Component[] {
  const { settings, store, registry, logger, intervalMs, onCommitted, dutyOf } = options;
  if (settings === undefined) return [];
  const metrics = createScalingMetrics(registry, store, logger);
  const cluster = options.openCluster?.(metrics.onAnswer);
  const nudges: (() => void)[] = [];
  const nudge = (): void => nudges.forEach((each) => each());
  const watch = <T extends { readonly name: string }>(name: string, source: Source<T>): Informer<T> => {
    const { firstMs: firstWaitMs, mostMs: mostWaitMs } = options.watchWaitMs;
    const clock = (): number => performance.now();
    return createInformer({ name, source, logger, onChange: nudge, draw: Math.random, firstWaitMs, mostWaitMs, clock });
  };
  const pods = cluster && watch<ClusterPod>("pods", cluster.pods);
  const nodes = cluster && settings.watchNodes ? watch<ClusterNode>("nodes", cluster.nodes) : undefined;
  const now = (): number => Date.now();
  const { pools, unknownTaskMs } = settings;
  const { onScaled, onDisrupted } = metrics;
  const scaling = dutyOf(createScaling({ store, pools, cluster, pods, unknownTaskMs, intervalMs, now, logger, onCommitted, onScaled }));
  if (pods === undefined) return [scaling];
  const names = pools.map(({ name }) => name);
  const disruptions = dutyOf(createDisruptions({ store, pools: names, pods, nodes, intervalMs, now, logger, onCommitted, onDisrupted }));
  nudges.push(() => disruptions.nudge());
  return [pods, ...(nodes === undefined ? [] : [nodes]), disruptions, scaling];
}

/**
 * The coordinator's metrics (deploy/METRICS.md), put together of their groups.
 *
 * What the store knows is read from it at scrapes, so that every replica shows the same; counters are this process's own.
 */
import { type Metrics, startAtZero } from "../platform/metrics.ts";
import type { Sampler } from "../platform/sample.ts";
import type { DispatchObserver } from "./dispatch/dispatch-service.ts";
import { type AttemptMetrics, createAttemptMetrics } from "./metrics/attempts.ts";
import { registerBenchmarks } from "./metrics/benchmarks.ts";
import { registerBooks } from "./metrics/books.ts";
import { type CallMetrics, createCallMetrics } from "./metrics/calls.ts";
import { type FleetStore, registerFleet } from "./metrics/fleet.ts";
import { type QueueStore, registerQueue } from "./metrics/queue.ts";
import { createRoundMetrics, type RoundMetrics } from "./metrics/rounds.ts";
import { createSteeringMetrics, type SteeringMetrics } from "./metrics/steering.ts";
import { registerStoreHealth } from "./metrics/store-health.ts";
import type { BooksStore, MeasureStore } from "./store/store-contract.ts";

export type CoordinatorMetrics = DispatchObserver &
  Pick<AttemptMetrics, "onAftermath"> &
  Omit<CallMetrics, "onAsk"> &
  Omit<SteeringMetrics, "onHold"> &
  RoundMetrics;

type MeasuredStore = QueueStore & FleetStore & Pick<BooksStore, "usageTotals"> & Pick<MeasureStore, "newestScores" | "connectionMeasures">;

export type CoordinatorMetricsOptions = {
  readonly store: MeasuredStore;
  /** Those that the coordinator answers for. */
  readonly pools: readonly string[];
  /** How what is read from the store is read and shown. */
  readonly sampler: Sampler;
};

/** Registers the metrics. */
export function createCoordinatorMetrics(metrics: Metrics, { store, pools, sampler }: CoordinatorMetricsOptions): CoordinatorMetrics {
  registerQueue(metrics, { store, sampler, pools });
  registerFleet(metrics, { store, sampler, pools });
  registerBooks(metrics, { store, sampler, pools });
  registerBenchmarks(metrics, { store, sampler });
  registerStoreHealth(metrics, { store, sampler });
  const calls = createCallMetrics(metrics, pools);
  const { onHold, ...steering } = createSteeringMetrics(metrics);
  const rounds = createRoundMetrics(metrics, pools);
  const illegal = metrics.counter("vapfarm_illegal_transitions_total", "State changes that were refused as illegal; each one is a bug");
  startAtZero(illegal);
  const countIllegal = (code: string | undefined): void => {
    if (code === "TRANSITION_ILLEGAL") illegal.inc();
  };
  return {
    ...createAttemptMetrics(metrics, pools),
    ...steering,
    ...rounds,
    onRequest: calls.onRequest,
    onAsk(ask) {
      calls.onAsk(ask);
      countIllegal(ask.code);
    },
    onCall(call) {
      // Placing a hold waits for the claims that began before it: its answer is the last claim's bound.
      if (call.method === "PlaceHold" && call.code === "OK") onHold(call.seconds);
      calls.onCall(call);
      countIllegal(call.code);
    },
    onRound(round) {
      rounds.onRound(round);
      countIllegal(round.code);
    },
    onReap(outcome) {
      rounds.onReap(outcome);
      illegal.inc(outcome.refused);
    },
  };
}

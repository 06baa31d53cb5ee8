/**
 * The coordinator's metrics (RUNBOOK: "Metrics worth an alert"). Queue gauges are read from the database at each scrape, so that every
 * replica shows the same; counters are this process's own.
 */
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { DispatchObserver } from "./dispatch/dispatch-service.ts";
import type { Round } from "./duties/duty.ts";
import type { WebhookOutcome } from "./duties/webhooks.ts";
import type { AttemptReport, ExpansionStore, OverviewStore, ReapOutcome, ReportOutcome } from "./store/store-contract.ts";

export type CoordinatorMetrics = DispatchObserver & {
  readonly onCall: (call: { readonly method: string; readonly code: string; readonly seconds: number }) => void;
  readonly onRound: (round: Round) => void;
  readonly onReap: (outcome: ReapOutcome) => void;
  readonly onRepaired: (count: number) => void;
  readonly onExpanded: (renders: number) => void;
  readonly onUnsent: (rows: number) => void;
  readonly onWebhookTry: (outcome: WebhookOutcome) => void;
};

const callSeconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const stageSeconds = [0.05, 0.2, 1, 5, 20, 60, 300, 1_200, 3_600];

type CountedStore = Pick<OverviewStore, "queueCounts"> & Pick<ExpansionStore, "windowCounts">;

/** Registers the metrics; `store` is read at each scrape. */
export function createCoordinatorMetrics(metrics: Metrics, store: CountedStore, logger: Logger): CoordinatorMetrics {
  registerQueue(metrics, store, logger);
  registerWindows(metrics, store, logger);
  const calls = metrics.histogram({
    name: "vapfarm_rpc_seconds",
    help: "Duration of gRPC calls by method and code",
    labels: ["method", "code"],
    buckets: callSeconds,
  });
  const duties = metrics.counter("vapfarm_duty_rounds_total", "Rounds of duties by outcome", ["duty", "outcome"]);
  const lost = metrics.counter("vapfarm_lease_losses_total", "Sessions reaped because their lease ran out");
  const heldBack = metrics.counter("vapfarm_reap_held_back_total", "Rounds in which reaping was held back");
  const massLapses = metrics.counter("vapfarm_mass_lapses_total", "Rounds in which much of a pool had lapsed at once");
  const repairs = metrics.counter("vapfarm_sweep_repairs_total", "Repairs of what should never be; each one is a bug");
  const illegal = metrics.counter("vapfarm_illegal_transitions_total", "State changes that were refused as illegal; each one is a bug");
  const unsent = metrics.gauge("vapfarm_events_unsent", "Event rows not yet copied to JetStream, as the relay last saw them");
  const webhooks = metrics.counter("vapfarm_webhook_tries_total", "Tries to deliver webhooks by outcome", ["outcome"]);
  const expanded = metrics.counter("vapfarm_expanded_renders_total", "Renders that waited and were expanded, or failed for their model");
  const countOutcomes = createOutcomeCounter(metrics);
  const countIllegal = (code: string | undefined): void => {
    if (code === "TRANSITION_ILLEGAL") illegal.inc();
  };
  return {
    onCall({ method, code, seconds }) {
      calls.observe({ method, code }, seconds);
      countIllegal(code);
    },
    onRound({ duty, outcome, code }) {
      duties.inc({ duty, outcome });
      countIllegal(code);
    },
    onReap({ kind, sessions, massLapse }) {
      lost.inc(sessions);
      if (kind === "held_back") heldBack.inc();
      if (massLapse) massLapses.inc();
    },
    onRepaired: (count) => repairs.inc(count),
    onExpanded: (renders) => expanded.inc(renders),
    onUnsent: (rows) => unsent.set(rows),
    onWebhookTry: (outcome) => webhooks.inc({ outcome }),
    onFailure: countIllegal,
    onNext(ask, outcome) {
      if (outcome.kind === "answered" && !outcome.replayed) countOutcomes(ask.reports, outcome.reportOutcomes);
    },
    onReport(ask, answer) {
      if (answer.kind === "answered" && !answer.replayed) countOutcomes(ask.reports, answer.reportOutcomes);
    },
  };
}

function registerQueue(metrics: Metrics, store: Pick<OverviewStore, "queueCounts">, logger: Logger): void {
  const running = metrics.gauge("vapfarm_running_tasks", "Tasks that are running, by pool and stage", ["pool", "stage"]);
  metrics.sampledGauge({
    name: "vapfarm_queue_tasks",
    help: "Live tasks by pool, stage and state",
    labels: ["pool", "stage", "state"],
    async sample(gauge) {
      try {
        const counts = await store.queueCounts();
        gauge.reset();
        running.reset();
        for (const { pool, stage, state, count } of counts) {
          gauge.set({ pool, stage, state }, count);
          if (state === "running") running.set({ pool, stage }, count);
        }
      } catch (thrown) {
        logger.warn({ err: thrown }, "the queue could not be counted; the metrics are those of the last scrape");
      }
    },
  });
}

function registerWindows(metrics: Metrics, store: Pick<ExpansionStore, "windowCounts">, logger: Logger): void {
  const open = metrics.gauge("vapfarm_open_renders", "Renders that are expanded and have not ended, by pool", ["pool"]);
  metrics.sampledGauge({
    name: "vapfarm_waiting_renders",
    help: "Renders that wait for the window of their pool",
    labels: ["pool"],
    async sample(gauge) {
      try {
        const counts = await store.windowCounts();
        gauge.reset();
        open.reset();
        for (const { pool, waiting, open: renders } of counts) {
          gauge.set({ pool }, waiting);
          open.set({ pool }, renders);
        }
      } catch (thrown) {
        logger.warn({ err: thrown }, "the windows could not be counted; the metrics are those of the last scrape");
      }
    },
  });
}

function createOutcomeCounter(metrics: Metrics) {
  const attempts = metrics.counter("vapfarm_attempts_total", "Ended attempts by stage and outcome", ["stage", "outcome"]);
  const seconds = metrics.histogram({
    name: "vapfarm_stage_seconds",
    help: "Compute time of committed attempts by stage",
    labels: ["stage"],
    buckets: stageSeconds,
  });
  return (reports: readonly AttemptReport[], outcomes: readonly ReportOutcome[]): void => {
    const byId = new Map(reports.map((report) => [report.attemptId, report]));
    for (const { attemptId, disposition, stage = "unknown" } of outcomes) {
      const report = byId.get(attemptId);
      if (report === undefined || disposition === "already_committed") continue;
      attempts.inc({ stage, outcome: outcomeName(report, disposition) });
      if (disposition === "committed" && report.outcome.kind === "success") seconds.observe({ stage }, report.computeMs / 1000);
    }
  };
}

function outcomeName({ outcome }: AttemptReport, disposition: ReportOutcome["disposition"]): string {
  if (disposition === "superseded") return "superseded";
  if (outcome.kind === "success") return "succeeded";
  return outcome.abandoned ? "abandoned" : outcome.code;
}

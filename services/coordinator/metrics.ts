/**
 * The coordinator's metrics (RUNBOOK: "Metrics worth an alert"). Queue gauges are read from the database at each scrape, so that every
 * replica shows the same; counters are this process's own.
 */
import { nanosPerUnit } from "../domain/money.ts";
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { DispatchObserver } from "./dispatch/dispatch-service.ts";
import type { Round } from "./duties/duty.ts";
import type { WebhookOutcome } from "./duties/webhooks.ts";
import type {
  AttemptReport,
  BooksStore,
  ClaimView,
  DeadlineRound,
  ExpansionStore,
  HealthStore,
  JudgeOutcome,
  OverviewStore,
  PreemptionRound,
  ReapOutcome,
  ReportOutcome,
} from "./store/store-contract.ts";

export type CoordinatorMetrics = DispatchObserver & {
  readonly onCall: (call: { readonly method: string; readonly code: string; readonly seconds: number }) => void;
  readonly onRound: (round: Round) => void;
  readonly onReap: (outcome: ReapOutcome) => void;
  readonly onRepaired: (count: number) => void;
  readonly onExpanded: (renders: number) => void;
  readonly onUnsent: (rows: number) => void;
  readonly onWebhookTry: (outcome: WebhookOutcome) => void;
  readonly onJudged: (outcome: JudgeOutcome) => void;
  readonly onPreempted: (round: PreemptionRound) => void;
  readonly onDeadlines: (told: DeadlineRound["told"]) => void;
  readonly onUnbalanced: (attempts: number) => void;
};

type MeasuredStore = Pick<OverviewStore, "queueCounts"> &
  Pick<HealthStore, "healthCounts"> &
  Pick<BooksStore, "usageTotals"> &
  Pick<ExpansionStore, "windowCounts">;

const callSeconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const waitSeconds = [0.01, 0.1, 0.5, 2, 10, 60, 300, 1_800, 7_200, 43_200];
const levelSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300];
const stageSeconds = [0.05, 0.2, 1, 5, 20, 60, 300, 1_200, 3_600];

/** Registers the metrics; `store` is read at each scrape. */
export function createCoordinatorMetrics(metrics: Metrics, store: MeasuredStore, logger: Logger): CoordinatorMetrics {
  registerQueue(metrics, store, logger);
  registerHealth(metrics, store, logger);
  registerBooks(metrics, store, logger);
  registerWindows(metrics, store, logger);
  const calls = metrics.histogram({
    name: "vapfarm_rpc_seconds",
    help: "Duration of gRPC calls by method and code",
    labels: ["method", "code"],
    buckets: callSeconds,
  });
  const duties = metrics.counter("vapfarm_duty_rounds_total", "Rounds of duties by outcome", ["duty", "outcome"]);
  const countReaped = createReapCounter(metrics);
  const illegal = metrics.counter("vapfarm_illegal_transitions_total", "State changes that were refused as illegal; each one is a bug");
  const countOutcomes = createOutcomeCounter(metrics);
  const observeWait = createWaitObserver(metrics);
  const { onHold, ...steering } = createSteeringMetrics(metrics);
  const countIllegal = (code: string | undefined): void => {
    if (code === "TRANSITION_ILLEGAL") illegal.inc();
  };
  return {
    onCall({ method, code, seconds }) {
      // Placing a hold waits for the claims that began before it: its answer is the last claim's bound.
      if (method === "PlaceHold" && code === "OK") onHold(seconds);
      calls.observe({ method, code }, seconds);
      countIllegal(code);
    },
    onRound({ duty, outcome, code }) {
      duties.inc({ duty, outcome });
      countIllegal(code);
    },
    onReap(outcome) {
      countReaped(outcome);
      illegal.inc(outcome.refused);
    },
    ...createRoundCounters(metrics),
    onJudged: createJudgeCounter(metrics),
    ...steering,
    onFailure: countIllegal,
    onNext(ask, outcome) {
      if (outcome.kind !== "answered" || outcome.replayed) return;
      countOutcomes(ask.reports, outcome.reportOutcomes);
      observeWait(ask.worker.pool, outcome.claim);
    },
    onReport(ask, answer) {
      if (answer.kind === "answered" && !answer.replayed) countOutcomes(ask.reports, answer.reportOutcomes);
    },
  };
}

function createReapCounter(metrics: Metrics): (outcome: ReapOutcome) => void {
  const lost = metrics.counter("vapfarm_lease_losses_total", "Sessions reaped because their lease ran out");
  const heldBack = metrics.counter("vapfarm_reap_held_back_total", "Rounds in which reaping was held back");
  const massLapses = metrics.counter("vapfarm_mass_lapses_total", "Rounds in which much of a pool had lapsed at once");
  return ({ kind, sessions, massLapse }) => {
    lost.inc(sessions);
    if (kind === "held_back") heldBack.inc();
    if (massLapse) massLapses.inc();
  };
}

function createWaitObserver(metrics: Metrics): (pool: string, claim: ClaimView | undefined) => void {
  const waits = metrics.histogram({
    name: "vapfarm_wait_seconds",
    help: "Seconds that tasks were ready before a worker was given them",
    labels: ["pool", "class"],
    buckets: waitSeconds,
  });
  return (pool, claim) => {
    if (claim !== undefined) waits.observe({ pool, class: claim.jobClass }, claim.waitedMs / 1_000);
  };
}

/** What single duties found in a round. */
function createRoundCounters(
  metrics: Metrics,
): Pick<CoordinatorMetrics, "onRepaired" | "onExpanded" | "onUnsent" | "onWebhookTry" | "onUnbalanced"> {
  const repairs = metrics.counter("vapfarm_sweep_repairs_total", "Repairs of what should never be; each one is a bug");
  const unsent = metrics.gauge("vapfarm_events_unsent", "Event rows not yet copied to JetStream, as the relay last saw them");
  const webhooks = metrics.counter("vapfarm_webhook_tries_total", "Tries to deliver webhooks by outcome", ["outcome"]);
  const unbalanced = metrics.gauge("vapfarm_books_unbalanced", "Recent attempts that are not the sum of their entries; each one is a bug");
  const expanded = metrics.counter("vapfarm_expanded_renders_total", "Renders that waited and were expanded, or failed for their model");
  return {
    onRepaired: (count) => repairs.inc(count),
    onExpanded: (renders) => expanded.inc(renders),
    onUnsent: (rows) => unsent.set(rows),
    onWebhookTry: (outcome) => webhooks.inc({ outcome }),
    onUnbalanced: (attempts) => unbalanced.set(attempts),
  };
}

type StoreGauge = Parameters<Metrics["sampledGauge"]>[0] & {
  /** What is missing while the store does not answer. */
  readonly lost: string;
};

/** A gauge, and those that its sample sets beside it, read from the store at each scrape; they keep their values while it does not answer. */
function sampleStore(metrics: Metrics, logger: Logger, { lost, sample, ...gauge }: StoreGauge): void {
  metrics.sampledGauge({
    ...gauge,
    async sample(own) {
      try {
        await sample(own);
      } catch (thrown) {
        logger.warn({ err: thrown }, `${lost}; the metrics are those of the last scrape`);
      }
    },
  });
}

function registerQueue(metrics: Metrics, store: Pick<OverviewStore, "queueCounts">, logger: Logger): void {
  const running = metrics.gauge("vapfarm_running_tasks", "Tasks that are running, by pool and stage", ["pool", "stage"]);
  sampleStore(metrics, logger, {
    name: "vapfarm_queue_tasks",
    help: "Live tasks by pool, stage and state",
    labels: ["pool", "stage", "state"],
    lost: "the queue could not be counted",
    async sample(gauge) {
      const counts = await store.queueCounts();
      gauge.reset();
      running.reset();
      for (const { pool, stage, state, count } of counts) {
        gauge.set({ pool, stage, state }, count);
        if (state === "running") running.set({ pool, stage }, count);
      }
    },
  });
}

function registerHealth(metrics: Metrics, store: MeasuredStore, logger: Logger): void {
  const letters = metrics.gauge("vapfarm_dead_letters", "Tasks that failed for good and were not retried, by pool", ["pool"]);
  const engines = metrics.gauge("vapfarm_engines_quarantined", "Engines that a worker gets no work of, by pool", ["pool"]);
  sampleStore(metrics, logger, {
    name: "vapfarm_workers_suspended",
    help: "Workers that get nothing or one task at a time for their failures, by pool and state",
    labels: ["pool", "state"],
    lost: "the health of workers could not be counted",
    async sample(gauge) {
      const counts = await store.healthCounts();
      for (const each of [gauge, letters, engines]) each.reset();
      for (const { kind, pool, count } of counts) {
        if (kind === "dead letters") letters.set({ pool }, count);
        else if (kind === "quarantined") engines.set({ pool }, count);
        else gauge.set({ pool, state: kind }, count);
      }
    },
  });
}

function registerWindows(metrics: Metrics, store: Pick<ExpansionStore, "windowCounts">, logger: Logger): void {
  const open = metrics.gauge("vapfarm_open_renders", "Renders that are expanded and have not ended, by pool", ["pool"]);
  sampleStore(metrics, logger, {
    name: "vapfarm_waiting_renders",
    help: "Renders that wait for the window of their pool",
    labels: ["pool"],
    lost: "the windows could not be counted",
    async sample(gauge) {
      const counts = await store.windowCounts();
      gauge.reset();
      open.reset();
      for (const { pool, waiting, open: renders } of counts) {
        gauge.set({ pool }, waiting);
        open.set({ pool }, renders);
      }
    },
  });
}

/** From the totals of the ledger: the same on every replica, and kept over restarts. A late report moves time from one outcome to another. */
function registerBooks(metrics: Metrics, store: Pick<BooksStore, "usageTotals">, logger: Logger): void {
  const cost = metrics.gauge("vapfarm_cost_total", "Cost on the books in the farm's currency, by pool and outcome", ["pool", "outcome"]);
  sampleStore(metrics, logger, {
    name: "vapfarm_device_seconds_total",
    help: "Device time on the books by pool and outcome; all but committed is wasted",
    labels: ["pool", "outcome"],
    lost: "the books could not be read",
    async sample(gauge) {
      for (const { pool, outcome, deviceMs, costNanos } of await store.usageTotals()) {
        gauge.set({ pool, outcome }, deviceMs / 1_000);
        cost.set({ pool, outcome }, Number(costNanos) / Number(nanosPerUnit));
      }
    },
  });
}

function createJudgeCounter(metrics: Metrics): CoordinatorMetrics["onJudged"] {
  const suspensions = metrics.counter("vapfarm_worker_suspensions_total", "Workers that were suspended for their failures", ["pool"]);
  const spared = metrics.gauge(
    "vapfarm_worker_suspensions_held_back",
    "Workers not suspended though judged so: too few others, at the last round",
  );
  return ({ changes, heldBack }) => {
    for (const { state, pool } of changes) if (state === "suspended") suspensions.inc({ pool });
    spared.set(heldBack.length);
  };
}

function createSteeringMetrics(
  metrics: Metrics,
): Pick<CoordinatorMetrics, "onPreempted" | "onDeadlines"> & { readonly onHold: (seconds: number) => void } {
  const opened = metrics.counter("vapfarm_preemptions_total", "Runs that were told to make way, by what comes first", ["reason"]);
  const closed = metrics.counter("vapfarm_preemptions_closed_total", "Preemptions by how they ended", ["outcome"]);
  const deadlines = metrics.counter("vapfarm_deadlines_total", "Deadlines of jobs that are at risk or were missed", ["told"]);
  const seconds = metrics.histogram({
    name: "vapfarm_level_seconds",
    help: "Seconds from the commit that told attempts to stop until each had ended; of a hold until nothing new starts",
    labels: ["level"],
    buckets: levelSeconds,
  });
  return {
    onPreempted(round) {
      for (const reason of round.opened) opened.inc({ reason });
      for (const outcome of round.closed) closed.inc({ outcome });
      for (const { level, tookMs } of round.stops) seconds.observe({ level }, tookMs / 1000);
    },
    onDeadlines(told) {
      for (const what of told) deadlines.inc({ told: what });
    },
    onHold: (held) => seconds.observe({ level: "hold" }, held),
  };
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

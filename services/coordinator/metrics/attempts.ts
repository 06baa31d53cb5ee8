/**
 * What becomes of attempts and tasks: how they ended, how long they waited and computed, what runs again, what was there already.
 */
import { knownOr, type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type {
  Aftermath,
  AttemptReport,
  ClaimView,
  NextAsk,
  NextOutcome,
  ReportAnswer,
  ReportAsk,
  ReportOutcome,
} from "../store/store-contract.ts";
import { attemptOutcomes, classes, errorClasses, stages } from "./labels.ts";

export type AttemptMetrics = {
  readonly onNext: (ask: NextAsk, outcome: NextOutcome) => void;
  readonly onReport: (ask: ReportAsk, answer: ReportAnswer) => void;
  /** Once for each commit. */
  readonly onAftermath: (aftermath: Aftermath) => void;
};

const waitSeconds = [0.01, 0.1, 0.5, 2, 10, 60, 300, 1_800, 7_200, 43_200];
const stageSeconds = [0.05, 0.2, 1, 5, 20, 60, 300, 1_200, 3_600];

/** Registers them; pools are those that the coordinator answers for. */
export function createAttemptMetrics(metrics: Metrics, pools: readonly string[]): AttemptMetrics {
  const countOutcomes = createOutcomeCounter(metrics);
  const observeWait = createWaitObserver(metrics, pools);
  return {
    onNext(ask, outcome) {
      if (outcome.kind !== "answered" || outcome.replayed) return;
      countOutcomes(ask.reports, outcome.reportOutcomes);
      observeWait(ask.worker.pool, outcome.claim);
    },
    onReport(ask, answer) {
      if (answer.kind === "answered" && !answer.replayed) countOutcomes(ask.reports, answer.reportOutcomes);
    },
    onAftermath: createAftermathCounter(metrics),
  };
}

function createAftermathCounter(metrics: Metrics): AttemptMetrics["onAftermath"] {
  const retries = metrics.counter("vapfarm_retries_total", "Tasks that run again after a failure, by its class", ["class"]);
  const reused = metrics.counter("vapfarm_reused_tasks_total", "Tasks of renders whose content key was found done", ["stage"]);
  startAtZero(retries, seriesOf("class", errorClasses));
  startAtZero(reused, seriesOf("stage", stages));
  const knownClasses = new Set(errorClasses);
  const knownStages = new Set(stages);
  return ({ retried = [], reused: found = [] }) => {
    for (const { errorClass, count } of retried) retries.inc({ class: knownOr(knownClasses, errorClass) }, count);
    for (const { stage, count } of found) reused.inc({ stage: knownOr(knownStages, stage) }, count);
  };
}

function createWaitObserver(metrics: Metrics, pools: readonly string[]): (pool: string, claim: ClaimView | undefined) => void {
  const waits = metrics.histogram({
    name: "vapfarm_wait_seconds",
    help: "Seconds that tasks were ready before a worker was given them",
    labels: ["pool", "class"],
    buckets: waitSeconds,
  });
  startAtZero(waits, seriesOf("pool", pools, seriesOf("class", classes)));
  return (pool, claim) => {
    if (claim !== undefined) waits.observe({ pool, class: claim.jobClass }, claim.waitedMs / 1_000);
  };
}

function createOutcomeCounter(metrics: Metrics) {
  const attempts = metrics.counter("vapfarm_attempts_total", "Ended attempts by stage and outcome", ["stage", "outcome"]);
  const seconds = metrics.histogram({
    name: "vapfarm_stage_seconds",
    help: "Seconds that committed attempts computed, by stage",
    labels: ["stage"],
    buckets: stageSeconds,
  });
  startAtZero(attempts, seriesOf("stage", stages, seriesOf("outcome", ["succeeded", "superseded", "abandoned"])));
  startAtZero(seconds, seriesOf("stage", stages));
  const known = new Set(stages);
  return (reports: readonly AttemptReport[], outcomes: readonly ReportOutcome[]): void => {
    const byId = new Map(reports.map((report) => [report.attemptId, report]));
    for (const { attemptId, disposition, stage: told = "" } of outcomes) {
      const report = byId.get(attemptId);
      if (report === undefined || disposition === "already_committed") continue;
      const stage = knownOr(known, told);
      attempts.inc({ stage, outcome: knownOr(attemptOutcomes, outcomeName(report, disposition)) });
      if (disposition === "committed" && report.outcome.kind === "success") seconds.observe({ stage }, report.computeMs / 1_000);
    }
  };
}

function outcomeName({ outcome }: AttemptReport, disposition: ReportOutcome["disposition"]): string {
  if (disposition === "superseded") return "superseded";
  if (outcome.kind === "success") return "succeeded";
  return outcome.abandoned ? "abandoned" : outcome.code;
}

/**
 * Runs that are told to stop or to make way, and how soon they do.
 */
import { type Metrics, seriesOf, startAtZero } from "../../platform/metrics.ts";
import type { DeadlineRound, PreemptionRound } from "../store/store-contract.ts";

export type SteeringMetrics = {
  readonly onPreempted: (round: PreemptionRound) => void;
  readonly onDeadlines: (told: DeadlineRound["told"]) => void;
  /** A hold was placed: nothing new starts from now. */
  readonly onHold: (seconds: number) => void;
};

const levelSeconds = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300];

/** Registers them. */
export function createSteeringMetrics(metrics: Metrics): SteeringMetrics {
  const opened = metrics.counter("vapfarm_preemptions_total", "Runs that were told to make way, by what comes first", ["reason"]);
  const closed = metrics.counter("vapfarm_preemptions_closed_total", "Preemptions by how they ended", ["outcome"]);
  const deadlines = metrics.counter("vapfarm_deadlines_total", "Deadlines of jobs that are at risk or were missed", ["told"]);
  const seconds = metrics.histogram({
    name: "vapfarm_level_seconds",
    help: "Seconds from the commit that told attempts to stop until each had ended; of a hold until nothing new starts",
    labels: ["level"],
    buckets: levelSeconds,
  });
  startAtZero(opened, seriesOf("reason", ["class", "priority", "deadline"]));
  startAtZero(closed, seriesOf("outcome", ["given", "elsewhere", "unneeded", "withdrawn", "worker_gone", "expired"]));
  startAtZero(deadlines, seriesOf("told", ["at_risk", "missed"]));
  startAtZero(seconds, seriesOf("level", ["unwanted", "drain", "preempt", "hold"]));
  return {
    onPreempted(round) {
      for (const reason of round.opened) opened.inc({ reason });
      for (const outcome of round.closed) closed.inc({ outcome });
      for (const { level, tookMs } of round.stops) seconds.observe({ level }, tookMs / 1_000);
    },
    onDeadlines(told) {
      for (const what of told) deadlines.inc({ told: what });
    },
    onHold: (held) => seconds.observe({ level: "hold" }, held),
  };
}

/**
 * Whether the coordinators answer, reach what they need, and do what must happen by itself.
 */
import { type AlertGroup, farmWide, grew } from "./alert.ts";

const rounds = "vapfarm_duty_rounds_total";

/** Rounds a second of a duty: `by` and then the labels it is asked for. */
function roundsOf(selector: string, by: string, window: string): string {
  return `sum by (${by}) (rate(${rounds}{${selector}}[${window}]))`;
}

/** Duties whose rounds are minutes apart have an alert of their own, which looks back for an hour. */
const slowDuties = "books|collection|prune";

/** Codes of calls that failed for the farm's own reasons, not the caller's. */
const ownFaults = "INTERNAL|DATABASE_UNAVAILABLE|BROKER_UNAVAILABLE|ARTIFACT_STORE_UNAVAILABLE|DEADLINE_PASSED";

export const coordinatorAlerts: AlertGroup = {
  name: "vapfarm-coordinator",
  alerts: [
    {
      name: "VapfarmCoordinatorAbsent",
      severity: "critical",
      // Every coordinator exports it as long as it runs, with and without Postgres.
      expr: `absent(vapfarm_build_info{component="coordinator"})`,
      holds: "2m",
      summary: "No coordinator is scraped",
      description: "Nothing is accepted and nothing new is handed out. Runs go on until their outage limit (10 min).",
    },
    {
      name: "VapfarmTargetDown",
      severity: "warning",
      expr: 'up{job=~".*vapfarm.*"} == 0',
      holds: "2m",
      summary: "{{ $labels.job }} at {{ $labels.instance }} does not answer",
      description: "It is listed as running and cannot be scraped for two minutes: dead, frozen, or cut off.",
    },
    {
      name: "VapfarmDatabaseUnreachable",
      severity: "critical",
      // This duty needs Postgres and nothing else; a coordinator that does not hold it asks for it each round.
      expr: `${roundsOf('duty="promotion",outcome="failed"', "farm, instance", "2m")} > 0
unless ${roundsOf('duty="promotion",outcome!="failed"', "farm, instance", "2m")} > 0`,
      holds: "1m",
      summary: "Coordinator {{ $labels.instance }} does not reach Postgres",
      description: "Each of its rounds fails. With all coordinators so, nothing is accepted and nothing is lost.",
    },
    {
      name: "VapfarmBeatPathBroken",
      severity: "critical",
      expr: `${roundsOf('duty="canary",outcome="failed"', "farm", "2m")} > 0
unless ${roundsOf('duty="canary",outcome="ran"', "farm", "2m")} > 0`,
      holds: "1m",
      summary: "Beats do not travel through NATS into Postgres",
      description: "The canary's beats fail, so nothing is reaped; workers cannot renew leases and stop after their outage limit (10 min).",
    },
    {
      name: "VapfarmBrokerDisconnected",
      severity: "warning",
      expr: "vapfarm_nats_connected == 0",
      holds: "1m",
      summary: "{{ $labels.job }} at {{ $labels.instance }} is cut off from NATS",
      description: "It connects by itself as soon as it can; a worker's runs go on until its outage limit (10 min).",
    },
    {
      name: "VapfarmDatabaseSlow",
      severity: "warning",
      expr: "max by (farm, instance, purpose) (vapfarm_database_waiting) > 0",
      holds: "10m",
      summary: "{{ $value | humanize }} statements of {{ $labels.instance }} wait for a connection to Postgres ({{ $labels.purpose }})",
      description: "All of its connections have been busy for ten minutes: Postgres is slow, or too small for this farm.",
    },
    {
      name: "VapfarmValuesOld",
      severity: "warning",
      expr: "max by (farm, instance, sample) (vapfarm_sample_age_seconds) > 120",
      holds: "1m",
      summary: "The values “{{ $labels.sample }}” of {{ $labels.instance }} are {{ $value | humanizeDuration }} old",
      description: "They are read from Postgres; dashboards and alerts on them show what was.",
    },
    {
      name: "VapfarmDutyNotRunning",
      severity: "warning",
      expr: `sum by (farm, duty) (increase(${rounds}{duty!~"canary|relay|${slowDuties}"}[10m]))
unless sum by (farm, duty) (increase(${rounds}{duty!~"canary|relay|${slowDuties}",outcome="ran"}[10m])) > 0`,
      holds: "5m",
      summary: "The duty {{ $labels.duty }} does not run",
      description: "No coordinator has ended a round of it in 10 min; the coordinators' logs say why.",
    },
    {
      name: "VapfarmSlowDutyNotRunning",
      severity: "warning",
      expr: `sum by (farm, duty) (increase(${rounds}{duty=~"${slowDuties}"}[1h]))
unless sum by (farm, duty) (increase(${rounds}{duty=~"${slowDuties}",outcome="ran"}[1h])) > 0`,
      holds: "15m",
      summary: "The duty {{ $labels.duty }} does not run",
      description: "No coordinator has ended a round of it in an hour: old rows or artifacts stay, or the books are not checked.",
    },
    {
      name: "VapfarmEventsNotCopied",
      severity: "warning",
      expr: `sum by (farm) (increase(${rounds}{duty="relay"}[10m]))
unless sum by (farm) (increase(${rounds}{duty="relay",outcome="ran"}[10m])) > 0`,
      holds: "5m",
      summary: "Events are not copied to JetStream",
      description: "No round of the relay ended in 10 min. Nothing is lost, the log is in Postgres; who reads the stream hears nothing.",
    },
    {
      name: "VapfarmCallsFail",
      severity: "warning",
      expr: `sum by (farm) (rate(vapfarm_rpc_seconds_count{code=~"${ownFaults}"}[5m]))
/ sum by (farm) (rate(vapfarm_rpc_seconds_count[5m])) > 0.05`,
      holds: "5m",
      summary: "{{ $value | humanizePercentage }} of client calls fail for the farm's own reasons",
      description: "Codes of the farm, not of the caller; the panel “Failed calls” of the overview names them.",
    },
  ],
};

export const promiseAlerts: AlertGroup = {
  name: "vapfarm-promises",
  alerts: [
    {
      name: "VapfarmIllegalTransitions",
      severity: "warning",
      expr: `${grew("vapfarm_illegal_transitions_total", "1h", "farm")} > 0`,
      holds: "0s",
      summary: "{{ $value | humanize }} state changes were refused as illegal",
      description: "Nothing wrong was stored; something asked for it. Each one is a bug.",
    },
    {
      name: "VapfarmSweepRepairs",
      severity: "warning",
      expr: `${grew("vapfarm_sweep_repairs_total", "1h", "farm")} > 0`,
      holds: "0s",
      summary: "The sweep repaired {{ $value | humanize }} tasks that should never be so",
      description: "The work goes on. Each one is a bug, or a hand in the database.",
    },
    {
      name: "VapfarmBooksUnbalanced",
      severity: "warning",
      expr: "max by (farm) (vapfarm_books_unbalanced) > 0",
      holds: "0s",
      summary: "{{ $value | humanize }} attempts are not the sum of their ledger entries",
      description: "The coordinator's log names them. Bills of the last days are not to be trusted until it is understood.",
    },
    {
      name: "VapfarmDeadLetters",
      severity: "warning",
      expr: `${farmWide("vapfarm_dead_letters", "farm, pool")}
- (${farmWide("vapfarm_dead_letters offset 30m", "farm, pool")} or 0 * ${farmWide("vapfarm_dead_letters", "farm, pool")}) > 0`,
      holds: "0s",
      summary: "{{ $value | humanize }} more tasks of pool {{ $labels.pool }} failed for good",
      description: "Within 30 min, and nobody retried them. Suspected poison is among them where workers died of a task.",
    },
    {
      name: "VapfarmDeadlinesMissed",
      severity: "warning",
      expr: `${grew('vapfarm_deadlines_total{told="missed"}', "30m", "farm")} > 0`,
      holds: "0s",
      summary: "{{ $value | humanize }} jobs missed their deadline",
      description: "Within 30 min.",
    },
  ],
};

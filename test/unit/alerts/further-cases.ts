import type { FurtherCase } from "./alert-case.ts";

/** Each alert on growth: its series, and how far back it compares. */
const comparing: readonly (readonly [alert: string, series: string, minutes: number])[] = [
  ["VapfarmIllegalTransitions", 'vapfarm_illegal_transitions_total{farm="f",instance="c1"}', 60],
  ["VapfarmSweepRepairs", 'vapfarm_sweep_repairs_total{farm="f",instance="c1"}', 60],
  ["VapfarmDeadLetters", 'vapfarm_dead_letters{farm="f",instance="c1",pool="p"}', 30],
  ["VapfarmDeadlinesMissed", 'vapfarm_deadlines_total{farm="f",instance="c1",told="missed"}', 30],
  ["VapfarmLeaseLosses", 'vapfarm_lease_losses_total{farm="f",instance="c1"}', 15],
  ["VapfarmMassLapse", 'vapfarm_mass_lapses_total{farm="f",instance="c1"}', 15],
  ["VapfarmRuntimeRestarts", 'vapfarm_worker_runtime_restarts_total{farm="f",pool="p",instance="w1"}', 30],
  ["VapfarmCheckpointsFail", 'vapfarm_worker_checkpoints_total{farm="f",pool="p",instance="w1",outcome="failed"}', 30],
  ["VapfarmArtifactStoreErrors", 'vapfarm_artifact_seconds_count{farm="f",instance="w1",backend="s3",operation="put",code="INTERNAL"}', 15],
  ["VapfarmKubernetesCallsFail", 'vapfarm_kube_requests_total{farm="f",instance="c1",verb="patch",code="503"}', 15],
];

/** Scrapes fail for ten minutes from the 90th on; nothing grows. */
const gap = "9x89 stale _x9 9x160";

export const missedScrapes: readonly FurtherCase[] = comparing.map(([alert, series, minutes]) => {
  return { alert, quiet: { why: "scrapes failed, and nothing grew", series: { [series]: gap }, at: `${95 + minutes}m` } };
});

const built = (farm: string, instance: string): string =>
  `vapfarm_build_info{farm="${farm}",instance="${instance}",component="coordinator",version="1",node="v24"}`;
const rounds = (labels: string): string => `vapfarm_duty_rounds_total{farm="f",instance="c1",${labels}}`;
const coldStart = (loadS: number) => ({
  'vapfarm_ready_tasks{farm="f",instance="c1",pool="p",class="production"}': "3x60",
  'vapfarm_oldest_ready_seconds{farm="f",instance="c1",pool="p",class="production"}': "0+60x60",
  'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "2x60",
  'vapfarm_pool_load_seconds{farm="f",instance="c1",pool="p"}': `${loadS}x60`,
});

export const furtherCases: readonly FurtherCase[] = [
  {
    alert: "VapfarmCoordinatorAbsent",
    fires: {
      series: { [built("staging", "c1")]: "1x60", [built("prod", "c2")]: "1x10 stale" },
      at: "30m",
      labels: { farm: "prod" },
      summary: "No coordinator of farm prod is scraped",
    },
  },
  {
    alert: "VapfarmCoordinatorAbsent",
    quiet: {
      why: "a coordinator was replaced by another",
      series: { [built("prod", "c1")]: "1x10 stale", [built("prod", "c2")]: "_x9 1x60" },
      at: "30m",
    },
  },
  {
    alert: "VapfarmScalingStuck",
    quiet: {
      why: "a pool shrinks while its victims finish",
      series: {
        'vapfarm_pool_workers_desired{farm="f",instance="c1",pool="p"}': "2x60",
        'vapfarm_pool_workers_current{farm="f",instance="c1",pool="p"}': "8x60",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="busy"}': "2x60",
        'vapfarm_workers{farm="f",instance="c1",pool="p",state="cordoned"}': "6x60",
      },
      at: "45m",
    },
  },
  {
    alert: "VapfarmNoWorkerForWork",
    quiet: { why: "a pool comes from zero, its models take fifteen minutes to load", series: coldStart(900), at: "28m" },
  },
  {
    alert: "VapfarmNoWorkerForWork",
    fires: {
      series: coldStart(900),
      at: "32m",
      labels: { farm: "f", pool: "p" },
      summary: "Pool p has 3 ready tasks and no worker",
    },
  },
  {
    alert: "VapfarmDatabaseSlow",
    fires: {
      series: {
        'vapfarm_database_waiting{farm="f",instance="c1",purpose="main"}': Array.from({ length: 20 }, () => "5 0").join(" "),
      },
      at: "25m",
      labels: { farm: "f", instance: "c1", purpose: "main" },
      summary: "2.5 statements of c1 wait for a connection to Postgres (main)",
    },
  },
  {
    alert: "VapfarmDutyNotRunning",
    quiet: {
      why: "NATS is away: log tails do not come, of which the relay tells",
      series: { [rounds('duty="tails",outcome="failed"')]: "0+30x30", [rounds('duty="relay",outcome="failed"')]: "0+60x30" },
      at: "20m",
    },
  },
  {
    alert: "VapfarmDutyNotRunning",
    fires: {
      series: { [rounds('duty="tails",outcome="failed"')]: "0+30x30", [rounds('duty="relay",outcome="ran"')]: "0+60x30" },
      at: "20m",
      labels: { farm: "f", duty: "tails" },
      summary: "The duty tails does not run",
    },
  },
];

import type { AlertCase } from "./alert-case.ts";

const rounds = (labels: string): string => `vapfarm_duty_rounds_total{farm="f",instance="c1",${labels}}`;

export const coordinatorCases: readonly AlertCase[] = [
  {
    alert: "VapfarmCoordinatorAbsent",
    fires: {
      series: { 'vapfarm_build_info{component="worker"}': "1x10" },
      at: "5m",
      labels: { component: "coordinator" },
      summary: "No coordinator is scraped",
    },
    quiet: { why: "one of two is left", series: { 'vapfarm_build_info{component="coordinator",instance="c1"}': "1x10" }, at: "5m" },
  },
  {
    alert: "VapfarmTargetDown",
    fires: {
      series: { 'up{job="vapfarm-worker",instance="w1"}': "0x10", 'up{job="vapfarm-worker",instance="w2"}': "1x10" },
      at: "5m",
      labels: { job: "vapfarm-worker", instance: "w1" },
      summary: "vapfarm-worker at w1 does not answer",
    },
    quiet: {
      why: "it missed one scrape, and a program of others is down",
      series: { 'up{job="vapfarm-worker",instance="w1"}': "1 1 1 0 1 1 1", 'up{job="node",instance="n"}': "0x10" },
      at: "5m",
    },
  },
  {
    alert: "VapfarmDatabaseUnreachable",
    fires: {
      series: {
        [rounds('duty="promotion",outcome="failed"')]: "0+60x10",
        [rounds('duty="promotion",outcome="ran"')]: "500x10",
        'vapfarm_duty_rounds_total{farm="f",instance="c2",duty="promotion",outcome="ran"}': "0+120x10",
      },
      at: "8m",
      labels: { farm: "f", instance: "c1" },
      summary: "Coordinator c1 does not reach Postgres",
    },
    quiet: {
      why: "some rounds fail and others end",
      series: { [rounds('duty="promotion",outcome="failed"')]: "0+1x10", [rounds('duty="promotion",outcome="elsewhere"')]: "0+100x10" },
      at: "8m",
    },
  },
  {
    alert: "VapfarmBeatPathBroken",
    fires: {
      series: { [rounds('duty="canary",outcome="failed"')]: "0+60x10", [rounds('duty="canary",outcome="ran"')]: "0+60x3 180x6" },
      at: "8m",
      labels: { farm: "f" },
      summary: "Beats do not travel through NATS into Postgres",
    },
    quiet: {
      why: "the canary beats through another coordinator",
      series: {
        [rounds('duty="canary",outcome="failed"')]: "0+60x10",
        'vapfarm_duty_rounds_total{farm="f",instance="c2",duty="canary",outcome="ran"}': "0+60x10",
      },
      at: "8m",
    },
  },
  {
    alert: "VapfarmBrokerDisconnected",
    fires: {
      series: {
        'vapfarm_nats_connected{farm="f",job="vapfarm-worker",instance="w1"}': "1x3 0x10",
        'vapfarm_nats_connected{farm="f",job="vapfarm-worker",instance="w2"}': "1x13",
      },
      at: "8m",
      labels: { farm: "f", job: "vapfarm-worker", instance: "w1" },
      summary: "vapfarm-worker at w1 is cut off from NATS",
    },
    quiet: { why: "it was for a moment", series: { 'vapfarm_nats_connected{farm="f",instance="w1"}': "1x3 0 1x10" }, at: "4m" },
  },
  {
    alert: "VapfarmDatabaseSlow",
    fires: {
      series: { 'vapfarm_database_waiting{farm="f",instance="c1",purpose="main"}': "7x30" },
      at: "15m",
      labels: { farm: "f", instance: "c1", purpose: "main" },
      summary: "7 statements of c1 wait for a connection to Postgres (main)",
    },
    quiet: { why: "a burst", series: { 'vapfarm_database_waiting{farm="f",instance="c1",purpose="main"}': "0x5 9x3 0x30" }, at: "15m" },
  },
  {
    alert: "VapfarmValuesOld",
    fires: {
      series: {
        'vapfarm_sample_age_seconds{farm="f",instance="c1",sample="queue"}': "1+60x10",
        'vapfarm_sample_age_seconds{farm="f",instance="c2",sample="queue"}': "1x10",
      },
      at: "6m",
      labels: { farm: "f", instance: "c1", sample: "queue" },
      summary: "The values “queue” of c1 are 6m 1s old",
    },
    quiet: {
      why: "a read took half a minute",
      series: { 'vapfarm_sample_age_seconds{farm="f",instance="c1",sample="books"}': "30x10" },
      at: "6m",
    },
  },
  {
    alert: "VapfarmDutyNotRunning",
    fires: {
      series: {
        [rounds('duty="expand",outcome="failed"')]: "0+60x30",
        [rounds('duty="expand",outcome="elsewhere"')]: "0+60x30",
        [rounds('duty="reaper",outcome="ran"')]: "0+60x30",
      },
      at: "20m",
      labels: { farm: "f", duty: "expand" },
      summary: "The duty expand does not run",
    },
    quiet: {
      why: "it runs where it is held, and a slow one has not come round",
      series: {
        [rounds('duty="expand",outcome="elsewhere"')]: "0+60x30",
        'vapfarm_duty_rounds_total{farm="f",instance="c2",duty="expand",outcome="ran"}': "0+60x30",
        [rounds('duty="prune",outcome="ran"')]: "1x30",
      },
      at: "20m",
    },
  },
  {
    alert: "VapfarmSlowDutyNotRunning",
    fires: {
      series: { [rounds('duty="prune",outcome="failed"')]: "0+1x120", [rounds('duty="books",outcome="ran"')]: "0+1x120" },
      at: "100m",
      labels: { farm: "f", duty: "prune" },
      summary: "The duty prune does not run",
    },
    quiet: {
      why: "it ran within the hour",
      series: { [rounds('duty="prune",outcome="ran"')]: "1x29 2x60 3x60", [rounds('duty="prune",outcome="failed"')]: "0+1x120" },
      at: "85m",
    },
  },
  {
    alert: "VapfarmEventsNotCopied",
    fires: {
      series: { [rounds('duty="relay",outcome="failed"')]: "0+60x30" },
      at: "20m",
      labels: { farm: "f" },
      summary: "Events are not copied to JetStream",
    },
    quiet: {
      why: "it fails now and then",
      series: { [rounds('duty="relay",outcome="failed"')]: "0+6x30", [rounds('duty="relay",outcome="ran"')]: "0+50x30" },
      at: "20m",
    },
  },
  {
    alert: "VapfarmCallsFail",
    fires: {
      series: {
        'vapfarm_rpc_seconds_count{farm="f",method="SubmitRender",code="DATABASE_UNAVAILABLE"}': "0+30x20",
        'vapfarm_rpc_seconds_count{farm="f",method="ListJobs",code="OK"}': "0+90x20",
      },
      at: "15m",
      labels: { farm: "f" },
      summary: "25% of client calls fail for the farm's own reasons",
    },
    quiet: {
      why: "callers ask for what there is not",
      series: {
        'vapfarm_rpc_seconds_count{farm="f",method="GetJob",code="JOB_UNKNOWN"}': "0+60x20",
        'vapfarm_rpc_seconds_count{farm="f",method="ListJobs",code="OK"}': "0+60x20",
        'vapfarm_rpc_seconds_count{farm="f",method="ListJobs",code="INTERNAL"}': "0+1x20",
      },
      at: "15m",
    },
  },
  {
    alert: "VapfarmIllegalTransitions",
    fires: {
      series: { 'vapfarm_illegal_transitions_total{farm="f",instance="c1"}': "0x5 3x20" },
      at: "20m",
      labels: { farm: "f" },
      // `increase` reaches half an interval beyond its samples.
      summary: "3 state changes were refused as illegal",
    },
    quiet: { why: "there were some, and none for an hour", series: { 'vapfarm_illegal_transitions_total{farm="f"}': "2x180" }, at: "90m" },
  },
  {
    alert: "VapfarmSweepRepairs",
    fires: {
      series: { 'vapfarm_sweep_repairs_total{farm="f",instance="c1"}': "0x5 1x20" },
      at: "20m",
      labels: { farm: "f" },
      summary: "The sweep repaired 1 tasks that should never be so",
    },
    quiet: { why: "it found nothing", series: { 'vapfarm_sweep_repairs_total{farm="f"}': "0x180" }, at: "90m" },
  },
  {
    alert: "VapfarmBooksUnbalanced",
    fires: {
      series: { 'vapfarm_books_unbalanced{farm="f",instance="c1"}': "0x5 2x5", 'vapfarm_books_unbalanced{farm="f",instance="c2"}': "0x10" },
      at: "8m",
      labels: { farm: "f" },
      summary: "2 attempts are not the sum of their ledger entries",
    },
    quiet: { why: "they are", series: { 'vapfarm_books_unbalanced{farm="f",instance="c1"}': "0x10" }, at: "8m" },
  },
  {
    alert: "VapfarmDeadLetters",
    fires: {
      series: {
        'vapfarm_dead_letters{farm="f",instance="c1",pool="p"}': "_x5 4x10",
        'vapfarm_dead_letters{farm="f",instance="c2",pool="p"}': "_x5 4x10",
      },
      at: "10m",
      labels: { farm: "f", pool: "p" },
      summary: "4 more tasks of pool p failed for good",
    },
    quiet: {
      why: "they are old, and fewer than before",
      series: { 'vapfarm_dead_letters{farm="f",instance="c1",pool="p"}': "5x20 4x60" },
      at: "60m",
    },
  },
  {
    alert: "VapfarmDeadlinesMissed",
    fires: {
      series: { 'vapfarm_deadlines_total{farm="f",instance="c1",told="missed"}': "_x5 1x10" },
      at: "10m",
      labels: { farm: "f" },
      summary: "1 jobs missed their deadline",
    },
    quiet: { why: "it is at risk only", series: { 'vapfarm_deadlines_total{farm="f",told="at_risk"}': "_x5 1x10" }, at: "10m" },
  },
];

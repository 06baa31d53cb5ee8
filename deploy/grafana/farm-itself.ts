/**
 * The lower half of “Farm”: calls of clients and workers, and what happens by itself.
 */
import type { RowSpec } from "./dashboard.ts";
import { metrics, quantile } from "./query.ts";

const farm = 'farm=~"$farm"';

export const calls: RowSpec = {
  title: "Calls",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Client calls a second",
          description: "gRPC, and HTTP as JSON, by method.",
          unit: "reqps",
          width: 8,
          queries: [metrics(`sum by (method) (rate(vapfarm_rpc_seconds_count{${farm}}[$__rate_interval]))`, "{{method}}")],
        },
        {
          kind: "series",
          title: "Failed calls",
          description: "By code. Codes of the caller (`…_UNKNOWN`, `FIELD_INVALID`) are not the farm's fault.",
          unit: "reqps",
          width: 8,
          queries: [
            metrics(`sum by (code) (rate(vapfarm_rpc_seconds_count{code!~"OK|STAGE_CANCELLED",${farm}}[$__rate_interval]))`, "{{code}}"),
          ],
          runbook: "VapfarmCallsFail",
        },
        {
          kind: "series",
          title: "How long client calls take",
          description: "p99 by method; streams count the time that they were open.",
          unit: "s",
          width: 8,
          queries: [metrics(quantile(0.99, `vapfarm_rpc_seconds{code="OK",${farm}}`, "method"), "{{method}}")],
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "HTTP requests a second",
          description: "By route and class of status; `aborted`: the caller went away.",
          unit: "reqps",
          width: 8,
          queries: [
            metrics(`sum by (route, status) (rate(vapfarm_http_seconds_count{${farm}}[$__rate_interval]))`, "{{route}} {{status}}"),
          ],
        },
        {
          kind: "series",
          title: "Requests of workers a second",
          description: "Over NATS, by subject and code. What is not `OK` was refused, or is sent again.",
          unit: "reqps",
          width: 8,
          queries: [
            metrics(`sum by (subject, code) (rate(vapfarm_subject_seconds_count{${farm}}[$__rate_interval]))`, "{{subject}} {{code}}"),
          ],
        },
        {
          kind: "series",
          title: "How long workers' requests take",
          description: "p99 from arrival to answer. `next` that takes long leaves GPUs idle between tasks.",
          unit: "s",
          width: 8,
          queries: [metrics(quantile(0.99, `vapfarm_subject_seconds{${farm}}`, "subject"), "{{subject}}")],
        },
      ],
    },
  ],
};

export const itself: RowSpec = {
  title: "What happens by itself",
  lines: [
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Rounds of duties that ended, a minute",
          description: "Of all coordinators together. A duty whose line ends does not run.",
          unit: "cpm",
          width: 8,
          queries: [metrics(`60 * sum by (duty) (rate(vapfarm_duty_rounds_total{outcome="ran",${farm}}[$__rate_interval]))`, "{{duty}}")],
          runbook: "VapfarmDutyNotRunning",
        },
        {
          kind: "series",
          title: "Rounds of duties that failed, a minute",
          description: "All 0 when all is well. The coordinators' logs say why.",
          unit: "cpm",
          width: 8,
          queries: [
            // The first failure makes the series: until then 0 for each duty that runs.
            metrics(
              `60 * sum by (duty) (rate(vapfarm_duty_rounds_total{outcome="failed",${farm}}[$__rate_interval]))
or 0 * sum by (duty) (rate(vapfarm_duty_rounds_total{${farm}}[$__rate_interval]))`,
              "{{duty}}",
            ),
          ],
          runbook: "VapfarmDutyNotRunning",
        },
        {
          kind: "series",
          title: "What should never be",
          description: "Refused illegal moves, repairs of the sweep, attempts off the books: each one is a bug to report.",
          unit: "none",
          width: 8,
          queries: [
            metrics(`sum(increase(vapfarm_illegal_transitions_total{${farm}}[1h]))`, "illegal moves in 1 h"),
            metrics(`sum(increase(vapfarm_sweep_repairs_total{${farm}}[1h]))`, "repairs in 1 h"),
            metrics(`max(vapfarm_books_unbalanced{${farm}})`, "attempts off the books"),
          ],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "VapfarmSweepRepairs",
        },
      ],
    },
    {
      height: 8,
      panels: [
        {
          kind: "series",
          title: "Lost workers, an hour",
          description:
            "Sessions reaped because no beat came; rounds in which much of a pool lapsed at once; rounds in which reaping was held back.",
          unit: "none",
          width: 6,
          queries: [
            metrics(`sum(increase(vapfarm_lease_losses_total{${farm}}[1h]))`, "reaped"),
            metrics(`sum(increase(vapfarm_mass_lapses_total{${farm}}[1h]))`, "mass lapses"),
            metrics(`sum(increase(vapfarm_reap_held_back_total{${farm}}[1h]))`, "rounds held back"),
          ],
          runbook: "VapfarmLeaseLosses",
        },
        {
          kind: "series",
          title: "Cut off from NATS",
          description: "Processes without a connection to NATS now, and events that wait to be copied to JetStream.",
          unit: "none",
          width: 6,
          queries: [
            metrics(`count(vapfarm_nats_connected{${farm}}) - sum(vapfarm_nats_connected{${farm}})`, "processes"),
            metrics(`max(vapfarm_events_unsent{${farm}})`, "events not copied"),
          ],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "VapfarmBrokerDisconnected",
        },
        {
          kind: "series",
          title: "Postgres as coordinators see it",
          description: "Statements that wait for a connection, and busy connections. Waiting ones for long: the database is slow.",
          unit: "none",
          width: 6,
          queries: [
            metrics(`sum by (purpose) (vapfarm_database_waiting{${farm}})`, "waiting ({{purpose}})"),
            metrics(`sum by (purpose) (vapfarm_database_connections{state="busy",${farm}})`, "busy ({{purpose}})"),
          ],
          runbook: "VapfarmDatabaseSlow",
        },
        {
          kind: "series",
          title: "Coordinators themselves",
          description: "How late the event loop is (p99), and how old the values read from Postgres are.",
          unit: "s",
          width: 6,
          queries: [
            metrics(`max by (instance) (nodejs_eventloop_lag_p99_seconds{job=~".*coordinator.*",${farm}})`, "lag {{instance}}"),
            metrics(`max by (sample) (vapfarm_sample_age_seconds{${farm}})`, "age of {{sample}}"),
          ],
          runbook: "VapfarmValuesOld",
        },
      ],
    },
  ],
};

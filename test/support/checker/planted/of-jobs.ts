/**
 * Violations of what clients were promised: jobs, answers, watches, webhooks.
 */
import { acknowledgedJobs } from "../rules/acknowledged-jobs.ts";
import { cancelled } from "../rules/cancelled.ts";
import { derivedStates } from "../rules/derived-states.ts";
import { eventLog } from "../rules/event-log.ts";
import { repeatedSubmits } from "../rules/repeated-submits.ts";
import { toldStates } from "../rules/told-states.ts";
import { watchedEvents } from "../rules/watched-events.ts";
import { webhooks } from "../rules/webhooks.ts";
import { changing, doubling, dropping, first, has, type Planted, rewritten } from "./planted.ts";

// Of a job, not of its tasks: what follows the state says so.
const told = (state: number): string => `"state":${state},"jobClass"`;
const [running, succeeded, failed, ended] = [told(2), told(3), told(4), told(5)];
const heard = (kind: string) => has("heard", `"kind":"${kind}"`);

export const plantedOfJobs: readonly Planted[] = [
  {
    what: "an acknowledged job that is gone",
    plant: (planter, { jobs }) => planter.inDatabase(`delete from job where id = '${jobs.held}'`),
    breaks: acknowledgedJobs,
    also: [toldStates],
  },
  {
    what: "an acknowledged job with another body",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update render set spec = jsonb_set(spec, '{prompt}', '"Another."') where job_id = '${jobs.plain}'`),
    breaks: acknowledgedJobs,
  },
  {
    what: "a job that never ends",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update job set state = 'running', ended_at = null, render_running = 1, render_succeeded = 0 where id = '${jobs.held}'`,
      ),
    breaks: acknowledgedJobs,
    also: [derivedStates, eventLog],
  },
  {
    what: "a repeated submit that made another job",
    plant: (planter, { jobs }) => planter.inDatabase(`update job set idempotency_key = 'other' where id = '${jobs.plain}'`),
    breaks: repeatedSubmits,
  },
  {
    what: "a repeated submit that was answered with another job",
    plant: (planter, { jobs }) =>
      planter.inJournals(/^client/, changing(first(has("told", `"jobId":"${jobs.plain}"`)), rewritten(jobs.plain, jobs.held))),
    breaks: repeatedSubmits,
    also: [acknowledgedJobs, toldStates],
  },
  {
    what: "a state that a client was told and the log does not know",
    plant: (planter) => planter.inJournals(/^client/, changing(first(has("told", succeeded)), rewritten(succeeded, failed))),
    breaks: toldStates,
  },
  {
    what: "a watch that lost an event",
    plant: (planter) => planter.inJournals(/^client/, dropping(first(heard("task.started")))),
    breaks: watchedEvents,
  },
  {
    what: "a watch that told an event twice",
    plant: (planter) => planter.inJournals(/^client/, doubling(first(heard("task.succeeded")))),
    breaks: watchedEvents,
  },
  {
    what: "a watch that ended before the job did",
    plant: (planter) => planter.inJournals(/^client/, dropping(first(heard("job.succeeded")))),
    breaks: watchedEvents,
  },
  {
    what: "an answered cancel that ended nothing",
    plant: (planter) => planter.inJournals(/^client/, changing(first(has("told", ended)), rewritten(ended, running))),
    breaks: cancelled,
    also: [toldStates],
  },
  {
    what: "a webhook that was never told",
    plant: (planter) => planter.inDatabase("update webhook_delivery set delivered_at = null, next_try_at = clock_timestamp()"),
    breaks: webhooks,
  },
  {
    what: "a webhook that is marked as told and never arrived",
    plant: (planter) =>
      planter.inJournals(
        /^tester/,
        dropping(({ kind }) => kind === "delivered"),
      ),
    breaks: webhooks,
  },
];

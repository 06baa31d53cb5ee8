/**
 * Violations of what is one commit: tasks, users, counts, events and their copy.
 */
import { forgeCopiedEvent } from "../event-copy.ts";
import { acknowledgedJobs } from "../rules/acknowledged-jobs.ts";
import { checkpoints } from "../rules/checkpoints.ts";
import { derivedStates } from "../rules/derived-states.ts";
import { eventLog } from "../rules/event-log.ts";
import { oneCommit } from "../rules/one-commit.ts";
import { oneResult } from "../rules/one-result.ts";
import { watchedEvents } from "../rules/watched-events.ts";
import { webhooks } from "../rules/webhooks.ts";
import { denoiseOf, type Planted } from "./planted.ts";

export const plantedOfTasks: readonly Planted[] = [
  {
    what: "a task that is queued and not ready",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid, tenant_id)
        select id, pool, shape, 0, 0, now(), '{}', tenant_id from task where id = ${denoiseOf(jobs.plain)}`),
    breaks: oneCommit,
  },
  {
    what: "a user that still wants what has ended",
    plant: (planter, { jobs }) => planter.inDatabase(`update task_user set is_wanted = true where task_id = ${denoiseOf(jobs.plain)}`),
    breaks: oneCommit,
  },
  {
    what: "a count of inputs that is wrong",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update task set state = 'blocked', inputs_missing = 5, ended_at = null where id = ${denoiseOf(jobs.plain)}`),
    breaks: oneCommit,
    also: [oneResult, derivedStates, acknowledgedJobs],
  },
  {
    what: "a success that is not in the log",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update event set kind = 'task.retried' where kind = 'task.succeeded' and task_id = ${denoiseOf(jobs.plain)}`),
    breaks: oneCommit,
    also: [watchedEvents, eventLog],
  },
  {
    what: "renders that are miscounted",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update job set render_succeeded = 1, render_queued = 0, render_cancelled = 1 where id = '${jobs.batch}'`),
    breaks: derivedStates,
  },
  {
    what: "a gap in the log",
    plant: (planter, { jobs }) => planter.inDatabase(`delete from event where job_id = '${jobs.held}' and number = 3`),
    breaks: eventLog,
    also: [watchedEvents, oneCommit, checkpoints],
  },
  {
    what: "a copy of the log that tells what did not happen",
    plant: (planter, { farm, jobs }) => {
      const forged = { jobId: jobs.held, number: 3, kind: "task.failed", taskId: 1 };
      return planter.inPlace(() => forgeCopiedEvent(farm.description.natsUrl, "local", forged));
    },
    breaks: eventLog,
  },
  {
    what: "a job that ended twice",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `insert into event (job_id, number, at, kind, job_state)
          select id, last_event + 1, now(), 'job.succeeded', 'succeeded' from job where id = '${jobs.held}'`,
        `update job set last_event = last_event + 1 where id = '${jobs.held}'`,
      ),
    breaks: eventLog,
    also: [webhooks],
  },
];

/**
 * Violations of what is one commit: tasks, users, counts, events and their copy.
 */
import { forgeCopiedEvent } from "../event-copy.ts";
import { acknowledgedJobs } from "../rules/acknowledged-jobs.ts";
import { books } from "../rules/books.ts";
import { budgets } from "../rules/budgets.ts";
import { cancelled } from "../rules/cancelled.ts";
import { checkpoints } from "../rules/checkpoints.ts";
import { derivedStates } from "../rules/derived-states.ts";
import { eventLog } from "../rules/event-log.ts";
import { fence } from "../rules/fence.ts";
import { holds } from "../rules/holds.ts";
import { leases } from "../rules/leases.ts";
import { oneCommit } from "../rules/one-commit.ts";
import { oneResult } from "../rules/one-result.ts";
import { preemptions } from "../rules/preemptions.ts";
import { profiles } from "../rules/profiles.ts";
import { promisedAttempts } from "../rules/promised-attempts.ts";
import { readySet } from "../rules/ready-set.ts";
import { runs } from "../rules/runs.ts";
import { sessions } from "../rules/sessions.ts";
import { waitingRenders } from "../rules/waiting-renders.ts";
import { watchedEvents } from "../rules/watched-events.ts";
import { webhooks } from "../rules/webhooks.ts";
import { denoiseOf, type Planted } from "./planted.ts";

/** An open preemption of the resumed denoise's attempts for that of another job. */
const preempted = (numbers: string, victim: string, beneficiary: string): string =>
  `insert into preemption (attempt_id, task_id, beneficiary_id, worker_id, pool, reason)
    select a.id, a.task_id, ${denoiseOf(beneficiary)}, a.worker_id || a.number, 'demo', 'class'
    from attempt a where a.task_id = ${denoiseOf(victim)} and a.number in (${numbers})`;

const ofOrder: readonly Planted[] = [
  {
    what: "a preemption for what has ended",
    plant: (planter, { jobs }) => planter.inDatabase(preempted("1", jobs.resumed, jobs.plain)),
    breaks: preemptions,
  },
  {
    what: "two preemptions for one task",
    plant: (planter, { jobs }) =>
      planter.inDatabase("drop index preemption_open_beneficiary_key", preempted("1, 2", jobs.resumed, jobs.plain)),
    breaks: preemptions,
  },
  {
    what: "two attempts that one session was promised",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        "drop index attempt_running_key",
        `update attempt set state = 'running', began_at = null, ended_at = null, disposition = null, error_code = null, error_class = null,
          error_message = null, session_id = (select session_id from attempt where task_id = ${denoiseOf(jobs.resumed)} and number = 1)
          where task_id = ${denoiseOf(jobs.resumed)}`,
      ),
    breaks: promisedAttempts,
    also: [oneResult, fence, oneCommit, runs, sessions, leases, budgets, books, acknowledgedJobs, cancelled, derivedStates],
  },
  {
    what: "a result that was made on another profile",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update worker set profile = 'another' where session_id in (select session_id from attempt where task_id = ${denoiseOf(jobs.held)})`,
      ),
    breaks: profiles,
  },
  {
    what: "a claim for a tenant that was over its budget",
    plant: (planter) =>
      planter.inDatabase(`insert into hold (scope, name, reason, placed_by, placed_at, origin)
        select 'tenant', id, 'spent', 'budget', now() - interval '1 day', 'budget' from tenant`),
    breaks: holds,
  },
];

const ofCommits: readonly Planted[] = [
  {
    what: "a task that is queued and not ready",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid, tenant_id)
        select id, pool, shape, 0, 0, now(), '{}', tenant_id from task where id = ${denoiseOf(jobs.plain)}`),
    breaks: readySet,
  },
  {
    what: "a ready task that is in no ready set",
    plant: (planter, { jobs }) =>
      planter.inDatabase(`update task set state = 'ready', ended_at = null, inputs_missing = 0 where id = ${denoiseOf(jobs.plain)}`),
    breaks: readySet,
    also: [oneResult, oneCommit, derivedStates, acknowledgedJobs],
  },
  {
    what: "work of a stopped job in the ready set",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update task set state = 'ready', ended_at = null, inputs_missing = 0 where id = ${denoiseOf(jobs.held)}`,
        `update task_user set is_wanted = true where task_id = ${denoiseOf(jobs.held)}`,
        `insert into ready (task_id, pool, shape, class_rank, priority, queued_at, avoid, tenant_id)
          select id, pool, shape, 0, 0, now(), '{}', tenant_id from task where id = ${denoiseOf(jobs.held)}`,
        `insert into job_stop (job_id, reason)
          select r.job_id, 'spent' from task_user u join render r on r.id = u.render_id where u.task_id = ${denoiseOf(jobs.held)}`,
      ),
    breaks: readySet,
    also: [oneResult, oneCommit, derivedStates, acknowledgedJobs],
  },
  {
    what: "a render that waits and wants a task",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `update task_user u set is_wanted = true from render r where r.id = u.render_id and r.job_id = '${jobs.cancelled}'`,
        `update render set state = 'queued', is_waiting = true, ended_at = null where job_id = '${jobs.cancelled}'`,
        `insert into waiting (job_id, pool, tenant_id, renders)
          select j.id, r.pool, j.tenant_id, 1 from job j join render r on r.job_id = j.id where j.id = '${jobs.cancelled}'`,
      ),
    breaks: waitingRenders,
    also: [oneCommit, derivedStates, acknowledgedJobs],
  },
  {
    what: "a render that is counted as waiting and does not",
    plant: (planter, { jobs }) =>
      planter.inDatabase(
        `insert into waiting (job_id, pool, tenant_id, renders) select id, 'none', tenant_id, 2 from job where id = '${jobs.held}'`,
      ),
    breaks: waitingRenders,
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

export const plantedOfTasks: readonly Planted[] = [...ofCommits, ...ofOrder];

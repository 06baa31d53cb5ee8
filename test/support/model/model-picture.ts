/**
 * What can be seen of the queue, in the same words of the model and of the store, to be compared after each operation.
 */
import { storedAttemptState, storedTaskState } from "../../../services/domain/task-state.ts";
import type { World } from "../store-world.ts";
import { tallyOf } from "./model-jobs.ts";
import { isRunning, missingOf, type Model, type ModelAttempt, type ModelJob, type ModelPreemption, type ModelTask } from "./queue-model.ts";

/** By name of what it tells of: `key#generation`, attempt, job, session. */
type Rows = Readonly<Record<string, unknown>>;
export type Picture = {
  readonly tasks: Rows;
  readonly attempts: Rows;
  readonly jobs: Rows;
  readonly sessions: Rows;
  /** By order of opening. */
  readonly preemptions: Rows;
};

const taskName = ({ key, generation }: ModelTask): string => `${key}#${generation}`;

function rows<Thing>(things: Iterable<Thing>, nameOf: (thing: Thing) => string, see: (thing: Thing) => unknown): Rows {
  return Object.fromEntries([...things].map((thing) => [nameOf(thing), see(thing)]));
}

/** The model's. */
export function pictureOfModel(model: Model): Picture {
  return {
    tasks: rows(model.tasks, taskName, seeTask),
    attempts: rows(model.attempts.values(), ({ id }) => id, seeAttempt),
    jobs: rows(model.jobs, ({ id }) => id, seeJob),
    sessions: rows(
      model.sessions.values(),
      ({ id }) => id,
      ({ endReason, sequence, beatSequence }) => ({ endReason: endReason ?? null, sequence, beatSequence }),
    ),
    preemptions: Object.fromEntries(model.preemptions.map((each, index) => [index + 1, seePreemption(each)])),
  };
}

function seeTask(task: ModelTask): unknown {
  const users = [...task.uses].filter((use) => use.isWanted).map(({ render }) => `${render.job.id}/${render.position}`);
  return {
    id: undefined,
    state: storedTaskState(task.place),
    isRetired: task.isRetired,
    missing: task.place === "blocked" ? missingOf(task) : null,
    ready: task.place === "ready" ? rankOf(task) : null,
    current: task.current?.id ?? null,
    attempts: task.attempts.length,
    failures: task.failures,
    failureCode: task.failureCode ?? null,
    checkpoint: task.checkpoint === undefined ? null : { step: task.checkpoint.step, by: task.checkpoint.attempt.id },
    users: users.toSorted(),
    outputs: task.outputs.map(({ name }) => name).toSorted(),
  };
}

/** Of its best user, and whom it avoids. */
function rankOf(task: ModelTask): unknown {
  const jobs = [...task.uses].filter((use) => use.isWanted).map(({ render }) => render.job);
  const classRank = Math.min(...jobs.map(({ isBenchmark }) => Number(isBenchmark)));
  const priority = Math.max(...jobs.filter(({ isBenchmark }) => Number(isBenchmark) === classRank).map((job) => job.priority));
  return { classRank, priority, avoid: task.avoid, isRipe: task.isRipe };
}

function seeAttempt(attempt: ModelAttempt): unknown {
  return {
    task: taskName(attempt.task),
    number: attempt.number,
    session: attempt.session.id,
    state: storedAttemptState(attempt.place),
    disposition: attempt.disposition ?? null,
    errorClass: attempt.errorClass ?? null,
    hasBegun: attempt.hasBegun,
    chargedMs: attempt.chargedMs,
    isUnordered: attempt.isUnordered,
    isNamed: isRunning(attempt) ? attempt.naming === "named" : null,
    booked: attempt.usage ?? null,
  };
}

function seePreemption({ attempt, beneficiary, reason, hasMadeWay, outcome }: ModelPreemption): unknown {
  const { id, task, session } = attempt;
  return {
    attempt: id,
    task: taskName(task),
    for: taskName(beneficiary),
    worker: session.worker,
    reason,
    hasMadeWay,
    outcome: outcome ?? null,
  };
}

function seeJob(job: ModelJob): unknown {
  return {
    state: job.state,
    priority: job.priority,
    tally: tallyOf(job),
    renders: job.renders.map(({ state, failureCode }) => ({ state, failureCode: failureCode ?? null })),
    told: job.told,
    isGapless: true,
  };
}

const taskQuery = `
  select jsonb_object_agg(t.content_key || '#' || t.generation, jsonb_build_object('id', t.id, 'state', t.state, 'isRetired', t.is_retired,
    'missing', case when t.state = 'blocked' then t.inputs_missing end,
    'ready', (select jsonb_build_object('classRank', q.class_rank, 'priority', q.priority,
                'avoid', array(select unnest(q.avoid) order by 1), 'isRipe', q.ready_at <= now())
              from ready q where q.task_id = t.id),
    'current', t.current_attempt, 'attempts', t.attempt_count, 'failures', t.failures, 'failureCode', t.failure_code,
    'checkpoint', (select jsonb_build_object('step', k.step, 'by', k.attempt_id) from task_checkpoint k where k.task_id = t.id),
    'users', array(select r.job_id || '/' || r.position as user from task_user u join render r on r.id = u.render_id
                   where u.task_id = t.id and u.is_wanted order by 1),
    'outputs', array(select o.name from task_output o where o.task_id = t.id order by 1))) from task t`;

const attemptQuery = `
  select jsonb_object_agg(a.id, jsonb_build_object('task', t.content_key || '#' || t.generation, 'number', a.number, 'session', a.session_id,
    'state', a.state, 'disposition', a.disposition, 'errorClass', a.error_class,
    'hasBegun', a.began_at is not null, 'chargedMs', a.charged_ms, 'isUnordered', a.is_unordered,
    'isNamed', case when a.state = 'running' then a.unnamed_since is null end,
    'booked', (select case count(*) when 1 then jsonb_build_object('disposition', min(u.disposition), 'deviceMs', min(u.device_ms)) end
               from usage u where u.attempt_id = a.id))) from attempt a join task t on t.id = a.task_id`;

const jobQuery = `
  select jsonb_object_agg(j.id, jsonb_build_object('state', j.state, 'priority', j.priority,
    'tally', jsonb_build_object('queued', j.render_queued, 'running', j.render_running, 'succeeded', j.render_succeeded,
      'failed', j.render_failed, 'cancelled', j.render_cancelled),
    'renders', (select jsonb_agg(jsonb_build_object('state', r.state, 'failureCode', r.failure_code) order by r.position)
                from render r where r.job_id = j.id),
    'told', array(select e.kind || ' ' || coalesce(e.job_state, e.render_position::text) from event e
                  where e.job_id = j.id and e.kind ~ '^(job|render)[.]' and e.kind <> 'job.updated' order by e.number),
    'isGapless', j.last_event = (select count(*) from event e where e.job_id = j.id and e.number between 1 and j.last_event)
      and j.last_event = (select max(e.number) from event e where e.job_id = j.id))) from job j`;

const sessionQuery = `
  select jsonb_object_agg(s.id, jsonb_build_object('endReason', s.end_reason, 'sequence', s.sequence, 'beatSequence', s.beat_sequence))
  from session s`;

const preemptionQuery = `
  select jsonb_object_agg(p.position, jsonb_build_object('attempt', p.attempt_id, 'task', t.content_key || '#' || t.generation,
    'for', b.content_key || '#' || b.generation, 'worker', p.worker_id, 'reason', p.reason, 'hasMadeWay', p.made_way_at is not null,
    'outcome', p.outcome))
  from (select p.*, row_number() over (order by p.id) as position from preemption p) p
  join task t on t.id = p.task_id join task b on b.id = p.beneficiary_id`;

const query = `select coalesce((${taskQuery}), '{}') as tasks, coalesce((${attemptQuery}), '{}') as attempts,
  coalesce((${jobQuery}), '{}') as jobs, coalesce((${sessionQuery}), '{}') as sessions,
  coalesce((${preemptionQuery}), '{}') as preemptions`;

/** Tells the model the ids of tasks that it has not compared yet. */
export async function readIds({ sql }: World, model: Model): Promise<void> {
  const rows = await sql<{ name: string; id: string }>("select content_key || '#' || generation as name, id from task");
  for (const task of model.tasks) task.id = Number(rows.find(({ name }) => name === taskName(task))?.id ?? task.id);
}

type StoredTask = { readonly id: number };

/** The store's; tells the model the ids of tasks. */
export async function pictureOfStore({ sql }: World, model: Model): Promise<Picture> {
  const [row] = await sql<Picture & { readonly tasks: Readonly<Record<string, StoredTask>> }>(query);
  if (row === undefined) throw new TypeError("no picture");
  for (const task of model.tasks) task.id = row.tasks[taskName(task)]?.id ?? task.id;
  const tasks = Object.entries(row.tasks).map(([name, seen]) => [name, { ...seen, id: undefined }] as const);
  return { ...row, tasks: Object.fromEntries(tasks) };
}

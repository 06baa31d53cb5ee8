/**
 * Bugs for the model to find: each changes one thing in one SQL function of a test's database.
 */
import type { World } from "../store-world.ts";

export type PlantedBug = {
  readonly what: string;
  readonly in: string;
  readonly replaced: string;
  readonly by: string;
};

export const plantedBugs: readonly PlantedBug[] = [
  {
    what: "a report commits whatever its fence says",
    in: "vf_apply_report",
    replaced: "v_attempt.state = 'running' and v_task.current_attempt = v_id",
    by: "true",
  },
  {
    what: "a report that was answered is applied again",
    in: "vf_apply_report",
    replaced: "if v_attempt.disposition is not null then",
    by: "if false then",
  },
  {
    what: "the report of an attempt that was taken away is not booked",
    in: "vf_book",
    replaced: "on conflict (attempt_id) do update set disposition = excluded.disposition, device_ms = excluded.device_ms,",
    by: "on conflict (attempt_id) do update set device_ms = usage.device_ms,",
  },
  {
    what: "a success does not count down what waits for it",
    in: "vf_succeed",
    replaced: "t.inputs_missing - i.inputs",
    by: "t.inputs_missing",
  },
  {
    what: "a cancelled task stays in the queue",
    in: "vf_requeue_all",
    replaced: "t.state = 'cancelled'",
    by: "t.state = 'failed'",
  },
  {
    what: "renders that ended still use their tasks",
    in: "vf_release_renders",
    replaced: "where render_id = any (p_renders) and is_wanted",
    by: "where false",
  },
  {
    what: "a task that is put back forgets its failures",
    in: "vf_requeue",
    replaced: "current_attempt = null, delayed_until = v_until, ended_at = null",
    by: "current_attempt = null, delayed_until = v_until, ended_at = null, failures = '{}'",
  },
  {
    what: "a task that workers give back again and again never waits",
    in: "vf_requeue",
    replaced: "v_unordered > 1",
    by: "v_unordered > 1000",
  },
  {
    what: "an engine in quarantine gets work",
    in: "vf_without_quarantined",
    replaced: "if cardinality(v_shut) = 0 then",
    by: "if true then",
  },
  {
    what: "a worker whose engine has just failed gets work in the same call",
    in: "vf_may_claim",
    replaced: "q.began_at >= now()",
    by: "false",
  },
  {
    what: "a task that no worker has the memory for is tried again",
    in: "vf_raise_memory",
    replaced: "if not exists (select 1 from worker w",
    by: "if false and not exists (select 1 from worker w",
  },
  {
    what: "a task that nobody wants is put back",
    in: "vf_requeue",
    replaced: "if not vf_is_wanted(p_task) then",
    by: "if false then",
  },
  {
    what: "a failure counts twice",
    in: "vf_fail",
    replaced: "coalesce((failures ->> v_class)::integer, 0) + 1",
    by: "coalesce((failures ->> v_class)::integer, 0) + 2",
  },
  {
    what: "a task whose output was lost keeps it",
    in: "vf_reopen",
    replaced: "delete from task_output where task_id = p_task",
    by: "delete from task_output where false",
  },
  {
    what: "only the first answer of a session is stored",
    in: "vf_store_answer",
    replaced: "do update set kind = excluded.kind, answer = excluded.answer",
    by: "do nothing",
  },
  {
    what: "a message that was overtaken is heard",
    in: "vf_admit",
    replaced: "< v_session.sequence then",
    by: "< v_session.sequence - 1000 then",
  },
  {
    what: "a beat renews a session that has ended",
    in: "vf_beat_one",
    replaced: "and is_live and beat_sequence <=",
    by: "and beat_sequence <=",
  },
  {
    what: "a claim that never arrived is kept for its worker",
    in: "vf_free_unheld",
    replaced: "where a.state = 'running' and a.session_id in (",
    by: "where a.state = 'running' and a.session_id <> p_ask ->> 'sessionId' and a.session_id in (",
  },
  {
    what: "reaping does not look at the lease again",
    in: "vf_reap",
    replaced: "and is_live and lease_until < clock_timestamp()",
    by: "and is_live",
  },
  {
    what: "a held pool gives work",
    in: "vf_may_claim",
    replaced: "h.scope = 'pool'",
    by: "h.scope = 'no'",
  },
  {
    what: "a dead task serves new users",
    in: "vf_dead_tasks",
    replaced: "t.state in ('failed', 'cancelled')",
    by: "t.state = 'cancelled'",
  },
  {
    what: "the result of a render that succeeded is collected",
    in: "vf_is_needed",
    replaced: "r.state = 'succeeded'",
    by: "r.state = 'queued'",
  },
  {
    what: "a checkpoint outlives its task",
    in: "vf_drop_checkpoint",
    replaced: "where task_id = new.id",
    by: "where false",
  },
  {
    what: "a job's last event leaves a gap",
    in: "vf_end_job",
    replaced: "p_last + 1",
    by: "p_last + 2",
  },
  {
    what: "what was collected is made again though nothing that runs takes it",
    in: "vf_taken_keys",
    replaced: "if cardinality(kept) = cardinality(v_done) then",
    by: "if true then",
  },
  {
    what: "a task that was taken from its worker is begun there all the same",
    in: "vf_renew_attempts",
    replaced: "and a.state = 'running' and a.began_at is null",
    by: "and a.began_at is null",
  },
  {
    what: "who fetches a promised task has begun it",
    in: "vf_renew_attempts",
    replaced: "p.phase <> 'fetch'",
    by: "true",
  },
  {
    what: "a promised task is charged",
    in: "vf_give",
    replaced: "if v_attempt.began_at is not null then",
    by: "if true then",
  },
  {
    what: "a worker is promised one task after another",
    in: "vf_claim",
    replaced: "if (v_options ->> 'isAhead')::boolean and exists (",
    by: "if false and exists (",
  },
  {
    what: "a task that has just become ready is promised to a busy worker",
    in: "vf_head",
    replaced: "q.ready_at <= v_before",
    by: "true",
  },
  {
    what: "a free worker takes what another has begun",
    in: "vf_take_reservation",
    replaced: "and a.began_at is null",
    by: "",
  },
  {
    what: "a free worker takes a promised task that it has failed before",
    in: "vf_take_reservation",
    replaced: "b.error_class in ('unexplained', 'engine', 'capacity', 'worker')",
    by: "false",
  },
  {
    what: "a promised task of a held tenant is given to another worker",
    in: "vf_take_reservation",
    replaced: "h.scope = 'tenant'",
    by: "h.scope = 'no'",
  },
  {
    what: "who was promised a task commits it after it was taken away",
    in: "vf_apply_report",
    replaced: "v_attempt.state = 'running' and v_task.current_attempt = v_id",
    by: "v_task.state = 'running' and (v_task.current_attempt = v_id or v_attempt.began_at is null)",
  },
  {
    what: "what a lost worker was only promised is held against the task",
    in: "vf_is_spared",
    replaced: "if p_attempt.began_at is not null then",
    by: "if true then",
  },
  {
    what: "a promised task stays with a session that was reaped",
    in: "vf_reap",
    replaced: "where a.session_id = any (v_ended) and a.state = 'running'",
    by: "where a.session_id = any (v_ended) and a.state = 'running' and a.began_at is not null",
  },
  {
    what: "what was promised is told to go on where nothing new may begin",
    in: "vf_stop_level",
    replaced: "level := 'revoked'",
    by: "level := null",
  },
  {
    what: "a run that makes way loses its checkpoint",
    in: "vf_note_stop",
    replaced: "update preemption set made_way_at",
    by: "delete from task_checkpoint where task_id = new.task_id; update preemption set made_way_at",
  },
  {
    what: "a run that makes way is charged a failure",
    in: "vf_apply_report",
    replaced: "if (v_failure ->> 'abandoned')::boolean then",
    by: "if (v_failure ->> 'abandoned')::boolean and vf_level(v_id::text) <> 'preempt' then",
  },
  {
    what: "a run that makes way is taken for one that was given up without an order",
    in: "vf_stop_level",
    replaced: "select 'preempt', p.opened_at into level, since",
    by: "select null, null into level, since",
  },
  {
    what: "the slot that was made goes to whatever comes first",
    in: "vf_claim",
    replaced: "v_task := vf_reserved_task(v_worker);",
    by: "v_task := null;",
  },
  {
    what: "a slot is kept on a worker that is gone",
    in: "vf_close_preemptions",
    replaced: "then 'worker_gone'",
    by: "then null",
  },
  {
    what: "a slot is kept for a task that comes first no more",
    in: "vf_close_preemptions",
    replaced: "a.state = 'running' and not vf_outranks(",
    by: "false and not vf_outranks(",
  },
  {
    what: "a slot is kept for a task that was cancelled",
    in: "vf_close_reservation",
    replaced: "where p.beneficiary_id = new.id",
    by: "where new.state = 'running' and p.beneficiary_id = new.id",
  },
  {
    what: "a run makes way for a task that another worker has taken",
    in: "vf_stop_level",
    replaced: "p.outcome = 'given'",
    by: "p.outcome in ('given', 'elsewhere')",
  },
  {
    what: "a task makes way again and again",
    in: "vf_times_preempted",
    replaced: "p.made_way_at is not null",
    by: "false",
  },
  {
    what: "a run makes way for a task that has just become ready",
    in: "vf_waiting_heads",
    replaced: "head.ready_at <= vf_after(-p_grace_ms)",
    by: "true",
  },
];

/** Plants a bug; what it returns takes it out again. */
export async function plant({ sql }: World, bug: PlantedBug): Promise<() => Promise<void>> {
  const [row] = await sql<{ source: string }>("select pg_get_functiondef($1::regproc) as source", [bug.in]);
  const sound = row?.source ?? "";
  const broken = sound.replaceAll(bug.replaced, bug.by);
  if (broken === sound) throw new TypeError(`${bug.in} has no "${bug.replaced}" to be broken`);
  await sql(broken);
  return async () => {
    await sql(sound);
  };
}

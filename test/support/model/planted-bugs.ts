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
    replaced: "if v_most <= v_had then",
    by: "if false then",
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

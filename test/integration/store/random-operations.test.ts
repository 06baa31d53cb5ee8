import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClaimView, PlannedRender } from "../../../services/coordinator/store/store-contract.ts";
import { decideExpansion } from "../../../services/domain/expansion.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { canTaskMove, type TaskState } from "../../../services/domain/task-state.ts";
import { useWorld } from "../../support/store-suite.ts";
import {
  createWorker,
  diamond,
  failure,
  plannedRender,
  submit,
  submitBatch,
  success,
  task,
  type Worker,
  type World,
} from "../../support/store-world.ts";

const window = 5;
const world = useWorld({ limits: { openRenders: window } });

/** One thing that happens; numbers choose among what is there. */
type Operation = {
  readonly kind:
    | "submit"
    | "batch"
    | "cancel"
    | "cancel one"
    | "retry"
    | "retry one"
    | "update"
    | "next"
    | "succeed"
    | "fail"
    | "restart"
    | "lapse"
    | "checkpoint"
    | "expand"
    | "duties";
  readonly pick: number;
};

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(
    "submit",
    "batch",
    "cancel",
    "cancel one",
    "retry",
    "retry one",
    "update",
    "next",
    "next",
    "next",
    "next",
    "succeed",
    "succeed",
    "succeed",
    "fail",
    "restart",
    "lapse",
    "checkpoint",
    "checkpoint",
    "expand",
    "expand",
    "duties",
  ),
  pick: fc.nat(1_000),
});

const codes = ["STAGE_FAILED", "RUNTIME_DIED", "STAGE_INPUT_INVALID", "ARTIFACT_MISSING", "STAGE_CANCELLED", "STAGE_OUT_OF_MEMORY"];

type Farm = {
  readonly jobs: string[];
  readonly workers: Worker[];
  readonly claims: { readonly worker: Worker; readonly claim: ClaimView }[];
};

const chosen = <T>(from: readonly T[], pick: number): T | undefined => from[pick % Math.max(1, from.length)];

/** What each render that is submitted here is planned as, by its prompt. */
const plans = new Map<string, readonly PlannedTask[]>();

function planned(tasks: readonly PlannedTask[]): PlannedRender {
  const prompt = tasks.map(({ contentKey }) => contentKey).join(" ");
  plans.set(prompt, tasks);
  return plannedRender(tasks, { prompt });
}

/** What the duty does with renders that wait. */
async function expand({ store }: World): Promise<void> {
  const epoch = (await store.holdDuty("expand", "test", 60_000))?.epoch ?? 0;
  const renders = await store.waitingRenders(decideExpansion((await store.expansionFacts()).pools, window, 3));
  const again = renders.filter(({ isPlanned }) => isPlanned);
  const fresh = renders.filter(({ isPlanned }) => !isPlanned).map((render) => ({ render, tasks: plans.get(render.spec.prompt) ?? [] }));
  if (again.length > 0) await store.expandAgain(epoch, "local", again);
  if (fresh.length > 0) await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders: fresh });
}

async function runDuties({ store, sql }: World): Promise<void> {
  await sql("update task set delayed_until = now() where state = 'delayed'");
  await sql("delete from canary");
  await sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");
  await expand(world());
  const epochOf = async (name: string): Promise<number> => (await store.holdDuty(name, "test", 60_000))?.epoch ?? 0;
  await store.promoteDelayed(await epochOf("promotion"));
  await store.reap(await epochOf("reaper"));
}

async function report(farm: Farm, pick: number, isSuccess: boolean): Promise<void> {
  const held = chosen(farm.claims, pick);
  if (held === undefined) return;
  const { worker, claim } = held;
  // One time in five the report is sent again later.
  if (pick % 5 !== 0) farm.claims.splice(farm.claims.indexOf(held), 1);
  const code = codes[pick % codes.length] ?? "STAGE_FAILED";
  const bad = claim.inputs.slice(0, 1).map((input) => input.sha256);
  await worker.report(isSuccess ? success(claim) : failure(claim, code, code === "ARTIFACT_MISSING" ? bad : []));
}

async function perform(farm: Farm, { kind, pick }: Operation): Promise<void> {
  const { store, sql } = world();
  const worker = chosen(farm.workers, pick);
  if (worker === undefined) return;
  switch (kind) {
    case "submit": {
      const domain = `${pick % 3}`;
      const plan = [diamond(domain), [task("left", { domain }), task("other", { domain, after: ["left"] })]][pick % 2] ?? [];
      farm.jobs.push(await submit(store, plan, { priority: pick % 7, renders: [planned(plan)] }));
      return;
    }
    case "batch": {
      const batch = [diamond(`${pick % 3}`), diamond(`${pick % 2}`), [task("left", { domain: "0" }), task(`own ${pick % 5}`)]];
      farm.jobs.push(await submitBatch(store, batch, { priority: pick % 7, renders: batch.map(planned) }));
      return;
    }
    case "cancel":
    case "cancel one":
      await store.cancelJob("local", chosen(farm.jobs, pick) ?? "none", kind === "cancel" ? undefined : pick % 3);
      return;
    case "retry":
    case "retry one":
      await store.retryJob("local", chosen(farm.jobs, pick) ?? "none", kind === "retry" ? undefined : pick % 3);
      return;
    case "update":
      await store.updateJob("local", chosen(farm.jobs, pick) ?? "none", { priority: pick % 11 });
      return;
    case "next": {
      const [outcome] = await store.next([worker.ask()]);
      if (outcome?.kind === "refused")
        farm.workers[farm.workers.indexOf(worker)] = createWorker(store, { name: `w${farm.workers.indexOf(worker)}` });
      if (outcome?.kind !== "answered" || outcome.claim === undefined) return;
      worker.held.add(outcome.claim.attemptId);
      farm.claims.push({ worker, claim: outcome.claim });
      return;
    }
    case "succeed":
      return report(farm, pick, true);
    case "fail":
      return report(farm, pick, false);
    case "restart":
      farm.workers[pick % farm.workers.length] = createWorker(store, { name: `w${pick % farm.workers.length}` });
      return;
    case "lapse":
      await sql("update session set lease_until = now() - interval '1 s' where id = $1", [worker.sessionId]);
      return;
    case "checkpoint": {
      const held = chosen(farm.claims, pick);
      if (held !== undefined) await held.worker.checkpoint(held.claim, 1 + (pick % 40));
      return;
    }
    case "expand":
      return expand(world());
    case "duties":
      return runDuties(world());
  }
}

/** What must hold between any two transactions. */
async function checkInvariants({ sql }: World): Promise<void> {
  const broken = await sql(`
    select 'inputs_missing', t.id::text from task t where t.state = 'blocked' and t.inputs_missing <> vf_inputs_missing(t.id)
    union all select 'ready without row', t.id::text from task t where t.state = 'ready' and not exists (select 1 from ready q where q.task_id = t.id)
    union all select 'row without ready', q.task_id::text from ready q join task t on t.id = q.task_id where t.state <> 'ready'
    union all select 'running without owner', t.id::text from task t where t.state = 'running' and not exists (
      select 1 from attempt a join session s on s.id = a.session_id where a.id = t.current_attempt and a.state = 'running')
    union all select 'owner without running', a.id::text from attempt a join task t on t.id = a.task_id
      where a.state = 'running' and t.current_attempt is distinct from a.id
    union all select 'unbooked', a.id::text from attempt a where a.state <> 'running'
      and (select count(*) from usage u where u.attempt_id = a.id) <> 1
    union all select 'unused', t.id::text from task t where t.state in ('blocked', 'ready', 'delayed') and not vf_is_wanted(t.id)
    union all select 'two results', o.task_id::text from task_output o group by o.task_id, o.name having count(*) > 1
    union all select 'result of none', o.task_id::text from task_output o join task t on t.id = o.task_id where t.state <> 'succeeded'
    union all select 'lost job', j.id from job j where j.state in ('queued', 'running') and not exists (
      select 1 from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id
      where r.job_id = j.id and u.is_wanted and t.state in ('blocked', 'ready', 'running', 'delayed'))
      and not exists (select 1 from render r where r.job_id = j.id and r.is_waiting)
    union all select 'waiting miscounted', coalesce(a.job_id, w.job_id)
      from (select r.job_id, r.pool, count(*) as renders from render r where r.is_waiting group by r.job_id, r.pool) a
      full join waiting w on w.job_id = a.job_id and w.pool = a.pool where a.renders is distinct from w.renders
    union all select 'wanted by an ended render', u.render_id::text from task_user u join render r on r.id = u.render_id
      where u.is_wanted <> (r.state in ('queued', 'running') and not r.is_waiting)
    union all select 'render of another state', r.id::text from render r join lateral (
        select bool_or(t.state in ('failed', 'cancelled')) as is_dead, bool_and(t.state = 'succeeded') as is_done
        from task_user u join task t on t.id = u.task_id where u.render_id = r.id) tasks on true
      where r.state in ('queued', 'running') and not r.is_waiting and (tasks.is_dead or tasks.is_done)
    union all select 'lost render', r.id::text from render r where r.state in ('queued', 'running') and not r.is_waiting and not exists (
      select 1 from task_user u join task t on t.id = u.task_id
      where u.render_id = r.id and u.is_wanted and t.state in ('blocked', 'ready', 'running', 'delayed'))
    union all select 'miscounted job', j.id from job j
      where array[j.render_queued, j.render_running, j.render_succeeded, j.render_failed, j.render_cancelled]::bigint[] <> (
        select array[count(*) filter (where r.state = 'queued'), count(*) filter (where r.state = 'running'),
          count(*) filter (where r.state = 'succeeded'), count(*) filter (where r.state = 'failed'),
          count(*) filter (where r.state = 'cancelled')] from render r where r.job_id = j.id)
    union all select 'job of another state', j.id from job j where j.state <> case
      when j.render_queued + j.render_running > 0 then case when j.state = 'queued' then 'queued' else 'running' end
      when j.render_failed > 0 then 'failed' when j.render_cancelled > 0 then 'cancelled' else 'succeeded' end
    union all select 'ranked wrongly', q.task_id::text from ready q where q.priority <> (
      select max(j.priority) from task_user u join render r on r.id = u.render_id join job j on j.id = r.job_id
      where u.task_id = q.task_id and u.is_wanted)
    union all select 'checkpoint of an ended task', k.task_id::text from task_checkpoint k join task t on t.id = k.task_id
      where t.state not in ('blocked', 'ready', 'running', 'delayed')
    union all select 'event gap', e.job_id from event e group by e.job_id having max(e.number) <> count(*)
    union all select 'events uncounted', j.id from job j where j.last_event <> (select count(*) from event e where e.job_id = j.id)
    union all select 'ended twice', e.job_id from (
        select e.job_id, e.job_state, lag(e.job_state) over (partition by e.job_id order by e.number) as before
        from event e where e.job_state is not null) e
      where e.job_state in ('succeeded', 'failed', 'cancelled') and e.before in ('succeeded', 'failed', 'cancelled')`);
  expect(broken).toEqual([]);
}

/** Works off everything that is left. */
async function settle(farm: Farm): Promise<void> {
  const { store, sql } = world();
  for (const { worker, claim } of farm.claims.splice(0)) await worker.report(success(claim));
  for (let round = 0; round < 60; round += 1) {
    await sql("update session set lease_until = now() - interval '1 s' where is_live");
    await runDuties(world());
    const worker = createWorker(store, { name: `last${round}` });
    for (let claim = (await worker.next()).claim; claim !== undefined; claim = (await worker.next()).claim) await worker.succeed(claim);
    const open = await sql("select 1 from job where state in ('queued', 'running')");
    if (open.length === 0) return;
  }
}

test("whatever happens in whatever order, each job ends once, each task has at most one result, and only legal moves are made", async () => {
  const { sql, store } = world();
  await sql("create table move (from_state text, to_state text)");
  await sql(`create function log_move() returns trigger language plpgsql as
    'begin insert into move values (old.state, new.state); return new; end'`);
  await sql("create trigger log_move after update on task for each row when (old.state <> new.state) execute function log_move()");
  const runs = fc.asyncProperty(fc.array(operation, { minLength: 40, maxLength: 80 }), async (operations) => {
    await sql("truncate tenant, session, worker, session_answer, artifact, usage, duty cascade");
    const workers = [0, 1, 2].map((index) => createWorker(store, { name: `w${index}` }));
    const farm: Farm = { jobs: [], workers, claims: [] };
    for (const each of operations) {
      await perform(farm, each);
      await checkInvariants(world());
    }
    await settle(farm);
    await checkInvariants(world());
    expect(await sql("select id from job where state in ('queued', 'running')")).toEqual([]);
    const epoch = (await store.holdDuty("sweep", "test", 60_000))?.epoch ?? 0;
    expect((await store.sweep(epoch)).repaired).toBe(0);
  });
  await fc.assert(runs, { numRuns: 8, endOnFailure: true });
  const moves = await sql<{ from_state: TaskState; to_state: TaskState }>("select distinct from_state, to_state from move");
  expect(moves.filter(({ from_state: from, to_state: to }) => !canTaskMove(from, to))).toEqual([]);
  // The log was written; which moves chance brings about differs from run to run.
  expect(moves).toContainEqual({ from_state: "running", to_state: "succeeded" });
});

test("many things at once through two coordinators lose no job and make no result twice", async () => {
  const { sql, store, openAnother } = world();
  const another = await openAnother();
  const jobs: string[] = [];
  const submitter = async (index: number): Promise<void> => {
    for (let count = 0; count < 8; count += 1) {
      const plan = diamond(`${(index + count) % 4}`);
      const jobId = await submit(index % 2 === 0 ? store : another, plan, { renders: [planned(plan)] });
      jobs.push(jobId);
      if (count % 3 === 0) await another.cancelJob("local", jobId);
    }
  };
  const work = async (index: number): Promise<void> => {
    const worker = createWorker(index % 2 === 0 ? store : another, { name: `w${index}` });
    for (let count = 0; count < 25; count += 1) {
      if (index === 0) await expand(world());
      const { claim } = await worker.next();
      if (claim === undefined) continue;
      if ((index + count) % 6 === 0) await worker.fail(claim, "RUNTIME_DIED");
      else await worker.succeed(claim);
    }
  };
  await Promise.all([submitter(0), submitter(1), ...Array.from({ length: 5 }, (_unused, index) => work(index))]);
  await checkInvariants(world());
  await settle({ jobs, workers: [], claims: [] });
  await checkInvariants(world());
  expect(await sql("select state from job where state in ('queued', 'running')")).toEqual([]);
});

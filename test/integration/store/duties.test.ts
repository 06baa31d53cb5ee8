import { expect, test } from "vitest";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, task, type World, submitBatch } from "../../support/store-world.ts";

const world = useWorld();

async function hold(store: Store, name: string): Promise<number> {
  const held = await store.holdDuty(name, "test", 60_000);
  return held?.epoch ?? 0;
}

/** A canary that has beaten without a gap for a while. */
const proveBeatPath = ({ sql }: World): Promise<unknown> =>
  sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");

const lapse = ({ sql }: World, sessionIds: readonly string[]): Promise<unknown> =>
  sql("update session set lease_until = now() - interval '1 s' where id = any ($1)", [sessionIds]);

test("a duty has one holder at a time, who may renew; a new holder gets a new epoch", async () => {
  const { store, sql } = world();
  expect(await store.holdDuty("reaper", "a", 60_000)).toEqual({ epoch: 1 });
  expect(await store.holdDuty("reaper", "b", 60_000)).toBeUndefined();
  expect(await store.holdDuty("reaper", "a", 60_000)).toEqual({ epoch: 1 });
  await sql("update duty set until = now() - interval '1 s'");
  expect(await store.holdDuty("reaper", "b", 60_000)).toEqual({ epoch: 2 });
  await store.releaseDuty("reaper", "a");
  expect(await store.holdDuty("reaper", "a", 60_000)).toBeUndefined();
  await store.releaseDuty("reaper", "b");
  expect(await store.holdDuty("reaper", "a", 60_000)).toEqual({ epoch: 3 });
});

test("writes of a duty that was lost change nothing", async () => {
  const { store, sql } = world();
  await proveBeatPath(world());
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_FAILED");
  await sql("update task set delayed_until = now()");
  await lapse(world(), [worker.sessionId]);
  expect(await store.promoteDelayed(7)).toMatchObject({ ready: [] });
  expect(await store.reap(7)).toMatchObject({ kind: "held_back", reason: "another process holds the duty" });
  expect(await store.sweep(7)).toMatchObject({ repaired: 0 });
  expect(await store.condemnArtifacts(7)).toEqual([]);
  expect(await store.prune(7)).toBe(0);
  expect(await sql("select state from task")).toEqual([{ state: "delayed" }]);
  expect(await sql("select is_live from session")).toEqual([{ is_live: true }]);
});

test("a lapsed session is reaped once the beat path is proven, and its task runs again", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const dead = createWorker(store, { name: "dead" });
  const lost = await dead.claim();
  await lapse(world(), [dead.sessionId]);
  const epoch = await hold(store, "reaper");
  expect(await store.reap(epoch)).toMatchObject({ kind: "held_back", reason: "no canary has beaten yet", sessions: 0 });
  await store.recordCanary(0);
  expect(await store.reap(epoch)).toMatchObject({ kind: "held_back" });
  await world().sql("update canary set unbroken_since = now() - interval '1 minute'");
  expect(await store.reap(epoch)).toMatchObject({
    kind: "reaped",
    sessions: 1,
    attempts: 1,
    massLapse: false,
    aftermath: { ready: [{ pool: "pool", shape: "denoise/e1", count: 1 }], touchedJobIds: [jobId] },
  });
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing" });
  expect(await store.next([dead.ask()])).toMatchObject([{ kind: "refused", code: "SESSION_ENDED" }]);
  expect((await store.listWorkers(undefined)).map(({ state }) => state)).toEqual(["lost"]);
  const again = await createWorker(store, { name: "alive" }).claim();
  expect(again).toMatchObject({ taskId: lost.taskId, attemptNumber: 2 });
  expect((await store.listEvents(jobId, 0, 9)).map(({ kind }) => kind)).toContain("task.retried");
});

test("a silent canary holds reaping back, and so does one whose clock disagrees", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  await worker.claim();
  await lapse(world(), [worker.sessionId]);
  const epoch = await hold(store, "reaper");
  await sql("insert into canary (last_at, unbroken_since) values (now() - interval '9 s', now() - interval '1 minute')");
  expect((await store.reap(epoch)).reason).toMatch(/^the canary has been silent for 9\d\d\d ms$/);
  await sql("update canary set last_at = now() - interval '1 s'");
  expect((await store.recordCanary(1_000)).unbrokenMs).toBeGreaterThan(59_000);
  await sql("update canary set last_at = now() - interval '1 s'");
  expect(await store.recordCanary(2_600)).toEqual({ unbrokenMs: 0 });
  expect((await store.reap(epoch)).reason).toMatch(/^the beat path is proven for 0 ms of 15000 ms$/);
  await sql("update canary set last_at = now() - interval '4 s', unbroken_since = now() - interval '1 minute'");
  expect(await store.recordCanary(4_000)).toEqual({ unbrokenMs: 0 });
});

test("when much of a pool lapses at once only a few sessions are ended at a time, and it is told", async () => {
  const { store } = world();
  await proveBeatPath(world());
  const workers = Array.from({ length: 30 }, (_unused, index) => createWorker(store, { name: `w${index}` }));
  await store.next(workers.map((worker) => worker.ask()));
  await lapse(
    world(),
    workers.slice(0, 20).map(({ sessionId }) => sessionId),
  );
  const epoch = await hold(store, "reaper");
  expect(await store.reap(epoch)).toMatchObject({ kind: "reaped", sessions: 3, massLapse: true });
  await store.next(workers.slice(0, 20).map((worker) => worker.ask()));
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing", massLapse: false });
});

test("an attempt that its live worker leaves out of its beats for a lease is freed, and the one that it names is kept", async () => {
  const { store, sql } = world();
  await submit(store, [task("left out"), task("named")]);
  const worker = createWorker(store);
  const [left, named] = [await worker.claim(), await worker.claim()];
  const beat = (...ids: readonly string[]) => {
    const attempts = ids.map((attemptId) => ({
      attemptId,
      phase: "compute" as const,
      step: 1,
      steps: 2,
      deviceMs: 1,
      announcedArtifacts: [],
    }));
    return store.beat([{ sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, attempts }]);
  };
  const aLeaseLater = () => sql("update attempt set unnamed_since = unnamed_since - interval '15 s'");
  const epoch = await hold(store, "reaper");
  await beat(named.attemptId);
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing" });
  await aLeaseLater();
  await sql("update session set last_heard_at = now() - interval '1 s'");
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing" });
  await beat(left.attemptId, named.attemptId);
  await aLeaseLater();
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing" });
  await beat(named.attemptId);
  await aLeaseLater();
  await worker.next({ freeSlots: 0 });
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing" });
  await beat(named.attemptId);
  await aLeaseLater();
  await beat(named.attemptId);
  expect(await store.reap(epoch)).toMatchObject({ kind: "reaped", sessions: 0, attempts: 1, aftermath: { ready: [{ count: 1 }] } });
  expect(await sql("select state, error_class, error_message from attempt order by task_id")).toEqual([
    { state: "lost", error_class: "unexplained", error_message: "its worker beats, but not for it" },
    { state: "running", error_class: null, error_message: null },
  ]);
  expect(await beat(left.attemptId, named.attemptId)).toMatchObject([{ levels: [{ level: "revoked" }, { level: "wanted" }] }]);
});

test("a beat can be a HOT update: no index names what it writes, and pages keep room", async () => {
  const { sql } = world();
  const written = "lease_until|last_heard_at|beat_sequence|progress|device_ms|unnamed_since";
  const indexed = "select indexname from pg_indexes where tablename in ('session', 'attempt') and indexdef ~ $1";
  expect(await sql(indexed, [written])).toEqual([]);
  expect(await sql("select relname, reloptions from pg_class where relname in ('session', 'attempt') order by 1")).toEqual([
    { relname: "attempt", reloptions: ["fillfactor=70"] },
    { relname: "session", reloptions: ["fillfactor=50"] },
  ]);
});

test("workers that stopped in order lapse no more, however many they are", async () => {
  const { store, sql } = world();
  await proveBeatPath(world());
  const workers = Array.from({ length: 9 }, (_unused, index) => createWorker(store, { name: `w${index}` }));
  await store.next(workers.map((worker) => worker.ask()));
  await store.next(workers.slice(1).map((worker) => worker.ask({ freeSlots: 0, leaving: true })));
  await sql("update session set lease_until = now() - interval '1 s'");
  expect(await store.reap(await hold(store, "reaper"))).toMatchObject({ kind: "reaped", sessions: 1, massLapse: false });
});

test("a session that answers while it is being reaped is left alone", async () => {
  const { store, pool } = world();
  await proveBeatPath(world());
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await lapse(world(), [worker.sessionId]);
  const epoch = await hold(store, "reaper");
  const answering = await pool.connect();
  await answering.query("begin");
  await answering.query("update session set lease_until = now() + interval '15 s'");
  expect(await store.reap(epoch)).toMatchObject({ kind: "nothing", sessions: 0 });
  await answering.query("commit");
  answering.release();
  expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
});

test("the sweep finds nothing in a farm that works, and repairs each thing that never should be", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  const epoch = await hold(store, "sweep");
  const sweep = async (): Promise<number> => (await store.sweep(epoch)).repaired;
  expect(await sweep()).toBe(0);
  await sql("delete from ready");
  expect(await sweep()).toBe(1);
  await sql("update task set inputs_missing = 5 where inputs_missing = 2");
  expect(await sweep()).toBe(1);
  await sql("update session set is_live = false, end_reason = 'lapsed'");
  expect(await sweep()).toBe(1);
  expect(await sql("select state, inputs_missing from task order by id")).toContainEqual({ state: "blocked", inputs_missing: 2 });
  await sql(
    "insert into ready (task_id, pool, shape, tenant_id, class_rank, priority, queued_at, avoid) select id, pool, shape, tenant_id, 0, 0, now(), '{}' from task where state = 'blocked' limit 1",
  );
  expect(await sweep()).toBe(1);
  const next = createWorker(store, { name: "w2" });
  for (let done = 0; done < 2; done += 1) await next.succeed(await next.claim());
  await sql("delete from ready");
  await sql("alter table task disable trigger all");
  await sql("update task set state = 'blocked' where state = 'ready'");
  await sql("alter table task enable trigger all");
  expect(await sweep()).toBe(1);
  for (let done = 0; done < 2; done += 1) await next.succeed(await next.claim());
  await sql("update render set state = 'running', ended_at = null");
  await sql("update job set state = 'running', ended_at = null, render_running = render_total, render_succeeded = 0");
  expect(await sweep()).toBe(1);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await sweep()).toBe(0);
  expect(claim.attemptNumber).toBe(1);
});

test("unsent events come in order per job, and marking them never goes back", async () => {
  const { store } = world();
  const jobs = [await submit(store, diamond("a")), await submit(store, diamond("b"))].sort();
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  const unsent = await store.unsentEvents(100);
  expect(unsent.map(({ jobId, number }) => [jobId, number])).toEqual(
    [...unsent].sort((x, y) => x.jobId.localeCompare(y.jobId) || x.number - y.number).map(({ jobId, number }) => [jobId, number]),
  );
  expect(unsent).toHaveLength(4);
  expect(await store.unsentCount()).toBe(4);
  for (const jobId of jobs) expect(await store.markEventsSent(jobId, 1)).toBe(0);
  expect((await store.unsentEvents(100)).map(({ number }) => number)).toEqual([2, 3]);
  expect(await store.unsentCount()).toBe(2);
  for (const jobId of jobs) await store.markEventsSent(jobId, 99);
  for (const jobId of jobs) expect(await store.markEventsSent(jobId, 1)).toBeUndefined();
  expect(await store.unsentEvents(100)).toEqual([]);
  expect(await store.unsentCount()).toBe(0);
});

test("of those that mark the same events at a time one is told that it did", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const [{ number: last } = { number: 0 }] = (await store.unsentEvents(100)).slice(-1);
  const before = await Promise.all(Array.from({ length: 8 }, () => store.markEventsSent(jobId, last)));
  expect(before.filter((each) => each !== undefined)).toEqual([0]);
});

test("unsent events say whether their job is of one render or of several", async () => {
  const { store } = world();
  const single = await submit(store, [task("alone")]);
  await submitBatch(store, [[task("a")], [task("b")]]);
  const renders = new Map((await store.unsentEvents(100)).map(({ jobId, jobRenders }) => [jobId === single, jobRenders]));
  expect(renders).toEqual(
    new Map([
      [true, 1],
      [false, 2],
    ]),
  );
});

test("pruning deletes what its retention no longer keeps, and no event that is unsent", async () => {
  const { openAnother, sql, store } = world();
  const jobId = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await createWorker(store).next();
  await store.markEventsSent(jobId, 3);
  await sql("update session set ended_at = now() - interval '1 h' where not is_live");
  await sql("update job set ended_at = now() - interval '1 h'");
  await sql("update usage set at = now() - interval '1 h'");
  await sql("update attempt set ended_at = now() - interval '1 h'");
  await submit(store, [task("open")]);
  const open = createWorker(store);
  await open.fail(await open.claim(), "STAGE_CANCELLED");
  await sql("update attempt set ended_at = now() - interval '1 h'");
  const keep = { keepSessionsMs: 1_000, keepEventsMs: 1_000, keepUsageMs: 1_000, keepAttemptsMs: 1_000 };
  const eager = await openAnother({ retention: keep });
  const epoch = await hold(store, "prune");
  expect(await store.prune(epoch)).toBe(0);
  const batch = () => sql("select vf_prune($1, $2, 1) as rows", [epoch, JSON.stringify(keep)]);
  // An answer, an event, the usage, the attempt; then the session of the answer and the other events.
  expect(await batch()).toEqual([{ rows: 4 }]);
  expect(await batch()).toEqual([{ rows: 2 }]);
  expect(await eager.prune(epoch)).toBe(1);
  expect(await eager.prune(epoch)).toBe(0);
  expect((await store.listEvents(jobId, 0, 9)).map(({ number }) => number)).toEqual([4]);
  expect(await sql("select 1 from session")).toHaveLength(2);
  expect(await sql("select t.state from attempt a join task t on t.id = a.task_id")).toEqual([{ state: "ready" }]);
});

test("queue counts tell open tasks by stage and state", async () => {
  const { store } = world();
  await submit(store, diamond());
  await createWorker(store).claim();
  const counts = [...(await store.queueCounts())].sort((left, right) => left.state.localeCompare(right.state));
  expect(counts).toEqual([
    { pool: "pool", stage: "denoise", state: "blocked", count: 2 },
    { pool: "pool", stage: "denoise", state: "ready", count: 1 },
    { pool: "pool", stage: "denoise", state: "running", count: 1 },
  ]);
});

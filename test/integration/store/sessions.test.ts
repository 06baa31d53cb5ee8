import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, description, diamond, profile, submit, success, task } from "../../support/store-world.ts";

const world = useWorld();

test("a doubled next gets the stored answer and claims nothing more", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  await submit(store, diamond());
  const ask = createWorker(store).ask();
  const [[first], [second]] = await Promise.all([store.next([ask]), another.next([ask])]);
  const answers = [first, second].sort((left) => (left?.kind === "answered" && left.replayed ? 1 : -1));
  expect(answers).toMatchObject([
    { kind: "answered", replayed: false },
    { kind: "answered", replayed: true, aftermath: { ready: [], touchedJobIds: [] } },
  ]);
  expect(first?.kind === "answered" && first.claim).toEqual(second?.kind === "answered" && second.claim);
  expect(await sql("select 1 from attempt")).toHaveLength(1);
});

test("a next that comes after a newer request is refused, and so is one whose sequence served a report", async () => {
  const { store } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const late = worker.ask();
  const claim = await worker.claim();
  expect(await store.next([late])).toMatchObject([{ kind: "refused", code: "SEQUENCE_STALE" }]);
  await worker.succeed(claim);
  const clash = { ...worker.ask(), sequence: 3 };
  expect(await store.next([clash])).toMatchObject([{ kind: "refused", code: "SEQUENCE_STALE" }]);
});

test("a doubled report is answered alike and changes nothing more", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  const ask = { sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, reports: [success(claim)] };
  const [first] = await store.report([ask]);
  const [again] = await store.report([ask]);
  expect(first).toMatchObject({ kind: "answered", replayed: false, reportOutcomes: [{ disposition: "committed" }] });
  expect(again).toMatchObject({ kind: "answered", replayed: true, reportOutcomes: [{ disposition: "committed" }] });
  expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "already_committed" }] }]);
  expect(await sql("select 1 from usage")).toHaveLength(1);
  expect(await sql("select 1 from event where kind = 'task.succeeded'")).toHaveLength(1);
});

test("reports ride along on a next, before its claim", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("first"), task("second", { after: ["first"], artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  worker.held.delete(claim.attemptId);
  const answer = await worker.next({ reports: [success(claim)] });
  expect(answer).toMatchObject({ reportOutcomes: [{ disposition: "committed" }], claim: { stage: "denoise", attemptNumber: 1 } });
  expect(answer.claim?.inputs).toMatchObject([{ name: "first" }]);
  expect(answer.aftermath.touchedJobIds).toEqual([jobId]);
});

test("a claim that the worker does not list as held is given back uncharged", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const lost = await worker.claim();
  worker.held.delete(lost.attemptId);
  const { claim } = await worker.next();
  expect(claim).toMatchObject({ taskId: lost.taskId, attemptNumber: 2 });
  expect(claim?.attemptId).not.toBe(lost.attemptId);
  expect(await worker.succeed(lost)).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await sql("select failures from task")).toEqual([{ failures: {} }]);
});

test("another life of a worker ends the older one, whose attempts are charged as unexplained", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const old = createWorker(store);
  const lost = await old.claim();
  const young = createWorker(store);
  expect(await young.claim()).toMatchObject({ taskId: lost.taskId, attemptNumber: 2 });
  expect(await store.next([old.ask()])).toMatchObject([{ kind: "refused", code: "SESSION_SUPERSEDED" }]);
  const beat = { sessionId: old.sessionId, sequence: 1, farmEpoch: 0, attempts: [] };
  expect(await store.beat([beat])).toMatchObject([{ kind: "refused", code: "SESSION_SUPERSEDED" }]);
  expect(await old.succeed(lost)).toMatchObject([{ kind: "answered", reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await sql("select failures from task")).toEqual([{ failures: { unexplained: 1 } }]);
  expect(await sql("select state, error_code from attempt order by number")).toEqual([
    { state: "lost", error_code: "SESSION_SUPERSEDED" },
    { state: "running", error_code: null },
  ]);
  expect(await sql("select disposition from usage")).toEqual([{ disposition: "superseded" }]);
});

test("a worker's last word ends its session as stopped and gives back what it holds, uncharged", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const held = await worker.claim();
  const last = worker.ask({ leaving: true });
  expect(await store.next([last])).toMatchObject([{ kind: "answered", replayed: false, aftermath: { ready: [{ count: 1 }] } }]);
  expect(await store.next([last])).toMatchObject([{ kind: "answered", replayed: true }]);
  expect((await store.listWorkers(undefined)).map(({ state }) => state)).toEqual(["stopped"]);
  expect(await sql("select t.state, failures, a.state as attempt from task t join attempt a on a.task_id = t.id")).toEqual([
    { state: "ready", failures: {}, attempt: "abandoned" },
  ]);
  expect(await store.next([worker.ask()])).toMatchObject([{ kind: "refused", code: "SESSION_ENDED" }]);
  expect(await worker.succeed(held)).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await createWorker(store).claim()).toMatchObject({ taskId: held.taskId, attemptNumber: 2 });
  expect((await store.listWorkers(undefined)).map(({ state }) => state)).toEqual(["busy"]);
});

test("a first request of a dead life that comes late, or twice, ends nothing of the living one", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  await submit(store, diamond());
  const late = createWorker(store).ask();
  const living = createWorker(store);
  const claim = await living.claim();
  const before = await sql("select id, is_live, sequence from session");
  for (const outcome of [...(await store.next([late])), ...(await another.next([late, late]))])
    expect(outcome).toMatchObject({ kind: "refused", code: "SESSION_SUPERSEDED" });
  expect(await sql("select id, is_live, sequence from session")).toEqual(before);
  expect(await sql("select session_id from worker")).toEqual([{ session_id: living.sessionId }]);
  expect(await living.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
});

test("of two sessions that claim to be the same life only the first is opened, even at the same moment", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  const twins = [store, another].map((each) => createWorker(each, { life: 1_000_000 }).ask());
  const outcomes = (await Promise.all([store.next(twins.slice(0, 1)), another.next(twins.slice(1))])).flat();
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["answered", "refused"]);
  expect(outcomes.find(({ kind }) => kind === "refused")).toMatchObject({ code: "SESSION_SUPERSEDED" });
  expect(await sql("select is_live from session")).toEqual([{ is_live: true }]);
});

test("an older life is refused also after the younger one has stopped", async () => {
  const { store } = world();
  const late = createWorker(store).ask();
  await createWorker(store).next({ freeSlots: 0, leaving: true });
  expect(await store.next([late])).toMatchObject([{ kind: "refused", code: "SESSION_SUPERSEDED" }]);
  expect((await store.listWorkers(undefined)).map(({ state }) => state)).toEqual(["stopped"]);
});

test("requests of another epoch, pool or profile are refused and change nothing", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const other = { ...description(), profile: "cpu;other" };
  expect(await store.next([worker.ask({ worker: other })])).toMatchObject([{ kind: "refused", code: "POOL_PROFILE_MISMATCH" }]);
  expect(await store.next([worker.ask({ worker: { ...other, pool: "none" } })])).toMatchObject([{ code: "POOL_UNKNOWN" }]);
  expect(await sql("select 1 from session")).toHaveLength(0);
  await sql("update farm set epoch = 2");
  expect(await store.next([worker.ask({ farmEpoch: 1 })])).toMatchObject([{ kind: "refused", code: "EPOCH_MISMATCH", farmEpoch: 2 }]);
  expect(await store.next([worker.ask()])).toMatchObject([{ kind: "answered", farmEpoch: 2 }]);
  expect(profile).toBe("cpu;test");
});

test("a beat renews an expired lease that nobody reaped, tells levels and refuses what is older or ended", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  await sql("update session set lease_until = now() - interval '1 minute'");
  const attempt = (attemptId: string) => ({ attemptId, phase: "compute" as const, step: 3, steps: 9, deviceMs: 0, announcedArtifacts: [] });
  const beat = { sessionId: worker.sessionId, sequence: 5, farmEpoch: 0, attempts: [attempt(claim.attemptId), attempt("nonsense")] };
  expect(await store.beat([beat])).toMatchObject([
    {
      kind: "answered",
      leaseMs: 15_000,
      levels: [
        { attemptId: claim.attemptId, level: "wanted" },
        { attemptId: "nonsense", level: "revoked" },
      ],
    },
  ]);
  expect(await sql("select lease_until > now() as is_renewed from session")).toEqual([{ is_renewed: true }]);
  expect(await store.beat([{ ...beat, sequence: 4 }])).toMatchObject([{ kind: "refused", code: "SEQUENCE_STALE" }]);
  expect(await store.beat([{ ...beat, sessionId: "unknown" }])).toMatchObject([{ kind: "refused", code: "SESSION_ENDED" }]);
  expect(await store.listWorkers(undefined)).toMatchObject([{ state: "busy", running: [{ stage: "denoise", step: 3, steps: 9 }] }]);
});

test("many workers of two coordinators claim each task once", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  await submit(
    store,
    Array.from({ length: 30 }, (_unused, index) => task(`t${index}`)),
  );
  const workers = Array.from({ length: 40 }, (_unused, index) => createWorker(index % 2 === 0 ? store : another, { name: `w${index}` }));
  const claims = await Promise.all(workers.map(async (worker) => (await worker.next()).claim?.taskId));
  const claimed = claims.filter((id) => id !== undefined);
  expect(claimed).toHaveLength(30);
  expect(new Set(claimed).size).toBe(30);
  expect(await sql("select 1 from ready")).toHaveLength(0);
});

test("one call answers many asks in order, refused ones among them, and a session that is in it twice", async () => {
  const { store } = world();
  await submit(store, diamond());
  const [left, right] = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" })];
  const twice = left.ask();
  const outcomes = await store.next([twice, right.ask({ farmEpoch: 9 }), twice, right.ask()]);
  expect(outcomes).toMatchObject([
    { kind: "answered", replayed: false, claim: { stage: "denoise" } },
    { kind: "refused", code: "EPOCH_MISMATCH" },
    { kind: "answered", replayed: true, claim: { stage: "denoise" } },
    { kind: "answered", replayed: false, claim: { stage: "denoise" } },
  ]);
});

test("an ask that the database cannot take fails alone", async () => {
  const { store } = world();
  await submit(store, diamond());
  const broken = createWorker(store, { name: "a" }).ask({ worker: { ...description(), workerId: "x".repeat(200) } });
  const outcomes = await store.next([broken, createWorker(store, { name: "b" }).ask()]);
  expect(outcomes).toMatchObject([
    { kind: "refused", code: "INTERNAL" },
    { kind: "answered", claim: { stage: "denoise" } },
  ]);
});

test("idle workers are found for a shape, those with the engine resident first", async () => {
  const { store } = world();
  const cold = createWorker(store, { name: "cold" });
  const warm = createWorker(store, { name: "warm" });
  const busy = createWorker(store, { name: "busy" });
  await submit(store, [task("only")]);
  await busy.claim();
  await cold.next();
  await warm.next({ worker: { ...description({ name: "warm" }), residentEngineDigests: ["e1"] } });
  await createWorker(store, { name: "full" }).next({ freeSlots: 0 });
  await createWorker(store, { name: "else", shapes: ["vae_decode/e2"] }).next();
  expect(await store.idleWorkers("pool", "denoise/e1", 5)).toEqual(["warm", "cold"]);
  expect(await store.idleWorkers("pool", "denoise/e1", 1)).toEqual(["warm"]);
});

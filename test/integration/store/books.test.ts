import { expect, test } from "vitest";
import { reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, failure, submit, success, task, type Worker, type World } from "../../support/store-world.ts";

const world = useWorld();

const booksOf = ({ sql }: World): Promise<readonly object[]> =>
  sql("select u.disposition, u.device_ms, u.compute_ms from usage u join attempt a on a.id = u.attempt_id order by a.number");

async function beat(worker: Worker, attemptId: string, deviceMs: number): Promise<void> {
  const attempt = { attemptId, phase: "compute" as const, step: 1, steps: 9, deviceMs, announcedArtifacts: [] };
  const ask = { sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, attempts: [attempt] };
  expect(await world().store.beat([ask])).toMatchObject([{ kind: "answered" }]);
}

test("an attempt whose lease lapsed costs what was last beaten, until its report corrects that", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await beat(worker, claim.attemptId, 700);
  await beat(worker, claim.attemptId, 400);
  await reapAll(world());
  expect(await booksOf(world())).toEqual([{ disposition: "lost", device_ms: 700, compute_ms: 0 }]);
  const picture = () => sql("select t.state, t.failures, a.state as attempt, a.error_code from task t join attempt a on a.task_id = t.id");
  const before = await picture();
  const late = { ...success(claim), deviceMs: 900, computeMs: 850 };
  expect(await worker.report(late)).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await worker.report({ ...late, deviceMs: 1 })).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await booksOf(world())).toEqual([{ disposition: "superseded", device_ms: 900, compute_ms: 850 }]);
  expect(await picture()).toEqual(before);
});

test("an attempt of an older life of its worker is in the books as lost", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const old = createWorker(store);
  await beat(old, (await old.claim()).attemptId, 50);
  await createWorker(store).next({ freeSlots: 0 });
  expect(await booksOf(world())).toEqual([{ disposition: "lost", device_ms: 50, compute_ms: 0 }]);
});

test("an attempt that is given back is in the books as returned, however it is", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  worker.held.delete((await worker.claim()).attemptId);
  const again = await worker.claim();
  await beat(worker, again.attemptId, 30);
  await worker.next({ freeSlots: 0, leaving: true });
  expect(await booksOf(world())).toEqual([
    { disposition: "returned", device_ms: 0, compute_ms: 0 },
    { disposition: "returned", device_ms: 30, compute_ms: 0 },
  ]);
});

test("reported attempts are in the books with what the report says, not with what was beaten", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const first = await worker.claim();
  await beat(worker, first.attemptId, 5_000);
  await worker.report(failure(first, "STAGE_CANCELLED"));
  await worker.succeed(await worker.claim());
  expect(await booksOf(world())).toMatchObject([
    { disposition: "committed", device_ms: 10 },
    { disposition: "committed", device_ms: 10 },
  ]);
});

test("a beat cannot charge another session's attempt", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const claim = await createWorker(store, { name: "a" }).claim();
  const other = createWorker(store, { name: "b" });
  await other.next({ freeSlots: 0 });
  await beat(other, claim.attemptId, 99);
  expect(await sql("select device_ms from attempt")).toEqual([{ device_ms: 0 }]);
});

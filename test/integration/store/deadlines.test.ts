import { expect, test } from "vitest";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, task } from "../../support/store-world.ts";

const world = useWorld();
const inMs = (ms: number): Date => new Date(Date.now() + ms);

async function tell(): Promise<readonly string[]> {
  const { store } = world();
  const held = await store.holdDuty("deadlines", "test", 600_000);
  return (await store.tellDeadlines(held?.epoch ?? 0)).told;
}

const saidOf = async (store: Store, jobId: string): Promise<readonly string[]> =>
  (await store.listEvents(jobId, 0, 99)).filter(({ kind }) => kind.startsWith("job.deadline_")).map(({ kind }) => kind);

/** Lets the farm know that tasks of the shape take ten minutes. */
async function known(): Promise<void> {
  const { store, sql } = world();
  await submit(store, [task("known")]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await sql("update attempt set compute_ms = 600000");
}

test("a job that cannot be in time any more is told of once, and once more when it is late; it goes on", async () => {
  const { store, sql } = world();
  await known();
  const late = await submit(store, [task("late")], { deadline: inMs(300_000) });
  const fine = await submit(store, [task("fine")], { deadline: inMs(3_000_000) });
  const none = await submit(store, [task("none")]);
  expect(await tell()).toEqual(["at_risk"]);
  expect(await tell()).toEqual([]);
  expect((await store.getJob("local", late))?.deadlineStanding).toBe("at_risk");
  const [event] = (await store.listEvents(late, 0, 99)).slice(-1);
  expect(event).toMatchObject({ kind: "job.deadline_at_risk", jobState: undefined });
  expect(event?.message).toMatch(/^(300|299) s are left, 1 render is open and at least 600 s of work$/);
  await sql("update job set deadline = now() - interval '1 s', deadline_told = 'at_risk' where id = $1", [late]);
  expect(await tell()).toEqual(["missed"]);
  expect(await tell()).toEqual([]);
  expect(await saidOf(store, late)).toEqual(["job.deadline_at_risk", "job.deadline_missed"]);
  expect([await saidOf(store, fine), await saidOf(store, none)]).toEqual([[], []]);
  expect(await store.getJob("local", late)).toMatchObject({ state: "queued", failure: undefined, deadlineStanding: "missed" });
  expect((await store.getJob("local", fine))?.deadlineStanding).toBe("in_time");
  expect((await store.getJob("local", none))?.deadlineStanding).toBeUndefined();
  expect((await store.explainFacts(undefined, late, undefined))?.deadline).toBe("missed");
  expect((await store.explainFacts(undefined, fine, undefined))?.deadline).toBeUndefined();
});

test("what a run has done already counts; a deadline that is changed is judged anew", async () => {
  const { store } = world();
  await known();
  const jobId = await submit(store, [task("runs")], { deadline: inMs(300_000) });
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.beat(claim, 30, { deviceMs: 400_000 });
  expect(await tell()).toEqual([]);
  await store.updateJob("local", jobId, { deadline: inMs(100_000) });
  expect(await tell()).toEqual(["at_risk"]);
  await store.updateJob("local", jobId, { priority: 3 });
  expect(await tell()).toEqual([]);
  await store.updateJob("local", jobId, { deadline: inMs(150_000) });
  expect(await tell()).toEqual(["at_risk"]);
});

test("a job that has ended, and a duty that was lost, tell nothing", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("over")], { deadline: inMs(-1_000) });
  const held = await store.holdDuty("deadlines", "test", 600_000);
  expect((await store.tellDeadlines((held?.epoch ?? 0) + 1)).told).toEqual([]);
  await store.cancelJob("local", jobId);
  expect(await tell()).toEqual([]);
  expect(await saidOf(store, jobId)).toEqual([]);
});

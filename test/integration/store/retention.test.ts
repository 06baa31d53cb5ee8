import { expect, test } from "vitest";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, noFilter, sha256, submit, submitBatch, task, type Worker } from "../../support/store-world.ts";

const dayMs = 24 * 3600 * 1000;
const world = useWorld({ retention: { keepJobsMs: dayMs, keepUploadsMs: dayMs, keepUnusedTasksMs: 0, keepIntermediatesMs: 0, longestUploadMs: 0 }, leaseMs: 0 }); // prettier-ignore

async function finish(worker: Worker): Promise<void> {
  for (let { claim } = await worker.next(); claim !== undefined; { claim } = await worker.next()) await worker.succeed(claim);
}

/** Two days later: what ended, was handed in or became unused is that old. */
async function age(): Promise<void> {
  const { sql } = world();
  await sql("update job set ended_at = ended_at - interval '2 days', sent_event = last_event where ended_at is not null");
  await sql("update upload set created_at = created_at - interval '2 days'");
}

/** Prunes until nothing is left to prune. */
async function prune(store: Store): Promise<void> {
  const { epoch } = (await store.holdDuty("prune", "test", 60_000)) ?? { epoch: 0 };
  for (let rows = 1; rows > 0;) rows = await store.prune(epoch);
}

async function collect(store: Store): Promise<void> {
  const { epoch } = (await store.holdDuty("collection", "test", 60_000)) ?? { epoch: 0 };
  await store.condemnArtifacts(epoch);
  for (const hash of await store.condemnArtifacts(epoch)) await store.collectArtifact(hash, () => Promise.resolve());
}

const count = async (what: string): Promise<number> => (await world().sql(`select 1 from ${what}`)).length;

test("a job that ended long ago goes with all that is its own, and its tasks when their results are collected", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, [diamond("a"), diamond("b")], { idempotencyKey: "key", webhook: undefined });
  await finish(createWorker(store));
  await prune(store);
  expect(await store.getJob("local", jobId)).toBeDefined();
  await age();
  await prune(store);
  expect(await store.getJob("local", jobId)).toBeUndefined();
  expect(await store.artifactOfRender("local", { jobId, position: 0, name: "mp4" })).toBeUndefined();
  expect(await store.findSubmitted("local", "key")).toBeUndefined();
  expect([await count("job"), await count("render"), await count("event"), await count("task_user")]).toEqual([0, 0, 0, 0]);
  expect(await count("task")).toBe(8);
  await collect(store);
  await prune(store);
  expect([await count("task"), await count("attempt"), await count("task_input"), await count("artifact")]).toEqual([0, 0, 0, 0]);
  expect(await count("usage")).toBe(8);
});

test("a job that is being deleted is nobody's any more: it is neither listed, nor run again, nor cancelled", async () => {
  const { store, sql } = world();
  const jobId = await submitBatch(store, [[task("a")], [task("b")]]);
  await store.cancelJob("local", jobId);
  await sql("update job set removed_at = now()");
  const ask = { scope: "local", order: { by: "create_time" as const, descending: true }, after: undefined, limit: 9 };
  expect((await store.listJobs({ ...ask, filter: noFilter })).jobs).toEqual([]);
  expect(await store.listRenders({ scope: "local", jobId, states: [], afterPosition: undefined, limit: 9 })).toBeUndefined();
  expect(await store.getRender("local", jobId, 0)).toBeUndefined();
  expect(await store.retryJob("local", jobId)).toBeUndefined();
  expect(await store.cancelJob("local", jobId)).toBeUndefined();
  expect(await store.explainFacts("local", jobId, undefined)).toBeUndefined();
});

test("what is open or not told of stays", async () => {
  const { store, sql } = world();
  const open = await submit(store, [task("open")]);
  const unsent = await submit(store, [task("unsent")]);
  const due = await submit(store, [task("due")], { webhook: { url: "https://example.test/hook", secret: "c2VjcmV0" } });
  for (const jobId of [unsent, due]) await store.cancelJob("local", jobId);
  await age();
  await sql("update job set sent_event = 0 where id = $1", [unsent]);
  await prune(store);
  const kept = await sql<{ id: string }>("select id from job");
  expect(kept.map(({ id }) => id).sort()).toEqual([open, unsent, due].sort());
});

test("a task that was noted as unused and is used again stays, and is looked at no more", async () => {
  const { store, sql } = world();
  await store.cancelJob("local", await submit(store, [task("again")]));
  await sql("update task set unused_since = now() - interval '1 day'");
  await prune(store);
  expect(await sql("select state, unused_since from task")).toEqual([{ state: "cancelled", unused_since: null }]);
});

test("what a dead letter takes stays for as long as it may be tried again", async () => {
  const { store, sql } = world();
  await submit(store, [task("taken"), task("dead", { after: ["taken"] })]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  const dead = await worker.claim();
  await worker.fail(dead, "STAGE_INPUT_INVALID");
  const stored = async () => (await sql<{ sha256: string }>("select sha256 from artifact where is_stored")).map(({ sha256 }) => sha256);
  await collect(store);
  expect(await stored()).toEqual(expect.arrayContaining(dead.inputs.map(({ sha256 }) => sha256)));
  await sql("update task set ended_at = ended_at - interval '31 days'");
  await collect(store);
  expect(await stored()).toEqual([]);
});

test("a task that another job uses stays with its attempts, and so does one whose output an open task takes", async () => {
  const { store, sql } = world();
  await submit(store, [task("left"), task("shared")]);
  await finish(createWorker(store));
  const later = await submit(store, [task("shared"), task("left"), task("after", { after: ["left"] })]);
  await sql("update job set ended_at = ended_at - interval '2 days', sent_event = last_event where ended_at is not null");
  await prune(store);
  await collect(store);
  await prune(store);
  expect(await sql("select count(*)::integer as count from task")).toEqual([{ count: 3 }]);
  await finish(createWorker(store, { name: "w2" }));
  expect(await store.getJob("local", later)).toMatchObject({ state: "succeeded" });
});

test("an upload goes by its age, unless a kept job starts from it", async () => {
  const { store, sql } = world();
  const rest = { tenant: "local", sizeBytes: 1, mediaType: "image/png", kind: "image" as const, width: 1, height: 1, frames: 1 };
  for (const name of ["used", "unused", "young"]) await store.commitUpload({ ...rest, sha256: sha256(name) });
  await submit(store, [task("prepare", { uploads: [sha256("used")] })]);
  await sql("update upload set created_at = now() - interval '2 days' where sha256 <> $1", [sha256("young")]);
  await prune(store);
  expect((await store.findUploads("local", ["used", "unused", "young"].map(sha256))).map((upload) => upload.sha256).sort()).toEqual(
    ["used", "young"].map(sha256).sort(),
  );
  await collect(store);
  expect(await count("artifact")).toBe(2);
});

test("a submit and the prune of the uploads that it starts from never leave a job without them", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  const rest = { tenant: "local", sizeBytes: 1, mediaType: "image/png", kind: "image" as const, width: 1, height: 1, frames: 1 };
  for (let round = 0; round < 6; round += 1) {
    const hash = sha256(`round ${round}`);
    await store.commitUpload({ ...rest, sha256: hash });
    await sql("update upload set created_at = now() - interval '2 days'");
    const { epoch } = (await another.holdDuty("prune", "test", 60_000)) ?? { epoch: 0 };
    const plan = [task(`prepare ${round}`, { uploads: [hash] })];
    const [outcome] = await Promise.all([submit(store, plan).catch(() => "invalid"), another.prune(epoch)]);
    const kept = await store.findUploads("local", [hash]);
    expect(kept.length === 1).toBe(outcome !== "invalid");
  }
});

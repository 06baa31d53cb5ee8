import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, diamond, sha256, submit, submitBatch, task, type Worker, type World } from "../../support/store-world.ts";

const world = useWorld();

/** A render of its own task behind one that all share. */
const behindShared = (name: string): ReturnType<typeof task>[] => [task("shared"), task(name, { after: ["shared"], artifacts: ["mp4"] })];

async function statesOf({ store }: World, jobId: string): Promise<readonly string[] | undefined> {
  const renders = await store.listRenders({ scope: "local", jobId, states: [], afterPosition: undefined, limit: 1_000 });
  return renders?.map(({ state }) => state);
}

const kindsOf = async ({ store }: World, jobId: string): Promise<readonly unknown[]> =>
  (await store.listEvents(jobId, 0, 100)).map(({ kind, renderPosition }) => [kind, renderPosition]);

async function workAll(worker: Worker, failing?: string): Promise<void> {
  for (let { claim } = await worker.next(); claim !== undefined; claim = (await worker.next()).claim) {
    const { prompt } = (claim.parameters as { readonly textEncode: { readonly prompt: string } }).textEncode;
    await (prompt === failing ? worker.fail(claim, "STAGE_INPUT_INVALID") : worker.succeed(claim));
  }
}

test("a render that fails ends alone; its job fails when the last has ended, and tells of the first that failed", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, ["a", "b", "c"].map(behindShared));
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await statesOf(world(), jobId)).toEqual(["failed", "running", "running"]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "running", failure: undefined, only: undefined });
  await workAll(worker);
  expect(await store.getJob("local", jobId)).toMatchObject({
    state: "failed",
    failure: { code: "STAGE_INPUT_INVALID", stage: "denoise" },
    renderCounts: { total: 3, queued: 0, running: 0, succeeded: 2, failed: 1, cancelled: 0 },
  });
  expect(await store.getRender("local", jobId, 1)).toMatchObject({ state: "succeeded", artifacts: [{ name: "mp4" }] });
  expect(await store.getRender("local", jobId, 0)).toMatchObject({ failure: { code: "STAGE_INPUT_INVALID" }, artifacts: [] });
  expect(await store.getRender("other", jobId, 1)).toBeUndefined();
  expect(await store.getRender(undefined, jobId, 3)).toBeUndefined();
});

test("a task that several renders of a job share is told of once, without a position; renders tell of their ends", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, ["a", "b"].map(behindShared));
  await workAll(createWorker(store), "b");
  expect(await kindsOf(world(), jobId)).toEqual([
    ["job.submitted", undefined],
    ["task.started", undefined],
    ["task.succeeded", undefined],
    ["task.started", 0],
    ["task.succeeded", 0],
    ["render.succeeded", 0],
    ["task.started", 1],
    ["task.failed", 1],
    ["render.failed", 1],
    ["job.failed", undefined],
  ]);
});

test("a shared task that fails fails every render that uses it at once", async () => {
  const { store } = world();
  const alone = [task("alone"), task("then", { after: ["alone"] }), task("last", { after: ["then"] })];
  const jobId = await submitBatch(store, [...["a", "b"].map(behindShared), alone]);
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await statesOf(world(), jobId)).toEqual(["failed", "failed", "queued"]);
  await workAll(worker);
  expect(await statesOf(world(), jobId)).toEqual(["failed", "failed", "succeeded"]);
});

test("cancelling one render ends it alone, twice as once; what others use of it goes on", async () => {
  const { store, sql } = world();
  const jobId = await submitBatch(store, ["a", "b"].map(behindShared));
  expect(await store.cancelJob("local", jobId, 1)).toMatchObject({ job: { state: "queued" }, aftermath: { touchedJobIds: [jobId] } });
  expect(await store.cancelJob("local", jobId, 1)).toMatchObject({ aftermath: { touchedJobIds: [] } });
  expect(await store.cancelJob("local", jobId, 2)).toBeUndefined();
  expect(await sql("select state from task order by id")).toEqual([{ state: "ready" }, { state: "blocked" }, { state: "cancelled" }]);
  await workAll(createWorker(store));
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "cancelled", failure: undefined });
  expect(await statesOf(world(), jobId)).toEqual(["succeeded", "cancelled"]);
  expect((await kindsOf(world(), jobId)).slice(-1)).toEqual([["job.cancelled", undefined]]);
});

test("cancelling a batch ends what is open, and leaves what had ended as it ended", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, [[task("a")], [task("b")], [task("c")]]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await store.cancelJob(undefined, jobId);
  expect(await statesOf(world(), jobId)).toEqual(["succeeded", "cancelled", "cancelled"]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "cancelled" });
});

test("renders are listed by state and page", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, [[task("a")], [task("b")], [task("c")], [task("d")]]);
  await store.cancelJob("local", jobId, 1);
  const list = async (afterPosition: number | undefined, limit: number): Promise<unknown> =>
    (await store.listRenders({ scope: "local", jobId, states: ["queued"], afterPosition, limit }))?.map(({ position }) => position);
  expect(await list(undefined, 2)).toEqual([0, 2]);
  expect(await list(2, 2)).toEqual([3]);
  expect(await store.listRenders({ scope: "other", jobId, states: [], afterPosition: undefined, limit: 1 })).toBeUndefined();
});

test("an input has the media's type, however its bytes were stored before", async () => {
  const { store } = world();
  const upload = { tenant: "local", sha256: sha256("image"), sizeBytes: 7, kind: "image" as const, width: 4, height: 3, frames: 1 };
  await store.announceUpload({ ...upload, mediaType: "application/octet-stream" });
  await store.commitUpload({ ...upload, mediaType: "image/png" });
  const jobId = await submit(store, diamond());
  expect((await store.getRender("local", jobId, 0))?.inputs).toMatchObject([{ name: "input_image", mediaType: "image/png" }]);
});

test("a render shows its graph's edges and the uploads that it starts from", async () => {
  const { store } = world();
  const upload = { tenant: "local", sha256: sha256("image"), sizeBytes: 7, kind: "image" as const, width: 4, height: 3, frames: 1 };
  await store.announceUpload({ ...upload, mediaType: "image/png" });
  await store.commitUpload({ ...upload, mediaType: "image/png" });
  const jobId = await submitBatch(store, [diamond(), diamond("b")]);
  const render = await store.getRender("local", jobId, 0);
  const [left, right, middle, last] = render?.tasks ?? [];
  expect(middle?.dependsOn).toEqual([left?.taskId, right?.taskId]);
  expect(last?.dependsOn).toEqual([middle?.taskId]);
  expect(left?.dependsOn).toEqual([]);
  expect(render?.inputs).toEqual([{ name: "input_image", sha256: sha256("image"), sizeBytes: 7, mediaType: "image/png" }]);
});

test("uploads that a batch lacks are told by position, and nothing is stored", async () => {
  const { store, sql } = world();
  const outcome = await store.submitJob(batch([[task("a")], [task("b", { uploads: [sha256("clip")] })]]));
  expect(outcome.kind === "invalid" && outcome.missing.map(({ position, violation }) => [position, violation.field])).toEqual([
    [0, "references[0]"],
    [1, "references[0]"],
  ]);
  expect(await sql("select 1 from job union all select 1 from render union all select 1 from task")).toHaveLength(0);
});

test("a thousand renders that share tasks are stored, claimed from, cancelled and run again", async () => {
  const { store, sql } = world();
  const plans = Array.from({ length: 1_000 }, (_unused, index) => behindShared(`own ${index}`));
  const jobId = await submitBatch(store, plans);
  expect(await sql("select count(*)::integer as count, count(distinct content_key)::integer as keys from task")).toEqual([
    { count: 1_001, keys: 1_001 },
  ]);
  const worker = createWorker(store);
  const [answer] = await worker.succeed(await worker.claim());
  expect(answer).toMatchObject({ aftermath: { ready: [{ count: 1_000 }] } });
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "running", renderCounts: { running: 1_000 }, lastEventNumber: 3 });
  expect(await store.cancelJob("local", jobId)).toMatchObject({ job: { renderCounts: { cancelled: 1_000 }, lastEventNumber: 1_004 } });
  expect(await store.retryJob("local", jobId)).toMatchObject({ kind: "retried", renders: 1_000, job: { renderCounts: { queued: 1_000 } } });
  expect(await sql("select count(*)::integer as count from ready")).toEqual([{ count: 1_000 }]);
});

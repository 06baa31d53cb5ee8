import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, sha256, submit, submitBatch, task, type Worker } from "../../support/store-world.ts";

const world = useWorld();

async function workAll(worker: Worker): Promise<number> {
  let done = 0;
  for (let { claim } = await worker.next(); claim !== undefined; claim = (await worker.next()).claim) {
    await worker.succeed(claim);
    done += 1;
  }
  return done;
}

const upload = {
  tenant: "local",
  sha256: sha256("image"),
  sizeBytes: 7,
  kind: "image" as const,
  width: 4,
  height: 3,
  frames: 1,
  mediaType: "image/png",
};

test("a failed job that is retried is open again, computes only what had not succeeded, and succeeds", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await worker.succeed(await worker.claim());
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  const retried = await store.retryJob("local", jobId);
  expect(retried).toMatchObject({
    kind: "retried",
    renders: 1,
    job: { state: "queued", endedAt: undefined, failure: undefined, renderCounts: { queued: 1, failed: 0 } },
    aftermath: { ready: [{ pool: "pool", shape: "denoise/e1", count: 1 }], touchedJobIds: [jobId] },
  });
  expect(retried?.kind === "retried" && retried.job.only?.tasks.map(({ state, attempts }) => [state, attempts])).toEqual([
    ["succeeded", 1],
    ["succeeded", 1],
    ["ready", 0],
    ["blocked", 0],
  ]);
  expect(await workAll(worker)).toBe(2);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded", only: { artifacts: [{ name: "mp4" }] } });
  const events = await store.listEvents(jobId, 0, 100);
  expect(events.filter(({ jobState }) => jobState !== undefined).map(({ kind, jobState }) => [kind, jobState])).toEqual([
    ["job.submitted", "queued"],
    ["job.failed", "failed"],
    ["job.retried", "queued"],
    ["job.succeeded", "succeeded"],
  ]);
});

test("only the render that is named is retried; of a whole job, those that failed or were cancelled", async () => {
  const { store } = world();
  const jobId = await submitBatch(store, [[task("a")], [task("b")], [task("c")]]);
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  await store.cancelJob("local", jobId, 1);
  await worker.succeed(await worker.claim());
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed" });
  expect(await store.retryJob("local", jobId, 1)).toMatchObject({
    kind: "retried",
    renders: 1,
    job: { state: "running", renderCounts: { queued: 1, failed: 1, succeeded: 1 } },
  });
  expect(await store.retryJob("local", jobId, 1)).toMatchObject({ kind: "nothing" });
  expect(await store.retryJob("local", jobId, 2)).toMatchObject({ kind: "nothing" });
  expect(await store.retryJob("local", jobId, 3)).toBeUndefined();
  expect(await store.retryJob("other", jobId)).toBeUndefined();
  expect(await store.retryJob(undefined, jobId)).toMatchObject({ kind: "retried", renders: 1 });
  expect(await workAll(worker)).toBe(2);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  const kinds = (await store.listEvents(jobId, 0, 100)).map(({ kind, renderPosition }) => `${kind} ${renderPosition ?? ""}`.trim());
  expect(kinds.filter((kind) => kind.includes("retried"))).toEqual(["job.retried", "render.retried 1", "render.retried 0"]);
});

test("a cancelled render whose attempt still runs takes it over when it is retried", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", jobId);
  expect(await store.retryJob("local", jobId)).toMatchObject({ kind: "retried", job: { state: "running" } });
  expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("a report for the cancelled life of a task does not touch the render that was retried", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("first"), task("second", { after: ["first"], artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", jobId);
  await worker.fail(claim, "STAGE_CANCELLED");
  await store.retryJob("local", jobId);
  expect(await worker.fail(claim, "STAGE_INPUT_INVALID")).toMatchObject([{ reportOutcomes: [{ disposition: "already_committed" }] }]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "queued" });
  expect(await workAll(worker)).toBe(2);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("a result that is no longer stored is computed again, and what had succeeded from it is kept", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await worker.succeed(await worker.claim());
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  await sql(
    "update artifact set is_stored = false where sha256 in (select o.sha256 from task_output o where o.task_id = (select min(id) from task))",
  );
  await store.retryJob("local", jobId);
  expect(await workAll(worker)).toBe(3);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("a render whose upload is gone is not retried: nothing is changed", async () => {
  const { store, sql } = world();
  await store.announceUpload(upload);
  await store.commitUpload(upload);
  const jobId = await submitBatch(store, [[task("a")], [task("b", { uploads: [upload.sha256] })]]);
  await store.cancelJob("local", jobId);
  await sql("update artifact set is_stored = false");
  const before = await store.listEvents(jobId, 0, 100);
  const outcome = await store.retryJob("local", jobId, 1);
  expect(outcome?.kind === "invalid" && outcome.missing.map(({ position, violation }) => [position, violation.field])).toEqual([
    [1, "image"],
  ]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "cancelled" });
  expect(await store.listEvents(jobId, 0, 100)).toEqual(before);
  expect(await store.retryJob("local", jobId, 0)).toMatchObject({ kind: "retried" });
});

test("many retries at once open a job once", async () => {
  const { store, openAnother } = world();
  const another = await openAnother();
  const jobId = await submitBatch(store, [diamond("a"), diamond("b"), diamond("c")]);
  await store.cancelJob("local", jobId);
  const outcomes = await Promise.all([store, another, store, another, store].map((each) => each.retryJob("local", jobId)));
  expect(outcomes.map((outcome) => outcome?.kind).sort()).toEqual([...Array.from({ length: 4 }, () => "nothing"), "retried"]);
  expect(await workAll(createWorker(store))).toBe(12);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("retrying, cancelling, submitting and working at once lose no render", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  const plans = ["a", "b", "c", "d"].map((name) => [task("shared"), task(name, { after: ["shared"], artifacts: ["mp4"] })]);
  const jobs = await Promise.all([submitBatch(store, plans), submitBatch(another, plans), submitBatch(store, plans.slice(1))]);
  const steer = async (seed: number): Promise<void> => {
    for (let round = 0; round < 8; round += 1) {
      const jobId = jobs[(seed + round) % jobs.length] ?? "";
      await (round % 2 === 0 ? store : another).cancelJob("local", jobId, round % 3 === 0 ? undefined : round % 4);
      await (round % 2 === 0 ? another : store).retryJob("local", jobId);
    }
  };
  const work = async (index: number): Promise<void> => {
    const worker = createWorker(index % 2 === 0 ? store : another, { name: `w${index}` });
    for (let count = 0; count < 10; count += 1) {
      const { claim } = await worker.next();
      if (claim === undefined) continue;
      await (count % 5 === 4 ? worker.fail(claim, "STAGE_INPUT_INVALID") : worker.succeed(claim));
    }
  };
  await Promise.all([steer(0), steer(1), work(0), work(1), work(2)]);
  for (const jobId of jobs) await store.retryJob("local", jobId);
  await workAll(createWorker(store, { name: "last" }));
  for (const jobId of jobs) expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  expect(await sql("select 1 from task where state in ('blocked', 'ready', 'running', 'delayed')")).toHaveLength(0);
  expect(
    await sql("select 1 from task_user u join render r on r.id = u.render_id where u.is_wanted and r.state not in ('queued', 'running')"),
  ).toEqual([]);
});

test("what a job's attempts cost before a retry stays among what the job cost", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  const day = 24 * 3_600_000;
  const ask = { scope: undefined, from: new Date(Date.now() - day), until: new Date(Date.now() + day), groupBy: [], jobId, limit: 10 };
  expect((await store.sumUsage(ask)).total).toMatchObject({ attempts: 1, deviceMs: 10, wastedDeviceMs: 10 });
  await store.retryJob("local", jobId);
  expect((await store.sumUsage(ask)).total).toMatchObject({ attempts: 1, deviceMs: 10, wastedDeviceMs: 10 });
  await workAll(worker);
  await store.retryJob("local", jobId);
  expect((await store.sumUsage(ask)).total).toMatchObject({ attempts: 5, deviceMs: 50, wastedDeviceMs: 10 });
});

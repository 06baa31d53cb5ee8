import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, job, sha256, submit, task } from "../../support/store-world.ts";

const world = useWorld({ order: { floors: [0, 0] } });

test("one idempotency key makes one job, however many submit it at once through two coordinators", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  const outcomes = await Promise.all(
    Array.from({ length: 12 }, (_unused, index) =>
      (index % 2 === 0 ? store : another).submitJob(job(diamond(), { idempotencyKey: "key" })),
    ),
  );
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual([...Array.from({ length: 11 }, () => "repeated"), "stored"]);
  expect(new Set(outcomes.map((outcome) => ("job" in outcome ? outcome.job.jobId : ""))).size).toBe(1);
  expect(await sql("select 1 from job")).toHaveLength(1);
  expect(await sql("select 1 from task")).toHaveLength(4);
});

test("an idempotency key with another body is a conflict, and another tenant's key is none", async () => {
  const { store } = world();
  const first = await submit(store, diamond(), { idempotencyKey: "key" });
  expect(await store.submitJob(job(diamond(), { idempotencyKey: "key", bodyDigest: sha256("other") }))).toEqual({ kind: "conflict" });
  expect(await store.submitJob(job(diamond("b"), { idempotencyKey: "key", tenant: "b" }))).toMatchObject({ kind: "stored" });
  expect(await store.findSubmitted("local", "key")).toEqual({ jobId: first, bodyDigest: sha256("body") });
  expect(await store.findSubmitted("local", "nokey")).toBeUndefined();
});

test("a job id that is sent again without a key is the same job", async () => {
  const { store } = world();
  const sent = job(diamond());
  expect(await store.submitJob(sent)).toMatchObject({ kind: "stored" });
  expect(await store.submitJob(sent)).toMatchObject({ kind: "repeated" });
});

test("a missing upload names every field that uses it, and stores nothing", async () => {
  const { store, sql } = world();
  const image = sha256("image");
  const outcome = await store.submitJob(job([task("prepare", { uploads: [image, sha256("clip")] })]));
  expect(outcome).toMatchObject({ kind: "invalid" });
  expect(outcome.kind === "invalid" && outcome.missing.map(({ position, violation }) => [position, violation.field])).toEqual([
    [0, "image"],
    [0, "references[0]"],
  ]);
  expect(await sql("select 1 from job")).toHaveLength(0);
  expect(await sql("select 1 from task")).toHaveLength(0);
});

test("an upload is its tenant's own, counts once its bytes are stored, and is an input of the claim", async () => {
  const { store } = world();
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
  await store.announceUpload(upload);
  expect(await store.findUploads("local", [upload.sha256])).toEqual([]);
  await store.commitUpload(upload);
  await store.commitUpload(upload);
  expect(await store.findUploads("local", [upload.sha256])).toEqual([upload]);
  expect(await store.findUploads("other", [upload.sha256])).toEqual([]);
  await submit(store, [task("prepare", { uploads: [upload.sha256] })]);
  expect((await createWorker(store).claim()).inputs).toEqual([{ name: `upload ${upload.sha256}`, sha256: upload.sha256, sizeBytes: 7 }]);
});

test("a second job shares the tasks of the first, and one whose tasks are all done succeeds at once", async () => {
  const { store, sql } = world();
  const worker = createWorker(store);
  const first = await submit(store, diamond());
  await worker.succeed(await worker.claim());
  const second = await submit(store, diamond());
  expect(await sql("select 1 from task")).toHaveLength(4);
  for (let done = 1; done < 4; done += 1) await worker.succeed(await worker.claim());
  const third = await store.submitJob(job(diamond()));
  expect(third).toMatchObject({ kind: "stored", ready: [], job: { state: "succeeded", only: { artifacts: [{ name: "mp4" }] } } });
  for (const id of [first, second]) expect(await store.getJob("local", id)).toMatchObject({ state: "succeeded" });
  expect(third.kind === "stored" && third.job.only?.tasks.every(({ reused }) => reused)).toBe(true);
  const kinds = third.kind === "stored" ? await store.listEvents(third.job.jobId, 0, 9) : [];
  expect(kinds.map(({ kind }) => kind)).toEqual(["job.submitted", "job.succeeded"]);
});

test("tasks of another sharing domain are not shared", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  await submit(store, diamond("job"));
  expect(await sql("select 1 from task")).toHaveLength(8);
});

test("a dead key that is asked for again gets a new generation with fresh budgets", async () => {
  const { store, sql } = world();
  const worker = createWorker(store);
  const failed = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
  expect(await store.getJob("local", failed)).toMatchObject({
    state: "failed",
    failure: { code: "STAGE_INPUT_INVALID", stage: "denoise" },
  });
  const again = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const claim = await worker.claim();
  expect(claim.attemptNumber).toBe(1);
  await worker.succeed(claim);
  expect(await store.getJob("local", again)).toMatchObject({ state: "succeeded" });
  expect(await store.getJob("local", failed)).toMatchObject({ state: "failed", only: { tasks: [{ state: "failed" }] } });
  expect(await sql("select generation, is_retired from task order by generation")).toEqual([
    { generation: 1, is_retired: true },
    { generation: 2, is_retired: false },
  ]);
});

test("tasks are claimed by class, then priority, then age, of the best job that uses them", async () => {
  const { store } = world();
  const one = (name: string): ReturnType<typeof task>[] => [task(name)];
  await submit(store, one("benchmark"), { jobClass: "benchmark", priority: 100 });
  await submit(store, one("old"));
  await submit(store, one("young"));
  await submit(store, one("urgent"), { priority: 5 });
  await submit(store, one("lifted"), { jobClass: "benchmark" });
  await submit(store, one("lifted"), { priority: 9 });
  const worker = createWorker(store);
  const order: unknown[] = [];
  for (let count = 0; count < 5; count += 1) order.push((await worker.claim()).parameters);
  expect(order.map((parameters) => JSON.stringify(parameters).split('"')[5])).toEqual(["lifted", "urgent", "old", "young", "benchmark"]);
});

test("a prompt with NUL and half a surrogate pair does not break the store", async () => {
  const { store } = world();
  const odd = { ...task("odd"), parameters: { textEncode: { prompt: "a\u0000b\ud800" } } };
  await submit(store, [odd]);
  expect((await createWorker(store).claim()).parameters).toEqual({ textEncode: { prompt: "ab\ufffd" } });
});

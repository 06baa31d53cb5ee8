import { describe, expect, test } from "vitest";
import type { FailureListAsk } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, failure, submit, submitBatch, task } from "../../support/store-world.ts";

const world = useWorld();

const list = (overrides: Partial<FailureListAsk> = {}) =>
  world().store.listFailures({
    scope: undefined,
    jobId: undefined,
    pool: undefined,
    code: undefined,
    stage: undefined,
    after: undefined,
    limit: 10,
    ...overrides,
  });

/** Fails what is claimed next for good. */
async function bury(code = "STAGE_INPUT_INVALID"): Promise<number> {
  const worker = createWorker(world().store, { name: "w" });
  const claim = await worker.claim();
  const report = failure(claim, code);
  await worker.report({ ...report, outcome: { ...report.outcome, logTail: "its last words\n" } as typeof report.outcome });
  return claim.taskId;
}

describe("a dead letter", () => {
  test("keeps each attempt with worker, error and last words, and the renders that it took", async () => {
    const { store } = world();
    const jobs = [
      await submitBatch(store, [[task("shared")], [task("shared")], [task("fine")]]),
      await submit(store, [task("shared")]),
    ].sort();
    const lost = createWorker(store, { name: "lost" });
    const first = await lost.claim();
    await createWorker(store, { name: "lost" }).next({ freeSlots: 0 });
    const taskId = await bury();
    expect(taskId).toBe(first.taskId);
    const { failures, next } = await list();
    expect(next).toBeUndefined();
    expect(failures).toMatchObject([
      {
        taskId,
        tenant: "local",
        stage: "denoise",
        pool: "pool",
        code: "STAGE_INPUT_INVALID",
        renderCount: 3,
        attempts: [
          { number: 1, workerName: "lost", state: "lost", errorClass: "unexplained", logTail: undefined },
          { number: 2, workerName: "w", state: "failed", errorClass: "input", logTail: "its last words\n" },
        ],
      },
    ]);
    expect(new Set(failures[0]?.renders.map(({ jobId }) => jobId))).toEqual(new Set(jobs));
  });

  test("shows what its lost worker said before, once, and nothing of an attempt that runs or succeeded", async () => {
    const { store } = world();
    await submit(store, [task("talking")]);
    const lost = createWorker(store, { name: "lost" });
    const { attemptId } = await lost.claim();
    expect(await store.tailNeeds([attemptId])).toEqual([{ attemptId, isRunning: true }]);
    expect(await store.keepTail(attemptId, "too early")).toBeUndefined();
    await createWorker(store, { name: "lost" }).next({ freeSlots: 0 });
    expect(await store.tailNeeds([attemptId])).toEqual([{ attemptId, isRunning: false }]);
    expect(await store.keepTail(attemptId, "its last line\n")).toEqual({ worker: "lost" });
    expect(await store.keepTail(attemptId, "another\n")).toBeUndefined();
    expect(await store.tailNeeds([attemptId])).toEqual([]);
    await bury();
    const { failures } = await list();
    expect(failures[0]?.attempts.map(({ logTail }) => logTail)).toEqual(["its last line\n", "its last words\n"]);
    await submit(store, [task("fine")]);
    const other = createWorker(store, { name: "other" });
    const claim = await other.claim();
    await other.succeed(claim);
    expect(await store.keepTail(claim.attemptId, "nobody's business\n")).toBeUndefined();
    expect(await store.tailNeeds([claim.attemptId])).toEqual([]);
  });

  test("is listed newest first, page by page, by tenant, job, pool, code and stage", async () => {
    const { store } = world();
    const buried: number[] = [];
    const jobs: string[] = [];
    for (const [index, tenant] of ["local", "other", "local"].entries()) {
      jobs.push(await submit(store, [task(`t${index}`, { domain: tenant })], { tenant }));
      buried.push(await bury(index === 2 ? "MEDIA_EMPTY" : undefined));
    }
    const ids = async (overrides: Partial<FailureListAsk>) => (await list(overrides)).failures.map(({ taskId }) => taskId);
    const [first, second, third] = buried;
    expect(await ids({})).toEqual([third, second, first]);
    expect(await ids({ scope: "local" })).toEqual([third, first]);
    expect(await ids({ jobId: jobs[1] })).toEqual([second]);
    expect(await ids({ code: "MEDIA_EMPTY" })).toEqual([third]);
    expect(await ids({ pool: "elsewhere" })).toEqual([]);
    expect(await ids({ stage: "prepare" })).toEqual([]);
    const page = await list({ limit: 2 });
    expect(page.failures.map(({ taskId }) => taskId)).toEqual([third, second]);
    expect(await ids({ limit: 2, after: page.next })).toEqual([first]);
  });

  test("that is retried runs for all renders that it took, in every job of the tenant, with a fresh generation and budget", async () => {
    const { store, sql } = world();
    const batch = await submitBatch(store, [[task("shared")], [task("shared"), task("own")]]);
    const single = await submit(store, [task("shared")]);
    const taskId = await bury();
    const outcome = await store.retryTask("local", taskId);
    expect(outcome).toMatchObject({ kind: "retried", renders: 3, left: 0, jobIds: [batch, single].sort() });
    expect(
      await sql("select state, generation, failures from task where is_retired and state = 'failed' or not is_retired order by id"),
    ).toEqual([
      { state: "failed", generation: 1, failures: { input: 1 } },
      { state: "ready", generation: 2, failures: {} },
      { state: "ready", generation: 2, failures: {} },
    ]);
    expect(await store.retryTask("local", taskId)).toEqual({ kind: "nothing" });
    expect((await list()).failures).toEqual([]);
    const worker = createWorker(store);
    for (let left = 0; left < 2; left += 1) await worker.succeed(await worker.claim());
    for (const jobId of [batch, single]) expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  });

  test("is another tenant's as if it never was", async () => {
    const { store } = world();
    const jobId = await submit(store, [task("only")]);
    const taskId = await bury();
    expect(await store.retryTask("other", taskId)).toBeUndefined();
    expect(await store.retryTask("local", 999_999)).toBeUndefined();
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed" });
    expect(await store.retryTask(undefined, taskId)).toMatchObject({ kind: "retried", renders: 1 });
  });
});

describe("a pool that the farm has no more", () => {
  test("refuses a retry into it, of a job, a render and a task, and changes nothing", async () => {
    const { store, openAnother } = world();
    const jobId = await submit(store, [task("only")]);
    const taskId = await bury();
    const elsewhere = await openAnother({ pools: [{ name: "new", profile: "cpu;test" }] });
    const gone = { kind: "pool_gone", pool: "pool" };
    expect(await elsewhere.retryJob("local", jobId)).toEqual(gone);
    expect(await elsewhere.retryJob("local", jobId, 0)).toEqual(gone);
    expect(await elsewhere.retryTask("local", taskId)).toEqual(gone);
    expect(await elsewhere.retryJob("other", jobId)).toBeUndefined();
    expect(await elsewhere.retryTask("other", taskId)).toBeUndefined();
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed" });
  });
});

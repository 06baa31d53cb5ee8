import { describe, expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, job, task } from "../../support/store-world.ts";

const world = useWorld();
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("what traces are made of", () => {
  test("is whose render an attempt's task was first for, with its caller's place", async () => {
    const { store } = world();
    const first = job([task("shared")], { traceparent });
    await store.submitJob(first);
    const second = batch([[task("shared")], [task("own")]]);
    await store.submitJob(second);
    const worker = createWorker(store);
    const claims = [await worker.claim(), await worker.claim()];
    const owners = await store.attemptOwners(claims.map(({ attemptId }) => attemptId));
    const owned = owners.map(({ jobId, position, renders, traceparent: kept }) => ({ jobId, position, renders, kept }));
    expect(owned.toSorted((left, right) => left.position - right.position)).toEqual([
      { jobId: first.jobId, position: 0, renders: 1, kept: traceparent },
      { jobId: second.jobId, position: 1, renders: 2, kept: undefined },
    ]);
    expect(await store.attemptOwners(["00000000-0000-4000-8000-000000000000"])).toEqual([]);
    expect(await store.renderOwner(first.jobId, undefined)).toMatchObject({ position: 0, renders: 1, traceparent });
    expect(await store.renderOwner(second.jobId, undefined)).toBeUndefined();
    expect(await store.renderOwner(second.jobId, 1)).toMatchObject({ position: 1, renders: 2 });
    expect(await store.tracedRender(first.jobId, 0)).toBeUndefined();
  });

  test("is a render that has ended, with each task, its tries and whose work it was first", async () => {
    const { store } = world();
    const worker = createWorker(store);
    const first = batch([[task("shared")], [task("shared")]]);
    await store.submitJob(first);
    await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID");
    const failed = await store.tracedRender(first.jobId, 1);
    expect(failed).toMatchObject({
      state: "failed",
      code: "STAGE_INPUT_INVALID",
      renders: 2,
      earlierEndMs: undefined,
      traceparent: undefined,
    });
    const [shared] = failed?.tasks ?? [];
    expect(shared?.owner).toEqual({ jobId: first.jobId, position: 0, renders: 2 });
    const [attempt] = shared?.attempts ?? [];
    expect(attempt).toMatchObject({ number: 1, state: "failed", code: "STAGE_INPUT_INVALID", workerName: "w1" });
    const times = [failed?.createdMs, shared?.readyMs, attempt?.startedMs, attempt?.endedMs, failed?.endedMs];
    expect(times.toSorted((left, right) => Number(left) - Number(right))).toEqual(times);

    await store.retryJob(undefined, first.jobId, 1);
    await worker.succeed(await worker.claim());
    const again = await store.tracedRender(first.jobId, 1);
    expect(again).toMatchObject({ state: "succeeded", code: undefined });
    expect(again?.earlierEndMs).toBeGreaterThanOrEqual(attempt?.endedMs ?? Infinity);
    expect(again?.tasks[0]?.attempts.map(({ state }) => state)).toEqual(["succeeded"]);
  });

  test("goes with its job", async () => {
    const { store, sql } = world();
    const one = job([task("t")], { traceparent });
    await store.submitJob(one);
    await sql("delete from job where id = $1", [one.jobId]);
    expect(await sql("select * from job_trace")).toEqual([]);
  });
});

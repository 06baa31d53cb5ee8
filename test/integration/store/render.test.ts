import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, task } from "../../support/store-world.ts";

const world = useWorld();

const nameIn = (parameters: string): string => /prompt":"(\w+)/.exec(parameters)?.[1] ?? "";

test("a job's tasks are handed out in order of their inputs, and its result shows when the last is committed", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  const order: string[] = [];
  for (;;) {
    const { claim } = await worker.next();
    if (claim === undefined) break;
    order.push(JSON.stringify(claim.parameters));
    expect(claim.jobIds).toEqual([jobId]);
    const [answer] = await worker.succeed(claim);
    expect(answer).toMatchObject({ kind: "answered", reportOutcomes: [{ attemptId: claim.attemptId, disposition: "committed" }] });
  }
  expect(order.map(nameIn).slice(0, 2).sort()).toEqual(["left", "right"]);
  expect(order.map(nameIn)).toEqual([...order.map(nameIn).slice(0, 2), "middle", "last"]);
  const done = await store.getJob("local", jobId);
  expect(done).toMatchObject({ state: "succeeded", only: { artifacts: [{ name: "mp4" }] }, failure: undefined });
  expect(done?.only?.tasks.map(({ label }) => label)).toEqual(["left", "right", "middle", "last"]);
  expect(done?.only?.tasks.map(({ state, computeMs, provider }) => ({ state, computeMs, provider }))).toEqual(
    Array.from({ length: 4 }, () => ({ state: "succeeded", computeMs: 8, provider: "cpu" })),
  );
  expect(await store.artifactOfRender("local", { jobId, position: 0, name: "mp4" })).toEqual(done?.only?.artifacts[0]);
  expect(await store.artifactOfRender("other", { jobId, position: 0, name: "mp4" })).toBeUndefined();
  const events = await store.listEvents(jobId, 0, 100);
  expect(events.map(({ number }) => number)).toEqual(Array.from({ length: 10 }, (_unused, index) => index + 1));
  expect(events.map(({ kind }) => kind)).toEqual([
    "job.submitted",
    ...Array.from({ length: 4 }, () => ["task.started", "task.succeeded"]).flat(),
    "job.succeeded",
  ]);
  expect(events.at(-1)?.jobState).toBe("succeeded");
  expect(await store.listEvents(jobId, 9, 100)).toHaveLength(1);
});

test("a task that takes two inputs from one producer waits for it once", async () => {
  const { store, sql } = world();
  const both = task("both", { after: ["producer"] });
  const [input] = both.inputs;
  const twice = { ...both, inputs: input === undefined ? [] : [input, { ...input, name: "again" }] };
  await submit(store, [task("producer"), twice]);
  expect(await sql("select inputs_missing from task where state = 'blocked'")).toEqual([{ inputs_missing: 2 }]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  expect((await worker.claim()).inputs.map(({ name }) => name)).toEqual(["again", "producer"]);
});

test("the expected time of a task is that of those that ran last with its shape", async () => {
  const { store } = world();
  await submit(store, [task("first"), task("second")]);
  const worker = createWorker(store);
  const first = await worker.claim();
  expect(first.expectedMs).toBe(0);
  await worker.succeed(first);
  expect((await worker.claim()).expectedMs).toBe(8);
});

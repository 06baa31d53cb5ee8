import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit } from "../../support/store-world.ts";

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
  expect(done).toMatchObject({ state: "succeeded", artifacts: [{ name: "mp4" }], failure: undefined });
  expect(done?.tasks.map(({ label }) => label)).toEqual(["left", "right", "middle", "last"]);
  expect(done?.tasks.map(({ state, computeMs, provider }) => ({ state, computeMs, provider }))).toEqual(
    Array.from({ length: 4 }, () => ({ state: "succeeded", computeMs: 8, provider: "cpu" })),
  );
  expect(await store.artifactOfJob("local", jobId, "mp4")).toEqual(done?.artifacts[0]);
  expect(await store.artifactOfJob("other", jobId, "mp4")).toBeUndefined();
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

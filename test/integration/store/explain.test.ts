import { describe, expect, test } from "vitest";
import { explainTask, summarize } from "../../../services/domain/explain.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, task, type Worker, type WorkerOptions, type World } from "../../support/store-world.ts";

const world = useWorld();
const gibibyte = 1024 ** 3;
const note = { by: "ops", reason: "" };

/** A worker that is known and idle. */
async function idle(name: string, options: WorkerOptions = {}): Promise<Worker> {
  const worker = createWorker(world().store, { name, ...options });
  await worker.next({ freeSlots: 0 });
  return worker;
}

/** A worker that computes something of another job. */
async function busy(name: string): Promise<Worker> {
  const worker = createWorker(world().store, { name });
  await submit(world().store, [task(`keeps ${name} busy`)], { priority: 100 });
  await worker.claim();
  return worker;
}

const local = (...names: readonly string[]) =>
  submit(
    world().store,
    names.map((name) => task(name)),
  );

const foreign = (tenant: string, priority: number) => submit(world().store, [task("foreign", { domain: tenant })], { tenant, priority });

/** The task's only attempt so far, by the worker, ended badly; it is ready again. */
async function fail(worker: Worker): Promise<void> {
  const { store, sql } = world();
  await worker.fail(await worker.claim(), "RUNTIME_DIED");
  await sql("update task set delayed_until = now() where state = 'delayed'");
  const held = await store.holdDuty("promotion", "test", 60_000);
  await store.promoteDelayed(held?.epoch ?? 0);
}

/** Makes a situation; answers the job, and the workers that ask for work then. */
type Situation = (at: World) => Promise<{ readonly jobId: string; readonly asking: readonly Worker[] }>;

const situations: Readonly<Record<string, Situation>> = {
  "one idle worker": async () => ({ asking: [await idle("w1")], jobId: await local("a") }),
  "more tasks than idle workers": async () => ({ asking: [await idle("w1"), await idle("w2")], jobId: await local("a", "b", "c", "d") }),
  "no worker at all": async () => ({ asking: [], jobId: await local("a") }),
  "a worker whose lease ran out": async ({ sql }) => {
    await idle("w1");
    await sql("update session set lease_until = now() - interval '1 s'");
    return { asking: [], jobId: await local("a") };
  },
  "a worker without the engine": async () => ({ asking: [await idle("w1", { shapes: ["denoise/e2"] })], jobId: await local("a") }),
  "a busy worker": async () => {
    await busy("w1");
    return { asking: [], jobId: await local("a") };
  },
  "a busy and an idle worker": async () => {
    await busy("w1");
    return { asking: [await idle("w2")], jobId: await local("a", "b") };
  },
  "the only worker cordoned": async ({ store }) => {
    const asking = [await idle("w1")];
    await store.cordonWorker("w1", note);
    return { asking, jobId: await local("a") };
  },
  "one of two workers drained": async ({ store }) => {
    const asking = [await idle("w1"), await idle("w2")];
    await store.drainWorker("w1", note, 0);
    return { asking, jobId: await local("a", "b") };
  },
  "the farm held": async ({ store }) => {
    await store.placeHold({ scope: "farm", name: "" }, note);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "its pool held": async ({ store }) => {
    await store.placeHold({ scope: "pool", name: "pool" }, note);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "another pool held": async ({ store }) => {
    await store.placeHold({ scope: "pool", name: "other" }, note);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "its tenant held": async ({ store }) => {
    await store.placeHold({ scope: "tenant", name: "local" }, note);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "another tenant's task before it": async () => {
    await foreign("other", 9);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "its tenant at its limit": async ({ store }) => {
    await busy("w1");
    await store.setTenantLimit("local", { weight: 1, maxRunning: 1, maxWaiting: undefined });
    return { asking: [await idle("w2")], jobId: await local("a") };
  },
  "another tenant that had less device time before it": async () => {
    const worker = await busy("w1");
    await foreign("other", 0);
    return { asking: [worker], jobId: await local("a") };
  },
  "a task that needs more memory than the idle worker has": async ({ store }) => {
    await store.learnShapes({ "denoise/e1": 40 * gibibyte });
    return { asking: [await idle("w1", { memoryBytes: 24 * gibibyte })], jobId: await local("a") };
  },
  "a task that one of two idle workers has the memory for": async ({ store }) => {
    await store.learnShapes({ "denoise/e1": 40 * gibibyte });
    const asking = [await idle("w1", { memoryBytes: 24 * gibibyte }), await idle("w2", { memoryBytes: 80 * gibibyte })];
    return { asking, jobId: await local("a", "b") };
  },
  "a held tenant's task before it": async ({ store }) => {
    await foreign("other", 9);
    await store.placeHold({ scope: "tenant", name: "other" }, note);
    return { asking: [await idle("w1")], jobId: await local("a") };
  },
  "a task that avoids the idle worker while another is busy": async () => {
    const w1 = await idle("w1");
    await busy("w2");
    const jobId = await local("a");
    await fail(w1);
    return { asking: [w1], jobId };
  },
  "a task that avoids one of two idle workers": async () => {
    const [w1, w2] = [await idle("w1"), await idle("w2")];
    const jobId = await local("a");
    await fail(w1);
    return { asking: [w1, w2], jobId };
  },
  "a task that avoids a worker, the other one cordoned": async ({ store }) => {
    const [w1, w2] = [await idle("w1"), await idle("w2")];
    const jobId = await local("a");
    await fail(w1);
    await store.cordonWorker("w2", note);
    return { asking: [w1, w2], jobId };
  },
  "a task that avoids the only worker": async () => {
    const w1 = await idle("w1");
    const jobId = await local("a");
    await fail(w1);
    return { asking: [w1], jobId };
  },
  "a task that avoids a worker, the other one without its engine": async () => {
    const [w1, w2] = [await idle("w1"), await idle("w2", { shapes: ["prepare/-"] })];
    const jobId = await local("a");
    await fail(w1);
    return { asking: [w1, w2], jobId };
  },
  "a task in its back-off": async () => {
    const w1 = await idle("w1");
    const jobId = await local("a");
    await w1.fail(await w1.claim(), "STAGE_FAILED");
    return { asking: [w1], jobId };
  },
  "tasks that wait for others": async ({ store }) => ({
    asking: [await idle("w1"), await idle("w2"), await idle("w3")],
    jobId: await submit(store, diamond()),
  }),
  "a worker that stores a result": async ({ store }) => {
    const worker = await busy("w1");
    const attempts = [...worker.held].map((attemptId) => ({
      attemptId,
      phase: "finish" as const,
      step: 0,
      steps: 0,
      deviceMs: 0,
      announcedArtifacts: [],
    }));
    await store.beat([{ sessionId: worker.sessionId, sequence: worker.nextSequence(), farmEpoch: 0, attempts }]);
    return { asking: [worker], jobId: await local("a") };
  },
};

describe("what explain says can start is what claims take", () => {
  test.each(Object.entries(situations))("with %s", async (_name, situation) => {
    const { store } = world();
    const { jobId, asking } = await situation(world());
    const facts = await store.explainFacts("local", jobId, undefined);
    if (facts === undefined) throw new TypeError("no facts");
    const startable = facts.tasks.filter((open) => explainTask(open, facts)[0]?.kind === "about_to_start").map(({ taskId }) => taskId);
    const claimed: number[] = [];
    for (const worker of asking) claimed.push((await worker.next()).claim?.taskId ?? 0);
    const own = new Set(facts.tasks.map(({ taskId }) => taskId));
    expect(claimed.filter((taskId) => own.has(taskId)).sort()).toEqual([...startable].sort());
  });
});

test("facts tell what each open task waits for, the interesting ones first", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store, { name: "w1" });
  const claim = await worker.claim();
  const facts = await store.explainFacts(undefined, jobId, 0);
  expect(facts).toMatchObject({ jobState: "running", openTasks: 4, holds: [] });
  expect(facts?.tasks.map(({ state, label }) => `${state} ${label}`)).toEqual([
    "ready right",
    "running left",
    "blocked middle",
    "blocked last",
  ]);
  expect(facts?.tasks[1]).toMatchObject({ taskId: claim.taskId, workerName: "w1", tenant: "local", renderPosition: 0 });
  expect(facts?.tasks[2]?.missing.map(({ state }) => state)).toEqual(["running", "ready"]);
  expect(facts?.workers).toMatchObject([{ workerId: "w1", shapes: ["denoise/e1"], isLive: true, isCordoned: false, isBusy: true }]);
  expect(facts && summarize(facts)).toBe("1 task runs; the next waits for a worker: 1 of 1 worker that holds the engine is busy");
});

test("a job outside the scope, or a render that it has not, has no facts; an ended one has no tasks", async () => {
  const { store } = world();
  const jobId = await local("a");
  expect(await store.explainFacts("other", jobId, undefined)).toBeUndefined();
  expect(await store.explainFacts("local", jobId, 1)).toBeUndefined();
  expect(await store.explainFacts("local", "none", undefined)).toBeUndefined();
  await store.cancelJob("local", jobId);
  expect(await store.explainFacts("local", jobId, undefined)).toMatchObject({ jobState: "cancelled", tasks: [], openTasks: 0 });
});

test("at most two hundred tasks are shown, and all are counted", async () => {
  const { store } = world();
  const jobId = await local(...Array.from({ length: 230 }, (_unused, index) => `task ${index}`));
  const facts = await store.explainFacts("local", jobId, undefined);
  expect(facts?.tasks).toHaveLength(200);
  expect(facts?.openTasks).toBe(230);
  expect(new Set(facts?.tasks.map(({ ahead }) => ahead.own)).size).toBe(200);
});

import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, submit, task, type Worker, type World } from "../../support/store-world.ts";

const world = useWorld();

async function levelOf({ store }: World, worker: Worker, attemptId: string): Promise<string | undefined> {
  const attempts = [{ attemptId, phase: "compute" as const, step: 0, steps: 0, deviceMs: 0, announcedArtifacts: [] }];
  const [answer] = await store.beat([{ sessionId: worker.sessionId, sequence: 1, farmEpoch: 0, attempts }]);
  return answer?.kind === "answered" ? answer.levels[0]?.level : answer?.code;
}

test("a cancelled job's waiting tasks are cancelled and its running ones unwanted at once", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  const outcome = await store.cancelJob("local", jobId);
  expect(outcome).toMatchObject({
    job: { state: "cancelled" },
    aftermath: { touchedJobIds: [jobId], pushes: [{ workerId: "w1", attemptId: claim.attemptId, level: "unwanted" }] },
  });
  expect(outcome?.job.only?.tasks.map(({ state }) => state).sort()).toEqual(["cancelled", "cancelled", "cancelled", "running"]);
  expect(await levelOf(world(), worker, claim.attemptId)).toBe("unwanted");
  await worker.fail(claim, "STAGE_CANCELLED");
  expect((await store.getJob("local", jobId))?.only?.tasks.every(({ state }) => state === "cancelled")).toBe(true);
  expect((await worker.next()).claim).toBeUndefined();
  expect((await store.listEvents(jobId, 0, 99)).map(({ kind, jobState }) => [kind, jobState])).toEqual([
    ["job.submitted", "queued"],
    ["task.started", undefined],
    ["job.cancelled", "cancelled"],
  ]);
});

test("cancelling twice, or a job that ended, changes nothing; another tenant's job is unknown", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond());
  await store.cancelJob("local", jobId);
  const again = await store.cancelJob("local", jobId);
  expect(again).toMatchObject({ job: { state: "cancelled", lastEventNumber: 2 }, aftermath: { ready: [], pushes: [] } });
  expect(await store.cancelJob("other", jobId)).toBeUndefined();
  expect(await store.cancelJob("local", "none")).toBeUndefined();
});

test("tasks that another job uses go on", async () => {
  const { store } = world();
  const cancelled = await submit(store, diamond());
  const kept = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  expect(await store.cancelJob("local", cancelled)).toMatchObject({ aftermath: { pushes: [] } });
  expect(await levelOf(world(), worker, claim.attemptId)).toBe("wanted");
  await worker.succeed(claim);
  for (let done = 1; done < 4; done += 1) await worker.succeed(await worker.claim());
  expect(await store.getJob("local", kept)).toMatchObject({ state: "succeeded" });
  expect(await store.getJob("local", cancelled)).toMatchObject({ state: "cancelled", only: { artifacts: [] } });
  expect(await store.artifactOfRender("local", { jobId: cancelled, position: 0, name: "mp4" })).toBeUndefined();
});

test("a task that waits for its next try goes on waiting when one of the jobs that share it is cancelled", async () => {
  const { store, sql } = world();
  const shared = task("shared");
  const jobs = [await submit(store, [shared]), await submit(store, [shared])] as const;
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_FAILED");
  const delayed = await sql("select state, delayed_until from task");
  expect(delayed).toMatchObject([{ state: "delayed" }]);
  await store.cancelJob("local", jobs[0]);
  expect(await sql("select state, delayed_until from task")).toEqual(delayed);
  await store.cancelJob("local", jobs[1]);
  expect(await sql("select state, delayed_until from task")).toEqual([{ state: "cancelled", delayed_until: null }]);
});

test("a cancelled job's priority no longer lifts the tasks that it shared", async () => {
  const { store, sql } = world();
  const urgent = await submit(store, diamond(), { priority: 50 });
  await submit(store, diamond(), { priority: 1 });
  expect(await sql("select distinct priority from ready")).toEqual([{ priority: 50 }]);
  await store.cancelJob("local", urgent);
  expect(await sql("select distinct priority from ready")).toEqual([{ priority: 1 }]);
});

test("a new job that wants an unwanted attempt takes it over", async () => {
  const { store } = world();
  const cancelled = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", cancelled);
  const again = await submit(store, diamond());
  expect(await levelOf(world(), worker, claim.attemptId)).toBe("wanted");
  expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
  for (let done = 1; done < 4; done += 1) await worker.succeed(await worker.claim());
  expect(await store.getJob("local", again)).toMatchObject({ state: "succeeded" });
});

test("an attempt that was given up as unwanted, but is wanted again, runs again", async () => {
  const { store } = world();
  const cancelled = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", cancelled);
  await submit(store, diamond());
  await worker.fail(claim, "STAGE_CANCELLED");
  const taken = [await worker.claim(), await worker.claim()];
  expect(taken.map(({ taskId }) => taskId)).toContain(claim.taskId);
});

test("an unwanted attempt that succeeds is kept for whoever asks next", async () => {
  const { store } = world();
  const cancelled = await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  await store.cancelJob("local", cancelled);
  await worker.succeed(claim);
  const again = await submit(store, diamond());
  expect((await store.getJob("local", again))?.only?.tasks.filter(({ reused }) => reused)).toHaveLength(1);
});

test("cancelling and submitting at once leave either a cancelled task or one that runs, never a lost job", async () => {
  const { store, openAnother, sql } = world();
  const another = await openAnother();
  for (let round = 0; round < 12; round += 1) {
    const domain = `round ${round}`;
    const first = await submit(store, diamond(domain));
    const [, second] = await Promise.all([another.cancelJob("local", first), submit(store, diamond(domain))]);
    const worker = createWorker(store, { name: `w${round}` });
    for (;;) {
      const { claim } = await worker.next();
      if (claim === undefined) break;
      await worker.succeed(claim);
    }
    expect(await store.getJob("local", second)).toMatchObject({ state: "succeeded" });
  }
  expect(await sql("select 1 from task where state in ('blocked', 'ready', 'running', 'delayed')")).toHaveLength(0);
});

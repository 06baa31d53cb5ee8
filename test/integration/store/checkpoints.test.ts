import { expect, test } from "vitest";
import type { ClaimView, Store } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { batch, checkpointOf, createWorker, diamond, submit, success, task, type Worker } from "../../support/store-world.ts";

const world = useWorld({ retention: { keepIntermediatesMs: 0, longestUploadMs: 0 }, leaseMs: 0 });

type Kept = { readonly step: number; readonly sha256: string; readonly profile: string };

const kept = (): Promise<readonly Kept[]> => world().sql<Kept>("select step, sha256, profile from task_checkpoint order by task_id");
const stepsKept = async (): Promise<readonly number[]> => (await kept()).map(({ step }) => step);
const checkpointIn = ({ inputs }: ClaimView): string | undefined => inputs.find(({ name }) => name === "checkpoint")?.sha256;

/** Gives a claim back as a drained worker does. */
async function giveBack(worker: Worker, claim: ClaimView): Promise<void> {
  const { store } = world();
  const { workerId } = worker.ask().worker;
  await store.drainWorker(workerId, { by: "ops", reason: "" }, 0);
  await worker.fail(claim, "STAGE_CANCELLED");
  await store.uncordonWorker(workerId);
}

async function collect(store: Store): Promise<readonly string[]> {
  const held = await store.holdDuty("collection", "test", 60_000);
  await store.condemnArtifacts(held?.epoch ?? 0);
  const removed: string[] = [];
  for (const hash of await store.condemnArtifacts(held?.epoch ?? 0)) {
    const remove = () => Promise.resolve(void removed.push(hash));
    await store.collectArtifact(hash, remove);
  }
  return removed;
}

test("the next attempt of a task goes on where the last one got to, and its start says so", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only")]);
  const first = createWorker(store, { name: "a" });
  const claim = await first.claim();
  expect(checkpointIn(claim)).toBeUndefined();
  await first.checkpoint(claim, 5);
  const hash = await first.checkpoint(claim, 10);
  expect((await store.explainFacts("local", jobId, undefined))?.tasks).toMatchObject([{ workerName: "a", keptStep: 10 }]);
  await first.fail(claim, "RUNTIME_DIED");
  const again = await createWorker(store, { name: "b" }).claim();
  expect(again.inputs).toContainEqual({ name: "checkpoint", sha256: hash, sizeBytes: 5 });
  const started = (await store.listEvents(jobId, 0, 99)).filter(({ kind }) => kind === "task.started");
  expect(started.map(({ message }) => message)).toEqual(["", "from its checkpoint of step 10"]);
});

test("a checkpoint beside other inputs takes none of their places", async () => {
  const { store } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  for (let done = 0; done < 2; done += 1) await worker.succeed(await worker.claim());
  const middle = await worker.claim();
  await worker.checkpoint(middle, 5);
  await giveBack(worker, middle);
  const again = await worker.claim();
  expect(again.inputs.map(({ name }) => name)).toEqual(["checkpoint", "left", "right"]);
  expect(again.inputs.slice(1)).toEqual(middle.inputs);
});

test("a step that is not higher, and a beat that comes twice or late, change nothing", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.checkpoint(claim, 10);
  const before = await sql("select * from task_checkpoint");
  await worker.checkpoint(claim, 10);
  await worker.checkpoint(claim, 5);
  const [late] = await store.beat([
    {
      sessionId: worker.sessionId,
      sequence: 1,
      farmEpoch: 0,
      attempts: [
        {
          attemptId: claim.attemptId,
          phase: "compute",
          step: 20,
          steps: 50,
          deviceMs: 1,
          announcedArtifacts: [],
          checkpoint: checkpointOf(claim, 20),
        },
      ],
    },
  ]);
  expect(late).toMatchObject({ kind: "refused", code: "SEQUENCE_STALE" });
  expect(await sql("select * from task_checkpoint")).toEqual(before);
});

test("only the attempt that is current keeps checkpoints, and only of its own session", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const slow = createWorker(store, { name: "slow" });
  const claim = await slow.claim();
  await slow.checkpoint(claim, 5);
  // Another life of the worker takes over: the old attempt is lost, and so is its session.
  const quick = createWorker(store, { name: "slow" });
  const again = await quick.claim();
  await slow.checkpoint(claim, 30);
  await quick.checkpoint({ ...claim }, 30);
  expect(await stepsKept()).toEqual([5]);
  const stranger = createWorker(store, { name: "stranger", shapes: [] });
  await stranger.next();
  await stranger.checkpoint(again, 30);
  expect(await stepsKept()).toEqual([5]);
  await quick.checkpoint(again, 10);
  expect(await stepsKept()).toEqual([10]);
});

test("bytes that were never announced, or are of another size, are not kept", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.beat(claim, 5, { checkpoint: checkpointOf(claim, 5) });
  await worker.beat(claim, 5, { announcedArtifacts: [{ ...checkpointOf(claim, 5), name: "checkpoint", mediaType: "" }] });
  await worker.beat(claim, 5, { checkpoint: { ...checkpointOf(claim, 5), sizeBytes: 6 } });
  for (const step of [0, -1, 2 ** 31, 1.5, NaN]) await worker.beat(claim, 5, { checkpoint: { ...checkpointOf(claim, 5), step } });
  expect(await kept()).toEqual([]);
  await worker.beat(claim, 5, { checkpoint: checkpointOf(claim, 5) });
  expect(await stepsKept()).toEqual([5]);
});

test("a worker of another profile starts anew, and what it keeps takes the place of what it could not use", async () => {
  const { store, openAnother } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store, { name: "a" });
  const claim = await worker.claim();
  const hash = await worker.checkpoint(claim, 30);
  await giveBack(worker, claim);
  const rolled = await openAnother({ pools: [{ name: "pool", profile: "cpu;other" }] });
  const other = createWorker(rolled, { name: "b", profile: "cpu;other" });
  const anew = await other.claim();
  expect(checkpointIn(anew)).toBeUndefined();
  await giveBack(other, anew);
  // Rolled back: the first one's is still there.
  const back = await worker.claim();
  expect(checkpointIn(back)).toBe(hash);
  await giveBack(worker, back);
  await other.checkpoint(await other.claim(), 5);
  expect(await kept()).toMatchObject([{ step: 5, profile: "cpu;other" }]);
});

test.each(["ARTIFACT_MISSING", "ARTIFACT_CORRUPT"])(
  "a checkpoint that is reported as %s is dropped, and the task starts anew, uncharged",
  async (code) => {
    const { store, sql } = world();
    const jobId = await submit(store, diamond());
    const worker = createWorker(store);
    for (let done = 0; done < 2; done += 1) await worker.succeed(await worker.claim());
    const middle = await worker.claim();
    const hash = await worker.checkpoint(middle, 5);
    await giveBack(worker, middle);
    const again = await worker.claim();
    await worker.fail(again, code, [hash]);
    expect(await kept()).toEqual([]);
    expect(await sql("select state, failures from task where id = $1", [middle.taskId])).toEqual([{ state: "ready", failures: {} }]);
    expect(
      await sql("select 1 from task_input i join task p on p.id = i.producer_id where i.task_id = $1 and p.state <> 'succeeded'", [
        middle.taskId,
      ]),
    ).toEqual([]);
    const anew = await worker.claim();
    expect(anew.inputs).toEqual(middle.inputs);
    // The same step has the same bytes: they are stored anew and kept again.
    expect(await worker.checkpoint(anew, 5)).toBe(hash);
    expect(await sql("select is_stored from artifact where sha256 = $1", [hash])).toEqual([{ is_stored: true }]);
    await worker.succeed(anew);
    await worker.succeed(await worker.claim(), ["mp4"]);
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
  },
);

test("an input that is lost beside the checkpoint still makes its producer run again", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  for (let done = 0; done < 2; done += 1) await worker.succeed(await worker.claim());
  const middle = await worker.claim();
  const hash = await worker.checkpoint(middle, 5);
  await giveBack(worker, middle);
  const again = await worker.claim();
  await worker.fail(again, "ARTIFACT_MISSING", [hash, middle.inputs[0]?.sha256 ?? ""]);
  expect(await kept()).toEqual([]);
  expect(await sql("select state, failures from task where id = $1", [middle.taskId])).toEqual([
    { state: "blocked", failures: { artifact: 1 } },
  ]);
});

test("a checkpoint's bytes are kept while the task is open, through every wait, and those of the one before are collected", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  const older = await worker.checkpoint(claim, 5);
  expect(await collect(store)).toEqual([]);
  const newer = await worker.checkpoint(claim, 10);
  expect(await collect(store)).toEqual([older]);
  await worker.fail(claim, "STAGE_FAILED");
  expect(await sql("select state from task")).toEqual([{ state: "delayed" }]);
  expect(await collect(store)).toEqual([]);
  expect(await sql("select sha256 from artifact")).toEqual([{ sha256: newer }]);
});

test.each([
  { end: "succeeded", act: (worker: Worker, claim: ClaimView) => worker.succeed(claim) },
  { end: "failed", act: (worker: Worker, claim: ClaimView) => worker.fail(claim, "STAGE_INPUT_INVALID") },
  {
    end: "cancelled",
    act: async (worker: Worker, claim: ClaimView, jobId: string) => {
      await world().store.cancelJob("local", jobId, undefined);
      await giveBack(worker, claim);
    },
  },
])("a task that $end lets its checkpoint go", async ({ end, act }) => {
  const { store, sql } = world();
  const jobId = await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  const hash = await worker.checkpoint(claim, 5);
  await act(worker, claim, jobId);
  expect(await sql("select state from task")).toEqual([{ state: end }]);
  expect(await kept()).toEqual([]);
  expect(await collect(store)).toContain(hash);
  await worker.checkpoint(claim, 10);
  expect(await kept()).toEqual([]);
});

test("a task that waits when its last user is cancelled lets its checkpoint go", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  const hash = await worker.checkpoint(claim, 5);
  await giveBack(worker, claim);
  await store.cancelJob("local", jobId, undefined);
  expect(await kept()).toEqual([]);
  expect(await collect(store)).toContain(hash);
});

test("a retry is another generation, which starts at its beginning", async () => {
  const { store } = world();
  const jobId = await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.checkpoint(claim, 5);
  await worker.fail(claim, "STAGE_INPUT_INVALID");
  await store.retryJob("local", jobId, undefined);
  const again = await worker.claim();
  expect(again.taskId).not.toBe(claim.taskId);
  expect(checkpointIn(again)).toBeUndefined();
  await worker.checkpoint(again, 5);
  expect(await stepsKept()).toEqual([5]);
});

test("a claim that is asked for again carries the checkpoint that it carried first", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  const hash = await worker.checkpoint(claim, 5);
  await giveBack(worker, claim);
  const ask = worker.ask();
  const [first] = await store.next([ask]);
  const [second] = await store.next([ask]);
  if (first?.kind !== "answered" || second?.kind !== "answered" || first.claim === undefined) expect.fail("refused");
  expect(checkpointIn(first.claim)).toBe(hash);
  expect(second).toMatchObject({ replayed: true, claim: first.claim });
});

test("beats that race with the end of their task leave no checkpoint behind", async () => {
  const { store, sql, openAnother } = world();
  const another = await openAnother();
  const plans = Array.from({ length: 16 }, (_unused, index) => [task(`race ${index}`)]);
  await store.submitJob(batch(plans));
  const racers = plans.map((_unused, index) => createWorker(store, { name: `racer ${index}` }));
  const claims: ClaimView[] = [];
  for (const racer of racers) {
    const claim = await racer.claim();
    await racer.checkpoint(claim, 5);
    await racer.beat(claim, 9, { announcedArtifacts: [{ ...checkpointOf(claim, 9), name: "checkpoint", mediaType: "" }] });
    claims.push(claim);
  }
  const race = async (racer: Worker, claim: ClaimView): Promise<void> => {
    const ask = { sessionId: racer.sessionId, sequence: racer.nextSequence(), farmEpoch: 0, reports: [success(claim)] };
    await Promise.all([another.report([ask]), racer.beat(claim, 9, { checkpoint: checkpointOf(claim, 9) })]);
  };
  await Promise.all(claims.map((claim, index) => race(racers[index] ?? createWorker(store), claim)));
  expect(await sql("select distinct state from task")).toEqual([{ state: "succeeded" }]);
  expect(await kept()).toEqual([]);
});

test("what an attempt computed after going on is not taken for the time of a whole task", async () => {
  const { store } = world();
  const worker = createWorker(store);
  const finish = async (claim: ClaimView, computeMs: number): Promise<void> => {
    await worker.report({ ...success(claim), computeMs });
  };
  await submit(store, [task("whole")]);
  await finish(await worker.claim(), 1_000);
  await submit(store, [task("interrupted")]);
  const claim = await worker.claim();
  await worker.checkpoint(claim, 40);
  await giveBack(worker, claim);
  await finish(await worker.claim(), 10);
  await submit(store, [task("next")]);
  expect(await worker.claim()).toMatchObject({ expectedMs: 1_000 });
});

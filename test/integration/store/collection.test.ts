import { expect, test } from "vitest";
import type { ProducedArtifact, Store } from "../../../services/coordinator/store/store-contract.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, job, noFilter, sha256, submit, task, type Worker, type World } from "../../support/store-world.ts";

const world = useWorld({ retention: { keepIntermediatesMs: 0, longestUploadMs: 0 }, leaseMs: 0 });

async function finish(worker: Worker): Promise<void> {
  for (;;) {
    const { claim } = await worker.next();
    if (claim === undefined) return;
    await worker.succeed(claim, ["out", ...(JSON.stringify(claim.parameters).includes("last") ? ["mp4"] : [])]);
  }
}

async function condemn(store: Store): Promise<readonly string[]> {
  const held = await store.holdDuty("collection", "test", 60_000);
  await store.condemnArtifacts(held?.epoch ?? 0);
  return await store.condemnArtifacts(held?.epoch ?? 0);
}

/** Collects everything that may go; returns the hashes whose bytes were removed. */
async function collect(store: Store): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const hash of await condemn(store)) {
    await store.collectArtifact(hash, () => {
      removed.push(hash);
      return Promise.resolve();
    });
  }
  return removed;
}

const stored = async ({ sql }: World): Promise<number> => (await sql("select 1 from artifact")).length;

test("intermediates of an ended job are collected, its results and uploads are kept", async () => {
  const { store } = world();
  await store.commitUpload({
    tenant: "local",
    sha256: sha256("image"),
    sizeBytes: 1,
    mediaType: "image/png",
    kind: "image",
    width: 1,
    height: 1,
    frames: 1,
  });
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  await worker.succeed(await worker.claim(), ["out"]);
  expect(await collect(store)).toEqual([]);
  await finish(worker);
  expect(await collect(store)).toHaveLength(4);
  expect(await stored(world())).toBe(2);
  const done = await store.getJob("local", jobId);
  expect(done).toMatchObject({ state: "succeeded", only: { artifacts: [{ name: "mp4" }] } });
  expect(await store.artifactOfRender("local", { jobId, position: 0, name: "mp4" })).toBeDefined();
});

test("a collected key that is asked for again runs again", async () => {
  const { store } = world();
  await submit(store, diamond());
  await finish(createWorker(store));
  await collect(store);
  const again = await store.submitJob(job(diamond()));
  expect(again).toMatchObject({ kind: "stored", job: { state: "queued" } });
  await finish(createWorker(store, { name: "w2" }));
  const jobId = again.kind === "stored" ? again.job.jobId : "";
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("a submit that reuses a condemned artifact keeps it", async () => {
  const { store } = world();
  await submit(store, diamond());
  await finish(createWorker(store));
  const condemned = await condemn(store);
  expect(condemned).toHaveLength(4);
  await store.submitJob(job([...diamond().slice(0, 3), { ...(diamond()[3] ?? never()), contentKey: sha256("another last") }]));
  for (const hash of condemned) await store.collectArtifact(hash, () => Promise.resolve());
  await finish(createWorker(store, { name: "w2" }));
  const open = await world().sql("select 1 from job where state <> 'succeeded'");
  expect(open).toEqual([]);
});

function never(): never {
  throw new TypeError("the diamond has four tasks");
}

test("submits that race with collection always end with a result", async () => {
  const { store, openAnother } = world();
  const another = await openAnother();
  for (let round = 0; round < 8; round += 1) {
    const domain = `round ${round}`;
    await submit(store, diamond(domain));
    await finish(createWorker(store, { name: `a${round}` }));
    const condemned = await condemn(store);
    const [, ...outcomes] = await Promise.all([
      submit(store, diamond(domain)),
      ...condemned.map((hash) => another.collectArtifact(hash, () => Promise.resolve())),
    ]);
    await finish(createWorker(store, { name: `b${round}` }));
    expect(outcomes).toHaveLength(condemned.length);
  }
  expect(await world().sql("select 1 from job where state <> 'succeeded'")).toEqual([]);
  expect(await world().sql("select 1 from task_output o where not exists (select 1 from artifact a where a.sha256 = o.sha256)")).toEqual(
    [],
  );
});

test("what a beat announces is left alone, and a failed removal keeps the row", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const claim = await worker.claim();
  const artifact: ProducedArtifact = { name: "out", sha256: sha256("bytes"), sizeBytes: 1, mediaType: "text/plain" };
  const attempts = [
    { attemptId: claim.attemptId, phase: "finish" as const, step: 0, steps: 0, deviceMs: 0, announcedArtifacts: [artifact] },
  ];
  let sequence = 0;
  const beat = () => store.beat([{ sessionId: worker.sessionId, sequence: (sequence += 1), farmEpoch: 0, attempts }]);
  await beat();
  expect(await sql("select is_stored from artifact")).toEqual([{ is_stored: false }]);
  expect(await condemn(store)).toEqual([artifact.sha256]);
  await beat();
  expect(await store.collectArtifact(artifact.sha256, () => Promise.resolve())).toBe("kept");
  await condemn(store);
  const failing = store.collectArtifact(artifact.sha256, () => Promise.reject(new TypeError("disk")));
  await expect(failing).rejects.toThrow("disk");
  expect(await stored(world())).toBe(1);
  expect(await collect(store)).toEqual([artifact.sha256]);
  expect(await stored(world())).toBe(0);
});

const everything = {
  scope: "local",
  filter: noFilter,
  order: { by: "create_time" as const, descending: true },
  after: undefined,
  limit: 9,
};

/** Collects as if the store may hold so many bytes; each output has three. */
async function collectDownTo(room: { readonly highBytes: number; readonly lowBytes: number; readonly collectResults?: boolean }) {
  const retention = { keepIntermediatesMs: 7 * 24 * 3600 * 1000, longestUploadMs: 0 };
  return await collect(await world().openAnother({ retention, room }));
}

test("too many bytes go before their age, the least recently needed first, down to the low mark", async () => {
  const { store, sql } = world();
  await submit(store, diamond());
  await finish(createWorker(store));
  // The last by its hash, so that no order but the wanted one takes it first.
  const [oldest] = await sql<{ sha256: string; task_id: string }>(
    "select o.sha256, o.task_id from task_output o join task_input i on i.producer_id = o.task_id order by o.sha256 desc limit 1",
  );
  await sql("update artifact set needed_at = now() - interval '1 hour' where sha256 = $1", [oldest?.sha256]);
  expect(await collectDownTo({ highBytes: 15, lowBytes: 15 })).toEqual([]);
  expect(await collectDownTo({ highBytes: 14, lowBytes: 12 })).toHaveLength(1);
  expect(await sql("select id from task where is_retired")).toEqual([{ id: oldest?.task_id }]);
  expect(await collectDownTo({ highBytes: 11, lowBytes: 0 })).toHaveLength(3);
  expect(await stored(world())).toBe(1);
});

test("results of finished renders go for their room only where that is set", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim(), ["mp4"]);
  expect(await collectDownTo({ highBytes: 1, lowBytes: 0 })).toEqual([]);
  expect(await collectDownTo({ highBytes: 1, lowBytes: 0, collectResults: true })).toHaveLength(1);
  expect(await store.artifactOfRender("local", { jobId, position: 0, name: "mp4" })).toBeUndefined();
  await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const { taskId } = await worker.claim();
  expect(await sql("select generation from task where id = $1", [taskId])).toEqual([{ generation: 2 }]);
});

test("what an open task takes stays however full the store is", async () => {
  const { store } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  await worker.succeed(await worker.claim(), ["out"]);
  expect(await collectDownTo({ highBytes: 0, lowBytes: 0, collectResults: true })).toEqual([]);
  await finish(worker);
  expect(await store.listJobs(everything)).toMatchObject({ jobs: [{ state: "succeeded" }] });
});

test("what was condemned for its room is rescued by a submit, and computed again in a new generation once it is gone", async () => {
  const { store, sql, openAnother } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  await finish(worker);
  const full = await openAnother({
    retention: { keepIntermediatesMs: 7 * 24 * 3600 * 1000, longestUploadMs: 0 },
    room: { highBytes: 4, lowBytes: 3 },
  });
  const condemned = await condemn(full);
  expect(condemned).toHaveLength(4);
  const next = [...diamond().slice(0, 3), task("another last", { after: ["middle"], artifacts: ["mp4"] })];
  await submit(store, next);
  const fates = await Promise.all(condemned.map((hash) => full.collectArtifact(hash, () => Promise.resolve())));
  expect(fates.sort()).toEqual(["collected", "kept", "kept", "kept"]);
  await finish(worker);
  await collect(full);
  await submit(store, diamond());
  const again = await worker.claim();
  expect(await sql("select generation from task where id = $1", [again.taskId])).toEqual([{ generation: 2 }]);
  await worker.succeed(again, ["out"]);
  await finish(worker);
  expect(await sql("select 1 from job where state <> 'succeeded'")).toEqual([]);
});

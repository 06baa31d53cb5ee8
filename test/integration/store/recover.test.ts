import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { openPool } from "../../../services/platform/database/pool.ts";
import { openRecovering, type Recovery } from "../../../services/platform/database/recover.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";
import { checkInvariants } from "../../support/store-invariants.ts";
import { createWorker, diamond, openWorld, outputHash, sha256, submit, task, type World } from "../../support/store-world.ts";
import { until } from "../../support/until.ts";

let postgres: TestPostgres;
const closing: (() => Promise<void>)[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type Farm = World & { readonly url: string };

async function farmOn(url: string): Promise<Farm> {
  const world = await openWorld(url);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await world.close();
    isOpen = false;
  };
  closing.push(close);
  return { ...world, close, url };
}

const freshFarm = async (): Promise<Farm> => farmOn(await postgres.createDatabase());

async function recover(url: string, missing: readonly string[] = [], isTrial = false): Promise<Recovery> {
  const database = await openRecovering(url);
  try {
    return await database.recover(missing, { isTrial });
  } finally {
    await database.close();
  }
}

const jobStates = (farm: Farm) => farm.sql("select id, state from job order by created_at");
const taskStates = (farm: Farm) => farm.sql<{ state: string }>("select state from task order by id");

async function storeUpload({ store }: Farm, name: string): Promise<string> {
  const upload = { sha256: sha256(name), sizeBytes: 3, mediaType: "image/png" };
  await store.announceUpload(upload);
  await store.commitUpload({ ...upload, tenant: "local", kind: "image", width: 1, height: 1, frames: 1 });
  return upload.sha256;
}

/** Runs everything that is ready, with a worker of its own. */
async function finish(farm: Farm): Promise<void> {
  const worker = createWorker(farm.store, { name: "after" });
  for (;;) {
    const { claim } = await worker.next();
    if (claim === undefined) return;
    await worker.succeed(claim);
  }
}

test("a database that went back in time ends its sessions, takes runs back uncharged, and finishes what it knows of", async () => {
  const before = await freshFarm();
  const jobId = await submit(before.store, diamond());
  const worker = createWorker(before.store, { name: "old" });
  const claim = await worker.claim();
  await worker.beat(claim, 3);
  await before.close();
  const backup = await postgres.copyDatabase(before.url);

  // The lost time: the run commits, another job is acknowledged and runs.
  const lost = await farmOn(before.url);
  const lostWorker = createWorker(lost.store, { name: "other" });
  await submit(lost.store, [task("lost")]);
  const lostClaim = await lostWorker.claim();

  const restored = await farmOn(backup);
  const recovery = await recover(backup);
  expect(recovery).toMatchObject({ sessions: 1, attempts: 1, missing: 0, repaired: 0, losses: { uploadCount: 0, resultCount: 0 } });
  expect(await taskStates(restored)).toEqual([{ state: "ready" }, { state: "ready" }, { state: "blocked" }, { state: "blocked" }]);
  expect(await restored.sql("select state, disposition from attempt")).toEqual([{ state: "abandoned", disposition: null }]);
  expect(await restored.sql("select disposition, device_ms from usage")).toEqual([{ disposition: "returned", device_ms: 3 }]);
  expect(await restored.sql("select failures from task where failures <> '{}'")).toEqual([]);
  expect(await restored.sql("select message from event where kind = 'task.retried'")).toEqual([
    { message: "EPOCH_MISMATCH: the farm was restored" },
  ]);
  await checkInvariants(restored);

  const asked = { farmEpoch: 1 };
  const refused = [{ kind: "refused", code: "EPOCH_MISMATCH", farmEpoch: recovery.epoch }];
  for (const old of [worker, lostWorker]) expect(await restored.store.next([old.ask(asked)])).toMatchObject(refused);
  const report = { sessionId: lostWorker.sessionId, sequence: lostWorker.nextSequence(), farmEpoch: 1, reports: [] };
  expect(await restored.store.report([report])).toMatchObject(refused);
  // Told without an epoch, by a session that is new: attempts of the lost time are unknown, those of the backup are not current.
  const fresh = createWorker(restored.store, { name: "old" });
  await fresh.next({ freeSlots: 0 });
  expect(await fresh.succeed(lostClaim)).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await fresh.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);

  await finish(restored);
  expect(await jobStates(restored)).toEqual([{ id: jobId, state: "succeeded" }]);
  await checkInvariants(restored);
});

test("a backup that is restored twice gets two epochs, above every one that was given out", async () => {
  const farm = await freshFarm();
  await farm.close();
  const again = await postgres.copyDatabase(farm.url);
  const first = await recover(farm.url);
  const second = await recover(again);
  expect(second.epoch).toBeGreaterThan(first.epoch);
  expect((await recover(again)).epoch).toBeGreaterThan(second.epoch);
});

test("holders of duties from the lost time hold nothing, and cannot meet their epoch again", async () => {
  const farm = await freshFarm();
  const held = await farm.store.holdDuty("reaper", "old", 60_000);
  await recover(farm.url);
  const next = await farm.store.holdDuty("reaper", "new", 60_000);
  expect(next?.epoch).toBeGreaterThan((held?.epoch ?? 0) + 1_000_000);
  expect(await farm.store.sweep(held?.epoch ?? 0)).toMatchObject({ repaired: 0 });
  expect(await farm.sql("select 1 from canary")).toEqual([]);
});

test("a trial says the same and changes nothing", async () => {
  const farm = await freshFarm();
  await submit(farm.store, diamond());
  await createWorker(farm.store).claim();
  const told = await recover(farm.url, [], true);
  expect(told).toMatchObject({ sessions: 1, attempts: 1 });
  expect(await farm.sql("select epoch::integer from farm")).toEqual([{ epoch: 1 }]);
  expect(await farm.sql("select 1 from session where is_live")).toHaveLength(1);
  expect(await recover(farm.url)).toMatchObject({ sessions: 1, attempts: 1, events: told.events });
});

test("what open tasks need and the store lost is made again, with what that takes", async () => {
  const farm = await freshFarm();
  const jobId = await submit(farm.store, [
    task("first"),
    task("second", { after: ["first"] }),
    task("third", { after: ["second"] }),
    task("fourth", { after: ["third"], artifacts: ["mp4"] }),
  ]);
  const worker = createWorker(farm.store);
  const first = await worker.claim();
  await worker.succeed(first);
  const second = await worker.claim();
  await worker.succeed(second);
  const lost = [first, second].map(({ taskId }) => outputHash(taskId, "out"));
  const recovery = await recover(farm.url, lost);
  expect(recovery).toMatchObject({ missing: 2, tasksAgain: 1, repaired: 0, losses: { resultCount: 0 } });
  await checkInvariants(farm);
  await finish(farm);
  expect(await jobStates(farm)).toEqual([{ id: jobId, state: "succeeded" }]);
  expect(await farm.sql("select content_key from task where state = 'succeeded' and not is_retired")).toHaveLength(4);
  await checkInvariants(farm);
});

test("a lost result that an open render still hands out is made again", async () => {
  const farm = await freshFarm();
  await submit(farm.store, [task("result", { artifacts: ["mp4"] }), task("other")]);
  const worker = createWorker(farm.store);
  const claim = await worker.claim();
  await worker.succeed(claim);
  const recovery = await recover(farm.url, [outputHash(claim.taskId, "mp4")]);
  expect(recovery).toMatchObject({ tasksAgain: 1, losses: { resultCount: 0 } });
  await checkInvariants(farm);
  await finish(farm);
  expect(await jobStates(farm)).toMatchObject([{ state: "succeeded" }]);
  await checkInvariants(farm);
});

test("a lost result of a render that has ended is told, and computed anew for who asks again", async () => {
  const farm = await freshFarm();
  const jobId = await submit(farm.store, diamond());
  await finish(farm);
  const [last] = await farm.sql<{ sha256: string }>("select sha256 from task_output where name = 'mp4' order by task_id desc limit 1");
  const lost = last?.sha256 ?? "";
  const recovery = await recover(farm.url, [lost]);
  expect(recovery).toMatchObject({ missing: 1, tasksAgain: 0, losses: { resultCount: 1 } });
  expect(recovery.losses.results).toEqual([{ job: jobId, position: 0, artifact: "mp4" }]);
  await checkInvariants(farm);
  const again = await submit(farm.store, diamond());
  expect(await farm.sql("select state from job where id = $1", [again])).toEqual([{ state: "queued" }]);
  await finish(farm);
  expect(await farm.sql("select state from job where id = $1", [again])).toEqual([{ state: "succeeded" }]);
  expect(await farm.sql("select is_stored from artifact where sha256 = $1", [lost])).toEqual([{ is_stored: false }]);
  await checkInvariants(farm);
});

test("a lost upload is told with the jobs that need it, is refused to new ones, and heals when it is uploaded again", async () => {
  const farm = await freshFarm();
  const upload = await storeUpload(farm, "image");
  const jobId = await submit(farm.store, [task("only", { uploads: [upload] })]);
  const recovery = await recover(farm.url, [upload]);
  expect(recovery.losses).toMatchObject({ uploadCount: 1, uploads: [{ tenant: "local", sha256: upload, jobs: [jobId] }] });
  expect(await farm.store.findUploads("local", [upload])).toEqual([]);
  await storeUpload(farm, "image");
  await finish(farm);
  expect(await jobStates(farm)).toEqual([{ id: jobId, state: "succeeded" }]);
  await checkInvariants(farm);
});

test("a lost checkpoint costs its steps, nothing else", async () => {
  const farm = await freshFarm();
  await submit(farm.store, [task("only")]);
  const worker = createWorker(farm.store);
  const checkpoint = await worker.checkpoint(await worker.claim(), 5);
  expect(await recover(farm.url, [checkpoint])).toMatchObject({ missing: 1, checkpoints: 1, tasksAgain: 0 });
  const claim = await createWorker(farm.store, { name: "next" }).claim();
  expect(claim.inputs.map(({ name }) => name)).not.toContain("checkpoint");
  await checkInvariants(farm);
});

test("a checkpoint that is there is gone on from", async () => {
  const farm = await freshFarm();
  await submit(farm.store, [task("only")]);
  const worker = createWorker(farm.store);
  await worker.checkpoint(await worker.claim(), 5);
  await recover(farm.url);
  const claim = await createWorker(farm.store, { name: "next" }).claim();
  expect(claim.inputs.map(({ name }) => name)).toContain("checkpoint");
});

test("every event that is kept is copied anew", async () => {
  const farm = await freshFarm();
  const jobId = await submit(farm.store, diamond());
  await finish(farm);
  const events = await farm.store.unsentEvents(100);
  await farm.store.markEventsSent(jobId, events.length);
  expect(await farm.store.unsentEvents(100)).toEqual([]);
  expect(await recover(farm.url)).toMatchObject({ events: events.length });
  expect(await farm.store.unsentEvents(100)).toEqual(events);
  expect(await farm.store.farmEpoch()).toBeGreaterThan(1);
});

test("a version of a model that lacks chunks is told, keeps its alias, and is whole after another push", async () => {
  const farm = await freshFarm();
  const chunks = ["one", "two", "three"].map((text) => ({ sha256: sha256(text), bytes: 3 }));
  const digest = sha256("cog");
  const version = {
    ...{ name: "cog", version: digest.slice(0, 12), digest, label: "1", kind: "render" as const, weights: "real", farmJson: "{}" },
    ...{ files: [], sizeBytes: 9, shapes: [], chunks },
  };
  const push = async (): Promise<number> => {
    const begun = await farm.store.beginPush(version, "artist");
    for (const chunk of begun.missing) await farm.store.chunkStored(chunk);
    await farm.store.finishPush(version, "artist");
    return begun.missing.length;
  };
  expect(await push()).toBe(3);
  expect(await farm.store.moveAlias({ ...version, alias: "prod" }, "artist")).toBe(true);
  const lost = chunks.slice(0, 2).map((chunk) => chunk.sha256);
  const told = { modelCount: 1, models: [{ name: "cog", version: version.version, chunks: 2 }] };
  expect((await recover(farm.url, lost)).losses).toMatchObject(told);
  // Asked again, it is still so.
  expect((await recover(farm.url)).losses).toMatchObject(told);
  expect(await farm.sql("select alias from model_alias")).toEqual([{ alias: "prod" }]);
  expect(await push()).toBe(2);
  expect((await recover(farm.url)).losses).toMatchObject({ modelCount: 0, models: [] });
});

test("an orphan is deleted before it is put again, or not at all", async () => {
  const farm = await freshFarm();
  const database = await openRecovering(farm.url);
  closing.push(() => database.close());
  const orphan = { sha256: sha256("orphan"), sizeBytes: 3 };
  const upload = { ...orphan, mediaType: "image/png" };
  const order: string[] = [];
  let announced: Promise<void> | undefined;
  const isRemoved = await database.removeOrphan(orphan, async () => {
    announced = farm.store.announceUpload(upload).then(() => void order.push("announced"));
    await until("the announcement waits", async () => {
      const waiting = await farm.sql("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
      return waiting.length > 0;
    });
    order.push("deleted");
  });
  await announced;
  expect([isRemoved, order]).toEqual([true, ["deleted", "announced"]]);
  expect(await database.removeOrphan(orphan, () => Promise.reject(new FarmError("INTERNAL")))).toBe(false);
  expect(await database.removeOrphan({ sha256: sha256("other"), sizeBytes: 3 }, () => Promise.resolve())).toBe(true);
  expect(await farm.sql("select sha256, is_stored from artifact")).toEqual([{ sha256: orphan.sha256, is_stored: false }]);
});

test("nothing is recovered while coordinators are connected", async () => {
  const farm = await freshFarm();
  const database = await openRecovering(farm.url);
  closing.push(() => database.close());
  await database.requireAlone();
  const coordinator = openPool({ url: farm.url, applicationName: "vapfarm-coordinator-beats", connections: 1 });
  await coordinator.query("select 1");
  await expect(database.requireAlone()).rejects.toMatchObject({ code: "FARM_IN_USE" });
  await coordinator.end();
});

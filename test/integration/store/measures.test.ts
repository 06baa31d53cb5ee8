import { expect, test } from "vitest";
import type { Aftermath } from "../../../services/coordinator/store/store-contract.ts";
import { plantScoredRun, suiteDigits } from "../../support/planted-scores.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, job, submit, submitBatch, task } from "../../support/store-world.ts";
import { epochOf } from "../../support/store-duties.ts";

const world = useWorld();

type Reports = readonly { readonly kind: string; readonly aftermath?: Aftermath }[];
const retriedIn = (answers: Reports): unknown => answers.flatMap(({ aftermath }) => aftermath?.retried ?? []);

test("what is ready is counted by pool and class, with the time that it is expected to take and the age of the oldest", async () => {
  const { store, sql } = world();
  await submitBatch(store, [[task("a")], [task("b")]]);
  await submit(store, [task("c", { shape: "vae_decode/e1" })], { jobClass: "benchmark" });
  await submit(store, diamond("later"), { jobClass: "benchmark" });
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await sql("update ready set ready_at = now() - interval '90 s' where class_rank = 0");
  // 8 ms is what each attempt says that it computed; nothing is known of the other shape.
  const measures = [...(await store.readyMeasures())].sort((one, other) => (one.jobClass < other.jobClass ? 1 : -1));
  expect(measures).toEqual([
    { pool: "pool", jobClass: "production", count: 1, deviceMs: 8, oldestMs: expect.closeTo(90_000, -4) as number },
    { pool: "pool", jobClass: "benchmark", count: 3, deviceMs: 16, oldestMs: expect.any(Number) as number },
  ]);
});

test("open jobs are counted by class and state", async () => {
  const { store } = world();
  await submit(store, [task("a")]);
  await submit(store, [task("b")], { jobClass: "benchmark" });
  await store.cancelJob("local", await submit(store, [task("c")]));
  await createWorker(store).claim();
  expect(new Set(await store.jobMeasures())).toEqual(
    new Set([
      { jobClass: "production", state: "running", count: 1 },
      { jobClass: "benchmark", state: "queued", count: 1 },
    ]),
  );
});

test("workers are counted once each, by what they do; one that is gone for an hour, or has left, is not", async () => {
  const { store, sql } = world();
  await submitBatch(store, [[task("a")], [task("b")], [task("c")]]);
  const names = ["idle", "busy", "draining", "cordoned", "lapsed", "reaped", "gone", "left"];
  const workers = Object.fromEntries(names.map((name) => [name, createWorker(store, { name })]));
  for (const name of ["busy", "draining", "cordoned"]) await workers[name]?.claim();
  for (const worker of Object.values(workers)) await worker.next({ freeSlots: 0 });
  await workers["left"]?.next({ freeSlots: 0, leaving: true });
  await store.cordonWorker("cordoned", { reason: "", by: "test" });
  await store.drainWorker("draining", { reason: "", by: "test" }, 60_000);
  const lapse = (name: string, ago: string) =>
    sql("update session set lease_until = now() - $2::interval where worker_id = $1", [name, ago]);
  await lapse("lapsed", "1 s");
  await lapse("reaped", "1 minute");
  await lapse("gone", "2 hours");
  await sql("update session set is_live = false, end_reason = 'lapsed', ended_at = now() where worker_id = 'reaped'");
  const counts = Object.fromEntries((await store.fleetMeasures()).map(({ pool, state, count }) => [`${pool} ${state}`, count]));
  expect(counts).toEqual({ "pool idle": 1, "pool busy": 1, "pool draining": 1, "pool cordoned": 1, "pool lapsed": 2 });
});

test("a failure that is tried again is told once, with the class that it was charged as, and not when its report is repeated", async () => {
  const { store } = world();
  // Two renders of one job and another job want it: it is one task.
  await submitBatch(store, [[task("shared")], [task("shared")]]);
  await submit(store, [task("shared")]);
  const worker = createWorker(store);
  const claim = await worker.claim();
  expect(retriedIn(await worker.fail(claim, "RUNTIME_DIED"))).toEqual([{ errorClass: "unexplained", count: 1 }]);
  expect(retriedIn(await worker.fail(claim, "RUNTIME_DIED"))).toEqual([]);
});

test("a failure that is final, or whose task nobody wants any more, is no retry", async () => {
  const { store } = world();
  await submit(store, [task("final")]);
  const worker = createWorker(store);
  expect(retriedIn(await worker.fail(await worker.claim(), "STAGE_INPUT_INVALID"))).toEqual([]);
  const jobId = await submit(store, [task("unwanted")]);
  const claim = await worker.claim();
  await store.cancelJob("local", jobId);
  expect(retriedIn(await worker.fail(claim, "STAGE_FAILED"))).toEqual([]);
});

test("sessions that lapse let their tasks run again as unexplained", async () => {
  const { store, sql } = world();
  await submitBatch(store, [[task("a")], [task("b")]]);
  for (const name of ["w1", "w2"]) await createWorker(store, { name }).claim();
  await sql("update session set lease_until = now() - interval '1 s'");
  await sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");
  const { aftermath } = await store.reap(await epochOf(world(), "reaper"));
  expect(aftermath.retried).toEqual([{ errorClass: "unexplained", count: 2 }]);
});

test("tasks that a render finds done are told by stage, each once", async () => {
  const { store } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  await worker.succeed(await worker.claim());
  const prepared = { ...task("prepared"), stage: "prepare" as const };
  const outcome = await store.submitJob(job([...diamond(), prepared]));
  expect(outcome).toMatchObject({ kind: "stored", reused: [{ stage: "denoise", count: 2 }] });
  expect(await store.submitJob(job([task("new")]))).toMatchObject({ reused: [] });
});

test("of each suite, model and settings the scores of the newest finished run are told, as many as may be, without those that have no number", async () => {
  const { store, sql } = world();
  const long = "l".repeat(100);
  await plantScoredRun(sql, { runId: "old", suite: "s", model: "m", endedAt: "2026-01-01", value: 0.1 });
  await plantScoredRun(sql, { runId: "new", suite: "s", model: "m", endedAt: "2026-01-02", value: 0.2 });
  await plantScoredRun(sql, { runId: "trial", suite: "s", model: "m", endedAt: "2026-01-02T12:00Z", value: 0.1, steps: 1 });
  await plantScoredRun(sql, { runId: "other", suite: "s", model: "n", endedAt: "2026-01-03", value: 0.3 });
  await plantScoredRun(sql, { runId: "long", suite: long, model: "m", endedAt: "2026-01-04", value: null });
  const scored = (value: number) => [{ metric: "clip_score", aggregator: "video_mean", value }];
  const digits = suiteDigits("s");
  const [settings, trial] = ["steps 2, guidance 6, seeds 1", "steps 1, guidance 6, seeds 1"];
  expect(await store.newestScores(10)).toEqual([
    { suite: `${long.slice(0, 60)} ${suiteDigits(long)}`, model: "m", settings, endedAt: new Date("2026-01-04T00:00:00Z"), scores: [] },
    { suite: `s ${digits}`, model: "n", settings, endedAt: new Date("2026-01-03T00:00:00Z"), scores: scored(0.3) },
    { suite: `s ${digits}`, model: "m", settings: trial, endedAt: new Date("2026-01-02T12:00:00Z"), scores: scored(0.1) },
    { suite: `s ${digits}`, model: "m", settings, endedAt: new Date("2026-01-02T00:00:00Z"), scores: scored(0.2) },
  ]);
  expect((await store.newestScores(1)).map(({ model }) => model)).toEqual(["m"]);
});

test("connections are told by what they are for", async () => {
  const { store } = world();
  await store.ping();
  expect(store.connectionMeasures()).toEqual([
    { purpose: "main", idle: 1, busy: 0, waiting: 0 },
    { purpose: "beats", idle: 0, busy: 0, waiting: 0 },
  ]);
});

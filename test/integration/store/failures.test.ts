import { expect, test } from "vitest";
import { decideRetry, retryTable } from "../../../services/domain/retry.ts";
import { errorTable, type ErrorClass, type ErrorCode } from "../../../services/domain/errors.ts";
import { useWorld } from "../../support/store-suite.ts";
import {
  createWorker,
  diamond,
  failure,
  profile,
  sha256,
  submit,
  success,
  task,
  type Worker,
  type World,
} from "../../support/store-world.ts";

const world = useWorld();

/** Lets back-off end at once. */
const skipBackOff = async ({ sql, store }: World): Promise<void> => {
  await sql("update task set delayed_until = now() where state = 'delayed'");
  const duty = await store.holdDuty("promotion", "test", 60_000);
  await store.promoteDelayed(duty?.epoch ?? 0);
};

const codeOf = (wanted: ErrorClass): ErrorCode => {
  const found = (Object.keys(errorTable) as ErrorCode[]).find(
    (code) => errorTable[code].errorClass === wanted && code !== "STAGE_CANCELLED",
  );
  if (found === undefined) throw new TypeError(wanted);
  return found;
};

test.each(Object.keys(retryTable) as ErrorClass[])(
  "%s failures are charged and delayed exactly as the domain's table says",
  async (errorClass) => {
    const { store, sql } = world();
    const jobId = await submit(store, [task("only")]);
    const code = codeOf(errorClass);
    await createWorker(store, { name: "the largest", memoryBytes: 1e6 }).next({ freeSlots: 0, leaving: true });
    // An outage that the farm saw too.
    await sql("insert into canary (last_at, unbroken_since) values (now(), now() + interval '1 minute')");
    for (let failures = 1; failures <= 6; failures += 1) {
      const worker = createWorker(store, { name: `w${failures}`, memoryBytes: 1_000 * failures });
      await worker.fail(await worker.claim(), code);
      const decision = decideRetry(errorClass, failures, 0);
      const [row] = await sql<{ state: string; delay_ms: number | null; failure_code: string | null }>(
        "select state, failure_code, round(extract(epoch from delayed_until - now()) * 10)::float * 100 as delay_ms from task",
      );
      if (decision.kind === "fail") {
        expect(row).toEqual({ state: "failed", delay_ms: null, failure_code: decision.code ?? code });
        expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed", failure: { code: decision.code ?? code } });
        return;
      }
      if (decision.delayMs === 0) expect(row?.state).toBe("ready");
      else expect([row?.state, Math.abs((row?.delay_ms ?? 0) - decision.delayMs) < 400]).toEqual(["delayed", true]);
      await skipBackOff(world());
    }
    expect(retryTable[errorClass].failures).toBeUndefined();
  },
);

test("jitter shortens a wait by at most half", async () => {
  const { openAnother, sql, store } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(await openAnother({ jitter: () => 0.99 }));
  await worker.fail(await worker.claim(), "STAGE_FAILED");
  expect(await sql("select extract(epoch from delayed_until - now()) between 0.3 and 0.506 as is_soon from task")).toEqual([
    { is_soon: true },
  ]);
  expect(decideRetry("transient", 1, 0.99)).toEqual({ kind: "retry", delayMs: 505 });
});

test("an unexplained end sends the task to another worker while one lives that could take it", async () => {
  const { store } = world();
  await submit(store, [task("only")]);
  const [first, second] = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" })];
  const claim = await first.claim();
  await second.next({ freeSlots: 0 });
  await first.fail(claim, "RUNTIME_DIED");
  expect((await first.next()).claim).toBeUndefined();
  expect((await second.next()).claim).toMatchObject({ taskId: claim.taskId });
});

test("a worker that a task avoids gets it when no other live worker could run it", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const [first, second] = [createWorker(store, { name: "a" }), createWorker(store, { name: "b" })];
  await createWorker(store, { name: "c", shapes: ["vae_decode/e2"] }).next();
  const claim = await first.claim();
  await second.next({ freeSlots: 0 });
  await first.fail(claim, "RUNTIME_DIED");
  await sql("update session set lease_until = now() - interval '1 s' where id = $1", [second.sessionId]);
  expect((await first.next()).claim).toMatchObject({ taskId: claim.taskId });
});

test("three unexplained ends are suspected poison, and the job says what happened last", async () => {
  const { store } = world();
  const jobId = await submit(store, diamond(), { priority: 1 });
  const other = await submit(store, [task("unrelated")]);
  for (const name of ["a", "b", "c"]) {
    const worker = createWorker(store, { name });
    const claims = [await worker.claim(), ...(name === "a" ? [await worker.claim(), await worker.claim()] : [])];
    const [claim] = claims;
    if (claim !== undefined) await worker.fail(claim, "RUNTIME_DIED");
  }
  const done = await store.getJob("local", jobId);
  expect(done).toMatchObject({ state: "failed", failure: { code: "SUSPECTED_POISON" } });
  expect(done?.failure?.message).toContain("RUNTIME_DIED!");
  expect(done?.only?.tasks.map(({ state }) => state).sort()).toEqual(["cancelled", "cancelled", "failed", "running"]);
  expect((await store.listEvents(jobId, 0, 99)).at(-1)).toMatchObject({ kind: "job.failed", jobState: "failed", stage: "denoise" });
  expect(await store.getJob("local", other)).toMatchObject({ state: "running" });
});

test("a failed task fails every job that uses it and cancels only what nobody else wants", async () => {
  const { store } = world();
  const first = await submit(store, diamond());
  const second = await submit(store, diamond());
  const third = await submit(store, [task("right"), task("more", { after: ["right"] })]);
  const worker = createWorker(store);
  let claim = await worker.claim();
  while (JSON.stringify(claim.parameters).includes("right")) claim = await worker.claim();
  const [answer] = await worker.fail(claim, "STAGE_INPUT_INVALID");
  const touched = answer?.kind === "answered" ? answer.aftermath.touchedJobIds : [];
  expect([...touched].sort()).toEqual([first, second].sort());
  expect(await store.getJob("local", first)).toMatchObject({ state: "failed" });
  expect(await store.getJob("local", second)).toMatchObject({ state: "failed" });
  const kept = await store.getJob("local", third);
  expect(["queued", "running"]).toContain(kept?.state);
  expect(kept?.only?.tasks.map(({ state }) => state)).not.toContain("cancelled");
});

test("an input that is missing makes its producer run again, and then the task", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  const worker = createWorker(store);
  for (let done = 0; done < 2; done += 1) await worker.succeed(await worker.claim());
  const middle = await worker.claim();
  const [lost] = middle.inputs;
  const [answer] = await worker.fail(middle, "ARTIFACT_MISSING", [lost?.sha256 ?? ""]);
  expect(answer?.kind === "answered" && answer.aftermath.ready).toEqual([{ pool: "pool", shape: "denoise/e1", count: 1 }]);
  expect(await sql("select state, inputs_missing from task where id = $1", [middle.taskId])).toEqual([
    { state: "blocked", inputs_missing: 1 },
  ]);
  const producer = await worker.claim();
  expect(JSON.stringify(producer.parameters)).toContain(lost?.name);
  await worker.succeed(producer);
  for (let done = 0; done < 2; done += 1) await worker.succeed(await worker.claim());
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
});

test("an input that is found missing by the claim that came with its producer's report makes the producer run again at once", async () => {
  const { store, sql } = world();
  await submit(store, [task("root"), task("x", { after: ["root"] })]);
  const worker = createWorker(store);
  const root = await worker.claim();
  worker.held.delete(root.attemptId);
  const { claim } = await worker.next({ reports: [success(root)] });
  if (claim === undefined) throw new TypeError("the consumer was not claimed");
  await worker.fail(claim, "ARTIFACT_MISSING", [claim.inputs[0]?.sha256 ?? ""]);
  expect(await sql("select label, t.state from task t join task_user u on u.task_id = t.id order by label")).toEqual([
    { label: "root", state: "ready" },
    { label: "x", state: "blocked" },
  ]);
});

test("two tasks that miss the same input make its producer run once", async () => {
  const { store, sql } = world();
  await submit(store, [task("root"), task("x", { after: ["root"] }), task("y", { after: ["root"] })]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim());
  const [x, y] = [await worker.claim(), await worker.claim()];
  const bad = [x.inputs[0]?.sha256 ?? ""];
  await worker.fail(x, "ARTIFACT_CORRUPT", bad);
  const root = await worker.claim();
  await worker.succeed(root);
  await worker.fail(y, "ARTIFACT_CORRUPT", bad);
  expect(await sql("select label, t.state, attempt_count from task t join task_user u on u.task_id = t.id order by label")).toEqual([
    { label: "root", state: "succeeded", attempt_count: 2 },
    { label: "x", state: "ready", attempt_count: 1 },
    { label: "y", state: "ready", attempt_count: 1 },
  ]);
});

test("an upload that is missing fails the task, for nobody can make it again", async () => {
  const { store } = world();
  const upload = { sha256: sha256("image"), sizeBytes: 1, mediaType: "image/png" };
  await store.commitUpload({ ...upload, tenant: "local", kind: "image", width: 1, height: 1, frames: 1 });
  const jobId = await submit(store, [task("prepare", { uploads: [upload.sha256] })]);
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "ARTIFACT_MISSING", [upload.sha256]);
  expect(await store.getJob("local", jobId)).toMatchObject({ state: "failed", failure: { code: "ARTIFACT_MISSING" } });
  expect(await store.findUploads("local", [upload.sha256])).toEqual([]);
});

test("a success that lacks an output which something needs counts as a failure of the stage", async () => {
  const { store, sql } = world();
  await submit(store, [task("only", { artifacts: ["mp4"] })]);
  const worker = createWorker(store);
  await worker.succeed(await worker.claim(), ["out"]);
  expect(await sql("select state, failures from task")).toEqual([{ state: "delayed", failures: { transient: 1 } }]);
  expect(await sql("select error_message from attempt")).toEqual([{ error_message: "output mp4 is missing" }]);
});

test("an attempt given up by order is not charged", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const worker = createWorker(store);
  await worker.fail(await worker.claim(), "STAGE_CANCELLED");
  expect(await sql("select state, failures from task")).toEqual([{ state: "ready", failures: {} }]);
  expect(await sql("select state from attempt")).toEqual([{ state: "abandoned" }]);
});

test("a superseded report changes nothing but its usage row", async () => {
  const { store, sql } = world();
  const jobId = await submit(store, diamond());
  const slow: Worker = createWorker(store, { name: "slow" });
  const claim = await slow.claim();
  const quick = createWorker(store, { name: "slow" });
  const again = await quick.claim();
  const events = await store.listEvents(jobId, 0, 99);
  const snapshot = async (): Promise<unknown> => ({
    tasks: await sql("select id, state, current_attempt, inputs_missing, failures from task order by id"),
    outputs: await sql("select * from task_output"),
    artifacts: await sql("select sha256, is_stored from artifact"),
    attempts: await sql("select id, state, error_code from attempt order by id"),
  });
  const before = await snapshot();
  const late = { ...success(claim), outcome: { ...success(claim).outcome, profile: "stolen" } };
  const [answer] = await slow.report(late);
  expect(answer).toMatchObject({
    kind: "answered",
    reportOutcomes: [{ disposition: "superseded" }],
    aftermath: { ready: [], touchedJobIds: [] },
  });
  expect(await slow.report(failure(claim, "STAGE_FAILED"))).toMatchObject([{ reportOutcomes: [{ disposition: "superseded" }] }]);
  expect(await snapshot()).toEqual(before);
  expect(await store.listEvents(jobId, 0, 99)).toEqual(events);
  expect(await sql("select disposition, device_ms from usage")).toEqual([{ disposition: "superseded", device_ms: 10 }]);
  expect(again.attemptNumber).toBeGreaterThan(0);
  expect(profile).toBe("cpu;test");
});

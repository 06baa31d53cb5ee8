import { beforeEach, describe, expect, test } from "vitest";
import type { PreemptionPolicy } from "../../../services/domain/preemption.ts";
import type { ClaimView } from "../../../services/coordinator/store/store-contract.ts";
import { benchmark, eagerPolicy, preemptionIn } from "../../support/preemption-rounds.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, type Worker } from "../../support/store-world.ts";

const world = useWorld();
const note = { by: "ops", reason: "maintenance" };
let epoch = 0;

beforeEach(async () => {
  epoch = (await world().store.holdDuty("preemption", "test", 600_000))?.epoch ?? 0;
});

const { round, enqueue, computes, runs, rows, outcome, chosen, apply } = preemptionIn(world, () => epoch);

const nameOf = ({ parameters }: ClaimView): unknown => (parameters as { textEncode: { prompt: string } }).textEncode.prompt;

async function levelOf(worker: Worker, claim: ClaimView): Promise<string | undefined> {
  const [answer] = await worker.beat(claim, 11, { deviceMs: 600_000 });
  return answer?.kind === "answered" ? answer.levels[0]?.level : answer?.code;
}

describe("a run of a lower class", () => {
  test("is told to make way, its job hears of it, and its slot goes to the task that comes first, then to nobody in particular", async () => {
    const { store, sql } = world();
    const { jobId, worker, claim } = await runs("long");
    await enqueue("urgent");
    const told = await round();
    expect(told).toMatchObject({ opened: ["class"], closed: [], aftermath: { pushes: [{ workerId: "w1", level: "preempt" }] } });
    expect(await levelOf(worker, claim)).toBe("preempt");
    expect((await store.listEvents(jobId, 0, 9)).at(-1)).toMatchObject({
      kind: "task.preempted",
      workerName: "w1",
      message: "makes way for a task of class production and priority 0",
    });
    // Better than the beneficiary, and no reason to take its slot.
    await enqueue("later and higher", { priority: 100 });
    await worker.fail(claim, "STAGE_CANCELLED");
    const given = await worker.claim();
    expect(nameOf(given)).toBe("urgent");
    expect(await rows()).toEqual([{ outcome: "given", closed: true, reason: "class", made_way: true }]);
    await worker.succeed(given);
    expect(nameOf(await worker.claim())).toBe("later and higher");
    expect(await sql("select failures from task where current_attempt is null and state = 'ready'")).toEqual([{ failures: {} }]);
    expect(await round()).toMatchObject({ opened: [], closed: ["given"], stops: [{ level: "preempt" }] });
    expect(await round()).toMatchObject({ closed: [], stops: [] });
  });

  test("and the task that comes first are explained as that, and the job counts how often it made way", async () => {
    const { store } = world();
    const { jobId, worker, claim } = await runs("long");
    const urgent = await enqueue("urgent");
    await round();
    expect((await store.explainFacts(undefined, jobId, undefined))?.tasks).toMatchObject([{ makesWay: true, keptStep: 10 }]);
    expect((await store.explainFacts(undefined, urgent, undefined))?.tasks).toMatchObject([{ slotOn: "w1" }]);
    expect((await store.getJob("local", jobId))?.only?.tasks).toMatchObject([{ preemptions: 0 }]);
    await worker.fail(claim, "STAGE_CANCELLED");
    expect((await store.getJob("local", jobId))?.only?.tasks).toMatchObject([{ preemptions: 1 }]);
  });

  test("goes on from its checkpoint afterwards", async () => {
    const { worker, claim } = await runs("long");
    await enqueue("urgent");
    await round();
    const last = await worker.checkpoint(claim, 12);
    await worker.fail(claim, "STAGE_CANCELLED");
    await worker.succeed(await worker.claim());
    const again = await worker.claim();
    expect(again).toMatchObject({ taskId: claim.taskId, attemptNumber: 2 });
    expect(again.inputs.at(-1)).toMatchObject({ name: "checkpoint", sha256: last });
  });

  test("makes way three times and no more", async () => {
    const { worker, ...first } = await runs("long");
    let { claim } = first;
    for (const [index, name] of ["one", "two", "three"].entries()) {
      await enqueue(name, {}, "prepare/-");
      expect((await round()).opened).toEqual(["class"]);
      await worker.fail(claim, "STAGE_CANCELLED");
      await worker.succeed(await worker.claim());
      claim = await worker.claim();
      await computes(worker, claim, 20 + index);
    }
    await enqueue("four", {}, "prepare/-");
    expect((await round()).opened).toEqual([]);
    expect(await levelOf(worker, claim)).toBe("wanted");
  });

  test.each<[string, Partial<PreemptionPolicy>]>([
    ["has run for less than minRun", { minRunMs: 600_001 }],
    ["waits for less than the grace", { graceMs: 60_000 }],
    ["may not be preempted at all", { mostOpen: 0 }],
  ])("is left alone when it, or the task, %s", async (_what, rules) => {
    await runs("long");
    await enqueue("urgent");
    expect((await round(rules)).opened).toEqual([]);
    expect((await round()).opened).toEqual(["class"]);
  });

  test("is left alone before it told a checkpoint, and where the task could not run or is held", async () => {
    const { store } = world();
    await enqueue("long", benchmark);
    const worker = createWorker(store);
    const claim = await worker.claim();
    await worker.beat(claim, 10, { deviceMs: 600_000 });
    await enqueue("urgent", { tenant: "other" });
    expect((await round()).opened).toEqual([]);
    await computes(worker, claim);
    await store.placeHold({ scope: "tenant", name: "other" }, note);
    expect((await round()).opened).toEqual([]);
    await store.releaseHold({ scope: "tenant", name: "other" });
    await store.cordonWorker("w1", note);
    expect((await round()).opened).toEqual([]);
    await store.uncordonWorker("w1");
    expect((await round()).opened).toEqual(["class"]);
  });

  test("is left alone while another worker is free for the task; of several that wait, each gets a slot of its own", async () => {
    const { store } = world();
    await runs("long");
    await runs("longer", benchmark, { name: "w2" });
    const idle = createWorker(store, { name: "w3" });
    await idle.next();
    await enqueue("urgent");
    expect((await round()).opened).toEqual([]);
    await idle.claim();
    await enqueue("urgent too");
    await enqueue("urgent as well");
    await enqueue("urgent besides");
    expect((await round({ mostOpen: 1 })).opened).toEqual(["class"]);
    expect((await round()).opened).toEqual(["class"]);
    expect((await round()).opened).toEqual([]);
  });
});

test("a priority goes first by the margin, and a deadline only where it is asked for", async () => {
  const { sql } = world();
  await runs("long", { priority: 5 });
  await sql(
    "insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, state, ended_at, compute_ms) select id, 9, shape, 's', 'w', 'w', 'succeeded', now(), 900000 from task",
  );
  await enqueue("higher", { priority: 14 });
  expect((await round()).opened).toEqual([]);
  await enqueue("highest", { priority: 15 });
  expect((await round()).opened).toEqual(["priority"]);
  await sql("delete from preemption");
  await sql("delete from ready");
  const inTime = new Date(Date.now() + 1_000_000);
  await enqueue("due", { priority: 5, deadline: inTime });
  expect((await round()).opened).toEqual([]);
  expect((await round({ deadlines: true })).opened).toEqual(["deadline"]);
});

describe("a preemption that nobody needs any more", () => {
  test("is over when another worker takes the task: the run goes on if it has not stopped", async () => {
    const { store } = world();
    const { worker, claim } = await runs("long");
    await enqueue("urgent");
    await round();
    await createWorker(store, { name: "w2" }).claim();
    expect(await levelOf(worker, claim)).toBe("wanted");
    expect(await outcome()).toBe("elsewhere");
    expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
  });

  test("is over when the run's worker had been promised the task, and a free one takes it: the run goes on if it has not stopped", async () => {
    const { store, sql } = world();
    const { worker, claim } = await runs("long");
    await enqueue("urgent");
    await round();
    const promised = await worker.next({ freeSlots: 0, aheadSlots: 1 });
    expect(promised.claim).toMatchObject({ isReserved: true });
    expect(await levelOf(worker, claim)).toBe("preempt");
    await sql("update attempt set started_at = started_at - interval '1 s' where began_at is null");
    expect(nameOf(await createWorker(store, { name: "w2" }).claim())).toBe("urgent");
    expect(await levelOf(worker, claim)).toBe("wanted");
    expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
  });

  test("is over when the task is cancelled", async () => {
    const { store } = world();
    const { worker, claim } = await runs("long");
    const urgent = await enqueue("urgent");
    await round();
    await store.cancelJob("local", urgent);
    expect(await levelOf(worker, claim)).toBe("wanted");
    expect(await outcome()).toBe("unneeded");
  });

  test.each<[string, (jobId: string) => Promise<unknown>]>([
    ["is held", () => world().store.placeHold({ scope: "pool", name: "pool" }, note)],
    ["does not come first any more", (jobId) => world().store.updateJob("local", jobId, { priority: 0 })],
    ["may not run there any more", () => world().store.cordonWorker("w1", note)],
  ])("is withdrawn when the task %s", async (_what, change) => {
    const { worker, claim } = await runs("long", {});
    const urgent = await enqueue("urgent", { priority: 50 });
    expect((await round()).opened).toEqual(["priority"]);
    await change(urgent);
    expect(await outcome()).toBe("withdrawn");
    expect(await levelOf(worker, claim)).toBe("wanted");
  });

  test("is over when the slot was kept for long enough, or its worker is gone", async () => {
    const { sql } = world();
    const { worker, claim } = await runs("long");
    await enqueue("urgent");
    await round();
    await worker.fail(claim, "STAGE_CANCELLED");
    expect(await outcome()).toBe(null);
    await sql("update attempt set ended_at = ended_at - interval '61 s' where ended_at is not null");
    expect(await outcome()).toBe("expired");
  });

  test("is over when the worker is gone, and its run is tried again as lost", async () => {
    const { worker } = await runs("long");
    await enqueue("urgent");
    await round();
    await worker.next({ freeSlots: 0, leaving: true });
    expect(await outcome()).toBe("worker_gone");
    expect(await rows()).toMatchObject([{ made_way: true }]);
  });
});

describe("a race", () => {
  test("with the run's own success is lost by the preemption: the result counts, and the slot is the task's", async () => {
    const { store } = world();
    const { jobId, worker, claim } = await runs("long");
    await enqueue("urgent");
    await round();
    await enqueue("later and higher", { priority: 100 });
    expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
    expect(nameOf(await worker.claim())).toBe("urgent");
    expect(await rows()).toMatchObject([{ outcome: "given", made_way: false }]);
    expect((await round()).stops).toEqual([]);
  });

  test("with another coordinator opens one preemption", async () => {
    const { openAnother } = world();
    const another = await openAnother();
    await runs("long");
    await enqueue("urgent");
    const both = await Promise.all([round(), another.preempt(epoch, eagerPolicy), round()]);
    expect(both.flatMap(({ opened }) => opened)).toEqual(["class"]);
    expect(await rows()).toHaveLength(1);
  });

  test("for the duty is lost by who held it before: nothing is opened or closed", async () => {
    const { store, sql } = world();
    await runs("long");
    await enqueue("urgent");
    await sql("update duty set until = now() where name = 'preemption'");
    const next = await store.holdDuty("preemption", "other", 60_000);
    expect(await round()).toMatchObject({ opened: [], closed: [], aftermath: { pushes: [] } });
    expect(await rows()).toEqual([]);
    expect((await store.preempt(next?.epoch ?? 0, eagerPolicy)).opened).toEqual(["class"]);
  });

  const madeWay = `insert into preemption (attempt_id, task_id, beneficiary_id, worker_id, pool, reason, closed_at, outcome, made_way_at)
    select a.id, a.task_id, q.task_id, 'w1', 'pool', 'priority', now(), 'expired', now() from attempt a, ready q, generate_series(1, 3)`;

  test.each<[string, readonly string[], (victim: string, beneficiary: string) => Promise<unknown>]>([
    ["is won when nothing changed", ["priority"], () => Promise.resolve()],
    ["is lost when nobody wants the run", [], (victim) => world().store.cancelJob("local", victim)],
    ["is lost when the task is cancelled", [], (_victim, beneficiary) => world().store.cancelJob("local", beneficiary)],
    [
      "is lost when the task comes first no more",
      [],
      (_victim, beneficiary) => world().store.updateJob("local", beneficiary, { priority: 1 }),
    ],
    ["is lost when the run's task comes as early", [], (victim) => world().store.updateJob("local", victim, { priority: 45 })],
    ["is lost when its worker is drained", [], () => world().store.drainWorker("w1", note, 0)],
    ["is lost when the run ended", [], () => world().sql("update session set is_live = false, end_reason = 'lapsed', ended_at = now()")],
    ["is lost when it has no checkpoint", [], () => world().sql("delete from task_checkpoint")],
    ["is lost when it has run for less than minRun", [], () => world().sql("update attempt set device_ms = 999")],
    ["is lost when it has made way as often as it may", [], () => world().sql(madeWay)],
  ])("with what changed since the snapshot %s", async (_what, opened, change) => {
    const { jobId, claim } = await runs("long", {});
    const urgent = await enqueue("urgent", { priority: 50 });
    const choice = await chosen(claim);
    await change(jobId, urgent);
    expect(await apply(choice)).toEqual(opened);
  });
});

test("a slot is kept for nobody whose tenant runs as much as it may meanwhile", async () => {
  const { store } = world();
  const { worker, claim } = await runs("long");
  await store.setTenantLimit("other", { weight: 1, maxRunning: 1, maxWaiting: undefined });
  await enqueue("urgent", { tenant: "other" });
  expect((await round()).opened).toEqual(["class"]);
  await enqueue("second", { tenant: "other" }, "prepare/-");
  expect(nameOf(await createWorker(store, { name: "w2", shapes: ["prepare/-"] }).claim())).toBe("second");
  await worker.fail(claim, "STAGE_CANCELLED");
  expect(nameOf(await worker.claim())).toBe("long");
  expect(await outcome()).toBe("withdrawn");
});

test("a denoise without a checkpoint makes way for nobody, however young", async () => {
  const { sql } = world();
  const { claim } = await runs("long", {});
  await sql("delete from task_checkpoint");
  await enqueue("urgent", { priority: 50 });
  await sql("update task set stage = 'denoise' where id = $1", [claim.taskId]);
  const choice = { ...(await chosen(claim)), losesAll: true };
  expect(await apply(choice)).toEqual([]);
  await sql("update task set stage = 'vae_decode' where id = $1", [claim.taskId]);
  expect(await apply(choice)).toEqual(["priority"]);
});

test("how long stops took is counted once each, by what asked for them", async () => {
  const { store, sql } = world();
  const cancelled = await runs("unwanted", {});
  await store.cancelJob("local", cancelled.jobId);
  await sql("update render set ended_at = ended_at - interval '2 s' where ended_at is not null");
  await cancelled.worker.fail(cancelled.claim, "STAGE_CANCELLED");
  const drained = await runs("drained", {}, { name: "w2" });
  await store.drainWorker("w2", note, 0);
  await drained.worker.fail(drained.claim, "STAGE_CANCELLED");
  const failed = await runs("failed", {}, { name: "w3" });
  await failed.worker.fail(failed.claim, "STAGE_FAILED");
  const { stops } = await round();
  expect(stops.map(({ level }) => level).sort()).toEqual(["drain", "unwanted"]);
  const took = stops.find(({ level }) => level === "unwanted")?.tookMs ?? 0;
  expect(took).toBeGreaterThanOrEqual(2_000);
  expect((await round()).stops).toEqual([]);
});

import { describe, expect, test } from "vitest";
import type { SetBudget, Store } from "../../../services/coordinator/store/store-contract.ts";
import type { BudgetDecision } from "../../../services/domain/budget.ts";
import { budgetRound, epochOf } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, submitBatch, success, task, type Worker } from "../../support/store-world.ts";

const world = useWorld();
const euro = 1_000_000_000n;
const second = 1_000_000n;
const note = { by: "ops", reason: "maintenance" };

const limit = (overrides: Partial<SetBudget> = {}): SetBudget => ({
  ...{
    tenant: "local",
    jobId: undefined,
    unit: "gpu_time",
    period: "total",
    action: "stop",
    allowed: 10n * second,
    currency: "",
    reason: "",
  },
  ...overrides,
});

/** Claims and ends one task that took so long. */
async function spend(worker: Worker, deviceMs: number): Promise<void> {
  await worker.report({ ...success(await worker.claim()), deviceMs });
}

/** Stops a job, whatever its budgets are. */
const stopOf = (jobId: string): BudgetDecision => ({
  ...{ seen: [], levels: [], holds: [], releases: [], resumes: [], cancels: [], notices: [] },
  stops: [{ jobId, reason: "spent" }],
});

const isClaimed = async (): Promise<boolean> => {
  const worker = createWorker(world().store);
  const { claim } = await worker.next();
  if (claim !== undefined) await worker.next({ leaving: true, freeSlots: 0, heldAttemptIds: [] });
  return claim !== undefined;
};

const eventsOf = async (store: Store, jobId: string): Promise<readonly string[]> =>
  (await store.listEvents(jobId, 0, 100)).filter(({ kind }) => kind.startsWith("job.")).map(({ kind }) => kind);

describe("a tenant's budget", () => {
  test("warns at four fifths and stops what is not running; raised, it lets go on what it stopped", async () => {
    const { store } = world();
    const jobId = await submit(
      store,
      ["a", "b", "c", "d"].map((name) => task(name)),
      { priority: 1 },
    );
    const other = await submit(store, [task("other", { domain: "o" })], { tenant: "other" });
    await store.setBudget(limit(), "ops");
    const worker = createWorker(store);
    await spend(worker, 8_000);
    expect(await budgetRound(world())).toMatchObject({ touchedJobIds: [jobId] });
    expect(await store.listBudgets("local")).toMatchObject([{ level: "warned", spent: 8n * second }]);
    const running = await worker.claim();
    await worker.beat(running, 1, { deviceMs: 2_500 });
    await budgetRound(world());
    expect(await store.listBudgets(undefined)).toMatchObject([{ level: "reached", spent: 10n * second + second / 2n }]);
    expect(await store.listHolds()).toMatchObject([{ scope: "tenant", name: "local", origin: "budget" }]);
    expect(await worker.report({ ...success(running), deviceMs: 3_000 })).toMatchObject([
      { reportOutcomes: [{ disposition: "committed" }] },
    ]);
    await spend(worker, 1);
    expect(await store.getJob("other", other)).toMatchObject({ state: "succeeded" });
    expect(await isClaimed()).toBe(false);
    expect(await eventsOf(store, jobId)).toEqual(["job.submitted", "job.budget_warned", "job.budget_reached"]);
    expect(await store.usedUpBudget("local")).toMatchObject({ tenant: "local", spent: 11n * second });
    expect(await store.usedUpBudget("other")).toBeUndefined();
    expect(await budgetRound(world())).toBeUndefined();
    await store.setBudget(limit({ allowed: 100n * second }), "ops");
    expect(await budgetRound(world())).toMatchObject({ ready: [{ pool: "pool", shape: "denoise/e1", count: 2 }] });
    expect(await store.usedUpBudget("local")).toBeUndefined();
    expect(await isClaimed()).toBe(true);
  });

  test("in money counts at the prices of the time", async () => {
    const { store } = world();
    await submit(store, [task("a"), task("b"), task("c")]);
    await store.setPrice({ pool: "pool", nanosPerHour: 36n * euro, currency: "EUR", validFrom: undefined }, "ops");
    expect(await store.setBudget(limit({ unit: "money", allowed: euro, currency: "USD" }), "ops")).toEqual({
      kind: "currency",
      currency: "EUR",
    });
    await store.setBudget(limit({ unit: "money", allowed: euro, currency: "EUR" }), "ops");
    const worker = createWorker(store);
    await spend(worker, 90_000);
    await budgetRound(world());
    expect(await store.listBudgets(undefined)).toMatchObject([{ level: "warned", spent: (euro * 9n) / 10n }]);
    await spend(worker, 10_000);
    await budgetRound(world());
    expect((await worker.next()).claim).toBeUndefined();
  });

  test("never releases a person's hold, and a person does not release the budget's", async () => {
    const { store } = world();
    await submit(store, [task("only")]);
    await store.placeHold({ scope: "tenant", name: "local" }, note);
    await store.setBudget(limit({ allowed: 0n }), "ops");
    await budgetRound(world());
    expect((await store.listHolds()).map(({ origin, reason }) => [origin, reason])).toEqual([
      ["operator", "maintenance"],
      ["budget", "tenant local has spent 0 GPU-seconds of 0 GPU-seconds in all"],
    ]);
    expect(await store.releaseHold({ scope: "tenant", name: "local" })).toMatchObject({ ready: [] });
    expect(await store.releaseHold({ scope: "tenant", name: "local" })).toBeUndefined();
    expect(await isClaimed()).toBe(false);
    await store.placeHold({ scope: "tenant", name: "local" }, note);
    expect(await store.deleteBudget({ tenant: "local", jobId: undefined, unit: "gpu_time", period: "total" })).toBe(true);
    expect(await store.deleteBudget({ tenant: "local", jobId: undefined, unit: "gpu_time", period: "total" })).toBe(false);
    await budgetRound(world());
    expect((await store.listHolds()).map(({ origin }) => origin)).toEqual(["operator"]);
    expect(await isClaimed()).toBe(false);
  });

  test("of a month begins anew with the next one; one over all time does not", async () => {
    const { store, sql } = world();
    await submit(store, [task("a"), task("b")]);
    await store.setBudget(limit({ period: "month" }), "ops");
    await store.setBudget(limit({ allowed: 20n * second }), "ops");
    await spend(createWorker(store), 12_000);
    await budgetRound(world());
    expect(await isClaimed()).toBe(false);
    await sql("update usage_total set month = month - interval '1 month'");
    await sql("update budget set level_month = level_month - interval '1 month' where period = 'month'");
    expect(await store.usedUpBudget("local")).toBeUndefined();
    await budgetRound(world());
    expect((await store.listBudgets("local")).map(({ period, spent, level }) => [period, spent, level])).toEqual([
      ["month", 0n, "open"],
      ["total", 12n * second, "open"],
    ]);
    expect(await isClaimed()).toBe(true);
  });

  test("that cancels ends the open jobs, which say so, also those that come while it is used up", async () => {
    const { store, sql } = world();
    const jobId = await submit(store, [task("a"), task("b")]);
    await store.setBudget(limit({ action: "cancel" }), "ops");
    const worker = createWorker(store);
    await spend(worker, 9_000);
    const running = await worker.claim();
    const [{ id } = { id: "" }] = await sql<{ id: string }>("select id from attempt where state = 'running'");
    await worker.beat(running, 1, { deviceMs: 1_500 });
    const message = "tenant local has spent 10.5 GPU-seconds of 10 GPU-seconds in all";
    expect(await budgetRound(world())).toMatchObject({ pushes: [{ attemptId: id, level: "unwanted" }] });
    expect(await store.getJob("local", jobId)).toMatchObject({
      state: "cancelled",
      failure: { code: "BUDGET_USED_UP", message, stage: "" },
      renderCounts: { cancelled: 1 },
    });
    expect((await store.listEvents(jobId, 0, 100)).slice(-2)).toMatchObject([
      { kind: "job.over_budget", message },
      { kind: "job.cancelled" },
    ]);
    const late = await submit(store, [task("late")]);
    await budgetRound(world());
    expect(await store.getJob("local", late)).toMatchObject({ state: "cancelled", failure: { code: "BUDGET_USED_UP" } });
    await store.setBudget(limit({ action: "cancel", allowed: 99n * second }), "ops");
    await budgetRound(world());
    expect(await store.retryJob("local", late)).toMatchObject({ kind: "retried", job: { state: "queued", failure: undefined } });
  });
});

describe("a job's budget", () => {
  test("stops the job alone, its shared tasks go on for others, and the sweep finds nothing amiss", async () => {
    const { store, sql } = world();
    const jobId = await submit(store, [task("shared"), task("own"), task("after", { after: ["own"] })], { priority: 5 });
    await store.setBudget(limit({ jobId, tenant: "", allowed: 0n }), "ops");
    await budgetRound(world());
    expect(await store.listHolds()).toEqual([]);
    expect(await isClaimed()).toBe(false);
    expect(await store.explainFacts("local", jobId, undefined)).toMatchObject({
      tasks: [{ overBudget: "the job has spent 0 GPU-seconds of 0 GPU-seconds" }, {}, {}],
    });
    const other = await submit(store, [task("shared")]);
    const worker = createWorker(store);
    expect((await worker.claim()).parameters).toMatchObject({ textEncode: { prompt: "shared" } });
    await store.cancelJob("local", other);
    await worker.next({ leaving: true, heldAttemptIds: [], freeSlots: 0 });
    expect(await isClaimed()).toBe(false);
    await store.updateJob("local", jobId, { priority: 50 });
    expect(await isClaimed()).toBe(false);
    expect(await store.sweep(await epochOf(world(), "sweep"))).toMatchObject({ repaired: 0 });
    expect(await store.usedUpBudget("local")).toBeUndefined();
    expect(await store.usedUpBudget("local", jobId)).toMatchObject({ jobId });
    await store.deleteBudget({ tenant: undefined, jobId, unit: "gpu_time", period: "total" });
    expect(await budgetRound(world())).toMatchObject({ ready: [{ count: 2 }] });
    expect(await sql("select 1 from ready")).toHaveLength(2);
    expect(await isClaimed()).toBe(true);
  });

  test("counts its part of what it shares", async () => {
    const { store } = world();
    const jobId = await submit(store, [task("shared")], { jobId: "j1" });
    await submit(store, [task("shared")], { jobId: "j2" });
    await store.setBudget(limit({ jobId, tenant: "", allowed: 7n * second }), "ops");
    const worker = createWorker(store);
    const claim = await worker.claim();
    await worker.beat(claim, 1, { deviceMs: 8_000 });
    expect(await store.listBudgets("local")).toMatchObject([{ spent: 4n * second }]);
    await worker.report({ ...success(claim), deviceMs: 10_000 });
    await budgetRound(world());
    expect(await store.listBudgets("local")).toMatchObject([{ jobId, tenant: "local", spent: 5n * second, level: "open" }]);
  });

  test("is refused for a job that there is not, and goes with what it stopped when the job ends", async () => {
    const { store, sql } = world();
    expect(await store.setBudget(limit({ jobId: "nothing", tenant: "" }), "ops")).toEqual({ kind: "unknown" });
    const jobId = await submit(store, [task("only")]);
    await store.setBudget(limit({ jobId, tenant: "", allowed: 0n }), "ops");
    await budgetRound(world());
    await store.cancelJob("local", jobId);
    await budgetRound(world());
    expect(await sql("select 1 from job_stop")).toEqual([]);
    expect(await budgetRound(world())).toBeUndefined();
  });
});

describe("a decision", () => {
  test("about a budget that has changed since does nothing", async () => {
    const { store } = world();
    const jobId = await submit(store, [task("only")]);
    await store.setBudget(limit({ allowed: 0n, action: "cancel" }), "ops");
    const { budgets, month } = await store.budgetSnapshot();
    const decision = {
      ...{ levels: [{ id: budgets[0]?.id ?? "", level: "reached" as const, month }], holds: [], releases: [], stops: [], resumes: [] },
      ...{ seen: budgets.map(({ id, version }) => ({ id, version })), cancels: [{ jobId, message: "spent" }], notices: [] },
    };
    await store.setBudget(limit({ allowed: 5n * second, action: "cancel" }), "ops");
    const epoch = await epochOf(world(), "budgets");
    await store.applyBudgets(epoch, decision);
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "queued" });
    expect(await store.listBudgets(undefined)).toMatchObject([{ level: "open" }]);
  });

  test("under an epoch that is over does nothing, and totals stay as they are", async () => {
    const { store, sql } = world();
    await submit(store, [task("only")]);
    await spend(createWorker(store), 5);
    await epochOf(world(), "budgets");
    expect(await store.totalUsage(99)).toBe(0);
    expect(await sql("select 1 from usage_total")).toEqual([]);
    expect(await sql("select 1 from usage_due")).toHaveLength(1);
  });

  test("holds its tenant only after the claims that have begun", async () => {
    const { store, pool, sql } = world();
    await submit(store, [task("a")]);
    await store.setBudget(limit({ allowed: 0n }), "ops");
    const claiming = await pool.connect();
    await claiming.query("begin");
    await claiming.query("select pg_advisory_xact_lock_shared(vf_steering())");
    const holding = budgetRound(world());
    await expect.poll(async () => sql("select 1 from pg_locks where not granted"), { timeout: 20_000 }).not.toEqual([]);
    expect(await store.listHolds()).toEqual([]);
    await claiming.query("commit");
    claiming.release();
    await holding;
    expect(await store.listHolds()).toHaveLength(1);
  });

  test("lets a stop and a task that becomes ready in between miss nothing", async () => {
    const { store, pool, sql } = world();
    const jobId = await submit(store, [task("first"), task("then", { after: ["first"] })]);
    await store.setBudget(limit({ jobId, tenant: "", allowed: 0n }), "ops");
    const worker = createWorker(store);
    const claim = await worker.claim();
    await budgetRound(world());
    const reporting = await pool.connect();
    await reporting.query("begin");
    await reporting.query("select id from task order by id for no key update");
    await reporting.query("update task set state = 'ready', inputs_missing = 0 where state = 'blocked'");
    await reporting.query("select vf_rank_all(array(select id from task where state = 'ready'))");
    await store.deleteBudget({ tenant: undefined, jobId, unit: "gpu_time", period: "total" });
    const resuming = budgetRound(world());
    await expect.poll(async () => sql("select 1 from pg_locks where not granted"), { timeout: 20_000 }).not.toEqual([]);
    await reporting.query("commit");
    reporting.release();
    await resuming;
    expect(await sql("select 1 from ready")).toHaveLength(1);
    expect(claim.attemptNumber).toBe(1);
  });

  test("lets a stop and a retry that comes in between miss nothing", async () => {
    const { store, pool, sql } = world();
    const jobId = await submitBatch(store, [[task("kept")], [task("again"), task("then", { after: ["again"] })]]);
    await store.cancelJob("local", jobId, 1);
    const retrying = await pool.connect();
    await retrying.query("begin");
    await retrying.query("select vf_retry(null, $1, 1, $2)", [jobId, { most: 9, atOnce: 9, openRenders: 9 }]);
    let isStopped = false;
    const stopping = store.applyBudgets(await epochOf(world(), "budgets"), stopOf(jobId)).then(() => (isStopped = true));
    const isWaiting = async () => isStopped || (await sql("select 1 from pg_locks where not granted")).length > 0;
    await expect.poll(isWaiting, { timeout: 20_000 }).toBe(true);
    await retrying.query("commit");
    retrying.release();
    await stopping;
    expect(await sql("select state from task where not is_retired order by id")).toMatchObject([{}, { state: "ready" }, {}]);
    expect(await sql("select 1 from ready")).toEqual([]);
    expect(await isClaimed()).toBe(false);
  });

  test("that missed what is ready is made good by the sweep", async () => {
    const { store, sql } = world();
    const jobId = await submit(store, [task("only"), task("shared")]);
    const other = await submit(store, [task("shared")]);
    await sql("insert into job_stop (job_id, reason) values ($1, 'spent')", [jobId]);
    const epoch = await epochOf(world(), "sweep");
    expect(await store.sweep(epoch)).toMatchObject({ repaired: 1 });
    expect(await sql("select t.parameters #>> '{textEncode,prompt}' as prompt from ready q join task t on t.id = q.task_id")).toEqual([
      { prompt: "shared" },
    ]);
    await store.cancelJob("local", other);
    expect(await store.sweep(epoch)).toMatchObject({ repaired: 0 });
    expect(await isClaimed()).toBe(false);
  });
});

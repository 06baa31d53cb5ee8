import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  BudgetAction,
  BudgetLevel,
  BudgetPeriod,
  BudgetScope,
  BudgetUnit,
  DeleteBudgetRequest,
  ListBudgetsRequest,
  ListPricesRequest,
  SetBudgetRequest,
  SetPriceRequest,
} from "../../../services/gen/proto/vapfarm/v1/books.ts";
import {
  ExplainJobRequest,
  type FarmServiceClient,
  GetJobRequest,
  JobState,
  RetryJobRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { ConstraintKind, GetUsageRequest, UsageKey } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { type Labels, scrape, valueIn } from "../../support/exposition.ts";
import { call, refusalOf, renderRequest, submit } from "../../support/farm-calls.ts";
import { claimOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";

const tokens = { member: "m".repeat(16), admin: "a".repeat(16), other: "o".repeat(16) };
const callers = [
  { token: tokens.member, tenant: "one", role: "member" },
  { token: tokens.admin, tenant: "ops", role: "admin" },
  { token: tokens.other, tenant: "two", role: "member" },
];
const as = (name: keyof typeof tokens) => ({ authorization: `Bearer ${tokens[name]}` });
const patience = { timeout: 30_000, interval: 50 };
const image = { sha256: "", inline: Buffer.from("IMAGE"), uri: "" };
const references = [{ sha256: "", inline: Buffer.from("CLIP 40"), uri: "" }];
const request = (prompt: string) => renderRequest({ image: "", clip: "" }, { image, references, prompt });
const euros = (units: bigint, nanos = 0) => ({ currencyCode: "EUR", units, nanos });

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let worker: PlayedWorker;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start({
    environment: { VAPFARM_CALLERS: JSON.stringify(callers) },
    timings: { budgetMs: 50, booksMs: 50, sampleMs: 50 },
  });
  ({ client } = running);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

const setBudget = (change: Partial<SetBudgetRequest>, who: keyof typeof tokens = "admin") =>
  call(client.setBudget.bind(client), SetBudgetRequest.create({ scope: BudgetScope.BUDGET_SCOPE_TENANT, name: "one", ...change }), as(who));
const deleteBudget = (change: Partial<DeleteBudgetRequest>) =>
  call(client.deleteBudget.bind(client), DeleteBudgetRequest.create(change), as("admin"));
const budgetsSeenBy = async (who: keyof typeof tokens, tenant = "") =>
  (await call(client.listBudgets.bind(client), ListBudgetsRequest.create({ tenant }), as(who))).budgets;
const setPrice = (change: Partial<SetPriceRequest>) =>
  call(client.setPrice.bind(client), SetPriceRequest.create({ pool: "test", ...change }), as("admin"));
const seconds = (value: number) => ({ $case: "gpuSeconds", value }) as const;
const fieldsOf = async (asked: Promise<unknown>) => (await refusalOf(asked)).details.fields?.map(({ field }) => field);

async function metric(name: string, labels: Labels = {}): Promise<number | undefined> {
  return valueIn(await scrape(running.coordinator.httpAddress()), name, labels);
}

describe("prices", () => {
  it("are set by an admin and listed by everybody; what is wrong is named", async () => {
    const { price } = await setPrice({ perHour: euros(3_600n) });
    expect(price).toMatchObject({ pool: "test", perHour: euros(3_600n), setBy: "ops" });
    const { prices } = await call(client.listPrices.bind(client), ListPricesRequest.create(), as("member"));
    expect(prices).toEqual([price]);
    expect(await fieldsOf(setPrice({ pool: "none", perHour: { currencyCode: "euro", units: 1n, nanos: -1 } }))).toEqual([
      "pool",
      "per_hour.currency_code",
      "per_hour.nanos",
    ]);
    expect(await fieldsOf(setPrice({ perHour: euros(1_000_001n) }))).toEqual(["per_hour.units"]);
    expect(await fieldsOf(setPrice({ perHour: { ...euros(1n), currencyCode: "USD" } }))).toEqual(["per_hour.currency_code"]);
    expect(await fieldsOf(setPrice({ perHour: euros(1n), startTime: new Date(Date.now() - 60_000) }))).toEqual(["start_time"]);
  });
});

describe("budgets", () => {
  it("are seen by their tenant and by an admin; what is wrong with one is named", async () => {
    const { budget } = await setBudget({
      limit: { $case: "money", value: euros(5n, 500_000_000) },
      period: BudgetPeriod.BUDGET_PERIOD_MONTH,
    });
    expect(budget).toMatchObject({
      name: "one",
      limit: { $case: "money", value: euros(5n, 500_000_000) },
      spent: { $case: "spentMoney", value: euros(0n) },
      action: BudgetAction.BUDGET_ACTION_STOP,
      level: BudgetLevel.BUDGET_LEVEL_OPEN,
    });
    expect([await budgetsSeenBy("member"), await budgetsSeenBy("other"), await budgetsSeenBy("admin")]).toEqual([[budget], [], [budget]]);
    expect((await refusalOf(budgetsSeenBy("other", "one"))).code).toBe("CALLER_NOT_ALLOWED");
    expect(await fieldsOf(setBudget({ scope: 0, period: 99 as BudgetPeriod, action: 99 as BudgetAction }))).toEqual([
      "scope",
      "limit",
      "period",
      "action",
    ]);
    expect(await fieldsOf(setBudget({ name: "", limit: seconds(-1) }))).toEqual(["name", "gpu_seconds"]);
    expect(await fieldsOf(setBudget({ limit: seconds(Number.NaN) }))).toEqual(["gpu_seconds"]);
    const ofJob = { scope: BudgetScope.BUDGET_SCOPE_JOB, name: "0b54ce1c-0000-4000-8000-000000000001", limit: seconds(1) };
    expect(await fieldsOf(setBudget({ ...ofJob, period: BudgetPeriod.BUDGET_PERIOD_MONTH }))).toEqual(["period"]);
    expect((await refusalOf(setBudget(ofJob))).code).toBe("JOB_UNKNOWN");
    expect(await fieldsOf(deleteBudget({ name: "one" }))).toEqual(["scope", "unit"]);
    const name = { scope: BudgetScope.BUDGET_SCOPE_TENANT, name: "one", unit: BudgetUnit.BUDGET_UNIT_MONEY };
    expect((await deleteBudget(name)).deleted).toBe(false);
    expect((await deleteBudget({ ...name, period: BudgetPeriod.BUDGET_PERIOD_MONTH })).deleted).toBe(true);
  });

  it("stop a tenant's work within a round, refuse what it submits then, say so when asked why, and let go when raised", async () => {
    const { jobId } = await submit(client, request("a first one"), as("member"));
    const claim = await worker.claim();
    await setBudget({ limit: seconds(0.005) });
    await worker.finish(claim);
    const explain = async () => {
      const answer = await call(client.explainJob.bind(client), ExplainJobRequest.create({ jobId }), as("member"));
      return answer.tasks.flatMap(({ constraints }) => constraints);
    };
    await expect
      .poll(async () => (await explain()).map(({ kind }) => kind), patience)
      .toContain(ConstraintKind.CONSTRAINT_KIND_OVER_BUDGET);
    expect((await explain()).find(({ kind }) => kind === ConstraintKind.CONSTRAINT_KIND_OVER_BUDGET)?.remedy).toContain(
      "vapfarm budgets set tenant one",
    );
    expect(claimOf(await worker.next())).toBeUndefined();
    const refused = await refusalOf(submit(client, request("more"), as("member")));
    expect(refused).toMatchObject({ code: "BUDGET_USED_UP", details: { grpcStatus: "RESOURCE_EXHAUSTED" } });
    expect(refused.message).toMatch(/^tenant one has spent 0\.\d+ GPU-seconds of 0\.005 GPU-seconds in all$/);
    await setBudget({ limit: seconds(1_000) });
    await expect.poll(async () => claimOf(await worker.next()) !== undefined, patience).toBe(true);
  });

  it("cancel a job, whose view and events say so; it is retried when the budget allows it again", async () => {
    const { jobId } = await submit(client, request("to be cancelled"), as("member"));
    const limit = { scope: BudgetScope.BUDGET_SCOPE_JOB, name: jobId, limit: seconds(0), action: BudgetAction.BUDGET_ACTION_CANCEL };
    await setBudget(limit);
    const job = async () => (await call(client.getJob.bind(client), GetJobRequest.create({ jobId }), as("member"))).job;
    await expect.poll(async () => (await job())?.state, patience).toBe(JobState.JOB_STATE_CANCELLED);
    expect((await job())?.failure).toMatchObject({
      code: "BUDGET_USED_UP",
      message: "the job has spent 0 GPU-seconds of 0 GPU-seconds",
    });
    const retry = () => call(client.retryJob.bind(client), RetryJobRequest.create({ jobId }), as("member"));
    expect((await refusalOf(retry())).code).toBe("BUDGET_USED_UP");
    await deleteBudget({ ...limit, unit: BudgetUnit.BUDGET_UNIT_GPU_TIME });
    const again = (await retry()).job;
    expect(again?.failure).toBeUndefined();
    // It shares tasks with jobs of which some may run.
    expect([JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING]).toContain(again?.state);
  });
});

it("usage has its cost, by pool and job, and the metrics have it too", async () => {
  const asked = GetUsageRequest.create({ groupBy: [UsageKey.USAGE_KEY_POOL, UsageKey.USAGE_KEY_JOB] });
  const { rows, total } = await call(client.getUsage.bind(client), asked, as("member"));
  expect(rows.map(({ keys }) => keys[0])).toEqual(rows.map(() => "test"));
  expect(total?.deviceMs).toBeGreaterThan(0);
  // At 3,600 an hour a millisecond costs a thousandth.
  const nanos = (total?.cost?.units ?? 0n) * 1_000_000_000n + BigInt(total?.cost?.nanos ?? 0);
  expect(nanos).toBe(BigInt(Math.round((total?.deviceMs ?? 0) * 1_000)) * 1_000n);
  const committed = { pool: "test", outcome: "committed" };
  await expect.poll(() => metric("vapfarm_books_device_seconds", committed), patience).toBeCloseTo((total?.deviceMs ?? 0) / 1_000, 6);
  expect(await metric("vapfarm_books_cost", committed)).toBeCloseTo(Number(nanos) / 1e9, 6);
  await expect.poll(() => metric("vapfarm_duty_rounds_total", { duty: "books", outcome: "ran" }), patience).toBeGreaterThan(0);
  expect(await metric("vapfarm_books_unbalanced")).toBe(0);
});

import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import pg from "pg";
import { describe, expect, test } from "vitest";
import type { UsageAsk, UsageKey, UsageSum } from "../../../services/coordinator/store/store-contract.ts";
import { migrate } from "../../../services/platform/database/migrate.ts";
import { migrationsFolder, startTestPostgres } from "../../support/postgres.ts";
import { budgetRound, epochOf, reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, failure, sha256, submit, submitBatch, success, task } from "../../support/store-world.ts";

const world = useWorld();
const hourMs = 3_600_000;
const euro = 1_000_000_000n;

async function sums(groupBy: readonly UsageKey[], overrides: Partial<UsageAsk> = {}): Promise<readonly UsageSum[]> {
  const [from, until] = [new Date(Date.now() - 24 * hourMs), new Date(Date.now() + 24 * hourMs)];
  const ask: UsageAsk = { scope: undefined, from, until, groupBy, jobId: undefined, limit: 100, ...overrides };
  return (await world().store.sumUsage(ask)).rows;
}

/** Outcome, source, counter and amount of device time and attempts, in the order in which they were booked. */
const entries = () =>
  world().sql(
    "select outcome, source, counter, amount::int from usage_entry where counter in ('attempts', 'device_us') order by at, outcome, counter",
  );

/** Attempts whose row is not the sum of their entries. */
const unbalanced = () => world().store.unbalancedAttempts(new Date(0), 10);

/** One that hands out device time is lost, and its worker can still report. */
async function loseOne(deviceMs: number, jobs: readonly string[] = ["j1"]) {
  const { store } = world();
  for (const jobId of jobs) await submit(store, [task("only")], { jobId });
  const worker = createWorker(store);
  const claim = await worker.claim();
  await worker.beat(claim, 1, { deviceMs });
  await reapAll(world());
  return { worker, claim };
}

describe("the ledger", () => {
  test("has an entry for each counter of an attempt, and a report that comes twice adds nothing", async () => {
    const { store, sql } = world();
    await submit(store, [task("only")]);
    const worker = createWorker(store);
    const claim = await worker.claim();
    const report = { ...success(claim), deviceMs: 10.0004, loadMs: 1, computeMs: 8, fetchMs: 0, finishMs: 0.5 };
    await worker.report(report);
    const all = () => sql("select counter, amount::int, outcome, source, pool, stage from usage_entry order by counter");
    const first = await all();
    const same = { outcome: "committed", source: "report", pool: "pool", stage: "denoise" };
    expect(first).toEqual([
      { counter: "attempts", amount: 1, ...same },
      { counter: "compute_us", amount: 8_000, ...same },
      { counter: "device_us", amount: 10_000, ...same },
      { counter: "finish_us", amount: 500, ...same },
      { counter: "load_us", amount: 1_000, ...same },
    ]);
    await worker.report(report);
    expect(await all()).toEqual(first);
    expect(await unbalanced()).toEqual([]);
  });

  test("takes back what was beaten and books the late report, so that sums by outcome are right", async () => {
    const { worker, claim } = await loseOne(700);
    expect(await entries()).toEqual([
      { outcome: "lost", source: "beat", counter: "attempts", amount: 1 },
      { outcome: "lost", source: "beat", counter: "device_us", amount: 700_000 },
    ]);
    await worker.report({ ...success(claim), deviceMs: 400 });
    expect((await entries()).slice(2)).toEqual([
      { outcome: "lost", source: "correction", counter: "attempts", amount: -1 },
      { outcome: "lost", source: "correction", counter: "device_us", amount: -700_000 },
      { outcome: "superseded", source: "correction", counter: "attempts", amount: 1 },
      { outcome: "superseded", source: "correction", counter: "device_us", amount: 400_000 },
    ]);
    expect(await sums(["outcome"])).toMatchObject([{ keys: ["superseded"], attempts: 1, deviceMs: 400, wastedDeviceMs: 400 }]);
    expect(await unbalanced()).toEqual([]);
  });

  test("leaves a day that is over as it was: the correction is of the day on which it came", async () => {
    const { worker, claim } = await loseOne(700);
    const { sql } = world();
    await sql("alter table usage_entry disable trigger usage_entry_keep");
    await sql("update usage_entry set at = at - interval '30 h'");
    await sql("alter table usage_entry enable trigger usage_entry_keep");
    await worker.report({ ...success(claim), deviceMs: 750 });
    const [before, now] = [new Date(Date.now() - 48 * hourMs), new Date(Date.now() - hourMs)];
    expect(await sums([], { from: before, until: now })).toMatchObject([{ attempts: 1, deviceMs: 700 }]);
    expect(await sums([], { from: now })).toMatchObject([{ attempts: 0, deviceMs: 50 }]);
  });

  test("knows failed and given up attempts from those whose result was used", async () => {
    const { store } = world();
    await submit(store, [task("a"), task("b")]);
    const worker = createWorker(store);
    await worker.report(failure(await worker.claim(), "STAGE_CANCELLED"));
    await worker.report(failure(await worker.claim(), "STAGE_INPUT_INVALID"));
    const lacking = createWorker(store);
    await submit(store, [task("c", { artifacts: ["mp4"], domain: "c" })]);
    await lacking.succeed(await lacking.claim(), []);
    const outcomes = await sums(["outcome"]);
    expect(outcomes.map(({ keys, attempts }) => [keys[0], attempts]).sort()).toEqual([
      ["failed", 2],
      ["returned", 1],
    ]);
    expect(await unbalanced()).toEqual([]);
  });

  test.each([
    ["update usage_entry set amount = 1", /update is refused/],
    ["delete from usage_entry", /delete is refused/],
    ["truncate usage_entry", /truncate is refused/],
  ])("refuses: %s", async (statement, refusal) => {
    await loseOne(5);
    await expect(world().sql(statement)).rejects.toThrow(refusal);
    expect(await entries()).toHaveLength(2);
  });

  test("that does not add up to a row is found", async () => {
    const { claim } = await loseOne(5);
    const { sql } = world();
    const planted = `insert into usage_entry (attempt_id, task_id, tenant_id, job_id, worker_id, pool, stage, counter, amount, outcome, source, at)
      select attempt_id, task_id, tenant_id, 'j1', worker_id, 'pool', stage, 'device_us', 1, $1, 'report', now() from usage`;
    await sql(planted, ["lost"]);
    expect(await unbalanced()).toEqual([claim.attemptId]);
    await sql("update usage set device_ms = 5.001");
    expect(await unbalanced()).toEqual([]);
    await sql("update usage set disposition = 'returned'");
    expect(await unbalanced()).toEqual([claim.attemptId]);
  });

  test("goes with its attempts when they are pruned, corrections too, and the totals stay", async () => {
    const { worker, claim } = await loseOne(700);
    await worker.report({ ...success(claim), deviceMs: 750 });
    await budgetRound(world());
    const { store, sql } = world();
    await sql("update usage set at = now() - interval '500 days'");
    await store.prune(await epochOf(world(), "prune"));
    expect(await sql("select 1 from usage_entry union all select 1 from usage")).toEqual([]);
    expect(await store.usageTotals()).toMatchObject([
      { outcome: "lost", deviceMs: 0 },
      { outcome: "superseded", deviceMs: 750 },
    ]);
  });
});

describe("what serves several jobs", () => {
  test("is split by the renders that want it, and the jobs add up to the tenant", async () => {
    const { store } = world();
    const one = await submitBatch(store, [[task("shared")], [task("shared"), task("own")]], { jobId: "j1" });
    const two = await submit(store, [task("shared")], { jobId: "j2" });
    const worker = createWorker(store);
    for (const deviceMs of [0.1, 0.005]) await worker.report({ ...success(await worker.claim()), deviceMs });
    const jobs = await sums(["job"]);
    expect(jobs.map(({ keys, deviceMs }) => [...keys, deviceMs])).toEqual([
      [one, 0.071],
      [two, 0.034],
    ]);
    expect(jobs.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(2);
    expect(await sums([])).toMatchObject([{ attempts: 2, deviceMs: 0.105 }]);
    expect(await sums([], { jobId: two })).toMatchObject([{ deviceMs: 0.034 }]);
  });

  test("is corrected for those who bore it first, also when one of them has gone since", async () => {
    const { worker, claim } = await loseOne(100, ["j1", "j2"]);
    await world().store.cancelJob("local", "j1");
    await worker.report({ ...success(claim), deviceMs: 50 });
    expect((await sums(["job"])).map(({ keys, deviceMs }) => [...keys, deviceMs])).toEqual([
      ["j1", 25],
      ["j2", 25],
    ]);
  });

  test("costs those who come when it is done nothing, and those who have left what it cost until then", async () => {
    const { store } = world();
    const left = await submit(store, [task("only")], { jobId: "j1" });
    const worker = createWorker(store);
    const claim = await worker.claim();
    await store.cancelJob("local", left);
    await worker.succeed(claim);
    await submit(store, [task("only")], { jobId: "j2" });
    expect((await sums(["job"])).map(({ keys }) => keys)).toEqual([["j1"]]);
  });

  test("is split into parts that add up, each within one of its share", async () => {
    const { pool } = world();
    const weights = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: 0n, max: 9n * 10n ** 18n }), weights, async (amount, shares) => {
        const { rows } = await pool.query<{ parts: string[] }>("select vf_split($1, $2)::text[] as parts", [amount.toString(), shares]);
        const parts = (rows[0]?.parts ?? []).map(BigInt);
        expect(parts.reduce((sum, part) => sum + part, 0n)).toBe(amount);
        const whole = BigInt(shares.reduce((sum, share) => sum + share, 0));
        parts.forEach((part, index) => {
          const difference = part * whole - amount * BigInt(shares[index] ?? 0);
          expect(difference < whole && difference > -whole).toBe(true);
        });
      }),
      { numRuns: 200 },
    );
  });
});

describe("prices", () => {
  const price = (units: bigint, validFrom?: Date) =>
    world().store.setPrice({ pool: "pool", nanosPerHour: units, currency: "EUR", validFrom }, "ops");

  test("make an hour cost what it did when the attempt began, also for a correction that comes later", async () => {
    const { store } = world();
    await price(2n * euro);
    const { worker, claim } = await loseOne(hourMs);
    await price(10n * euro);
    await worker.report({ ...success(claim), deviceMs: hourMs * 1.5 });
    const next = createWorker(store);
    await next.report({ ...success(await next.claim()), deviceMs: hourMs / 3 });
    expect((await sums(["outcome"])).map(({ keys, costNanos }) => [...keys, costNanos])).toEqual([
      ["superseded", 3n * euro],
      ["committed", 3_333_333_333n],
    ]);
    const total = await sums([]);
    expect(total[0]?.costNanos).toBe(6_333_333_333n);
    await budgetRound(world());
    expect(await store.usageTotals()).toMatchObject([
      { pool: "pool", outcome: "committed", costNanos: 3_333_333_333n },
      { outcome: "lost", deviceMs: 0, costNanos: 0n },
      { outcome: "superseded", deviceMs: hourMs * 1.5, costNanos: 3n * euro },
    ]);
  });

  test("split among jobs to the last billionth", async () => {
    const { store } = world();
    await price(euro);
    for (const jobId of ["j1", "j2", "j3"]) await submit(store, [task("shared")], { jobId });
    const worker = createWorker(store);
    await worker.report({ ...success(await worker.claim()), deviceMs: 36 });
    expect((await sums(["job"])).map(({ costNanos }) => costNanos).sort()).toEqual([3_333n, 3_333n, 3_334n]);
  });

  test("do not begin in the past, may come, are one currency, and change only before they begin", async () => {
    const { store } = world();
    expect(await price(euro, new Date(Date.now() - hourMs))).toEqual({ kind: "past" });
    const later = new Date(Date.now() + 10 * hourMs);
    expect(await price(5n * euro, later)).toMatchObject({ kind: "set" });
    expect(await price(6n * euro, later)).toMatchObject({ kind: "set" });
    expect(await store.setPrice({ pool: "pool", nanosPerHour: euro, currency: "USD", validFrom: undefined }, "ops")).toEqual({
      kind: "currency",
      currency: "EUR",
    });
    expect(await store.listPrices()).toMatchObject([
      { pool: "pool", nanosPerHour: 6n * euro, currency: "EUR", validFrom: later, setBy: "ops" },
    ]);
    await submit(store, [task("only")]);
    const worker = createWorker(store);
    await worker.report({ ...success(await worker.claim()), deviceMs: hourMs });
    expect(await sums([])).toMatchObject([{ costNanos: 0n }]);
  });
});

test("what was booked before there was a ledger is in it after the migration", async () => {
  const postgres = await startTestPostgres();
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-ledger-"));
  const url = await postgres.createEmptyDatabase();
  const client = new pg.Client({ connectionString: url });
  try {
    const before = (await readdir(migrationsFolder)).filter((name) => name < "0013");
    for (const name of before) await cp(join(migrationsFolder, name), join(folder, name), { recursive: true });
    await migrate({ url, folder });
    await client.connect();
    await client.query(`insert into tenant (id) values ('local');
      insert into job (id, tenant_id, body_digest, job_class, reuse, render_total, render_queued)
        values ('j1', 'local', repeat('0', 64), 'production', 'all', 1, 1), ('j2', 'local', repeat('0', 64), 'production', 'all', 1, 1);
      insert into render (job_id, spec, model_weights, fps) values ('j1', '{}', 'random', 8), ('j2', '{}', 'random', 8);
      insert into task (id, content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters)
        values (1, '${sha256("one")}', 'local', '', 'denoise', 'gpu', 's', 'demo', '{}', '{}');
      insert into task_user (task_id, render_id, position, label, artifacts) select 1, r.id, 0, '', '{}' from render r;
      insert into usage (attempt_id, task_id, tenant_id, worker_id, stage, disposition, device_ms, load_ms, compute_ms, fetch_ms, finish_ms)
        values (gen_random_uuid(), 1, 'local', 'w', 'denoise', 'committed', 10.00049, 1, 9, 0, 0),
          (gen_random_uuid(), 7, 'local', 'w', 'prepare', 'lost', 3, 0, 0, 0, 0)`);
    await cp(migrationsFolder, folder, { recursive: true });
    await migrate({ url, folder });
    const { rows } = await client.query(`select job_id, pool, counter, amount::int, outcome from usage_entry
      where counter in ('attempts', 'device_us') order by outcome, counter, job_id`);
    expect(rows).toEqual([
      { job_id: "j2", pool: "gpu", counter: "attempts", amount: 1, outcome: "committed" },
      { job_id: "j1", pool: "gpu", counter: "device_us", amount: 5_000, outcome: "committed" },
      { job_id: "j2", pool: "gpu", counter: "device_us", amount: 5_000, outcome: "committed" },
      { job_id: "", pool: "", counter: "attempts", amount: 1, outcome: "lost" },
      { job_id: "", pool: "", counter: "device_us", amount: 3_000, outcome: "lost" },
    ]);
    expect((await client.query("select * from vf_unbalanced('-infinity', 9)")).rows).toEqual([]);
    expect((await client.query("select sum(device_us)::int as us from usage_due")).rows).toEqual([{ us: 13_000 }]);
  } finally {
    await client.end();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

import fc from "fast-check";
import { expect, test } from "vitest";
import type { ClaimView, PlannedRender } from "../../../services/coordinator/store/store-contract.ts";
import { decideExpansion } from "../../../services/domain/expansion.ts";
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import { canTaskMove, type TaskState } from "../../../services/domain/task-state.ts";
import { checkInvariants } from "../../support/store-invariants.ts";
import { useWorld } from "../../support/store-suite.ts";
import {
  createWorker,
  diamond,
  failure,
  plannedRender,
  submit,
  submitBatch,
  success,
  task,
  type Worker,
  type World,
} from "../../support/store-world.ts";

const window = 5;
const world = useWorld({ limits: { openRenders: window } });

/** One thing that happens; numbers choose among what is there. */
type Operation = {
  readonly kind:
    | "submit"
    | "batch"
    | "cancel"
    | "cancel one"
    | "retry"
    | "retry one"
    | "update"
    | "next"
    | "succeed"
    | "fail"
    | "restart"
    | "lapse"
    | "checkpoint"
    | "expand"
    | "duties";
  readonly pick: number;
};

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constantFrom(
    "submit",
    "batch",
    "cancel",
    "cancel one",
    "retry",
    "retry one",
    "update",
    "next",
    "next",
    "next",
    "next",
    "succeed",
    "succeed",
    "succeed",
    "fail",
    "restart",
    "lapse",
    "checkpoint",
    "checkpoint",
    "expand",
    "expand",
    "duties",
  ),
  pick: fc.nat(1_000),
});

const codes = ["STAGE_FAILED", "RUNTIME_DIED", "STAGE_INPUT_INVALID", "ARTIFACT_MISSING", "STAGE_CANCELLED", "STAGE_OUT_OF_MEMORY"];

type Farm = {
  readonly jobs: string[];
  readonly workers: Worker[];
  readonly claims: { readonly worker: Worker; readonly claim: ClaimView }[];
};

const chosen = <T>(from: readonly T[], pick: number): T | undefined => from[pick % Math.max(1, from.length)];

/** What each render that is submitted here is planned as, by its prompt. */
const plans = new Map<string, readonly PlannedTask[]>();

function planned(tasks: readonly PlannedTask[]): PlannedRender {
  const prompt = tasks.map(({ contentKey }) => contentKey).join(" ");
  plans.set(prompt, tasks);
  return plannedRender(tasks, { prompt });
}

/** What the duty does with renders that wait. */
async function expand({ store }: World): Promise<void> {
  const epoch = (await store.holdDuty("expand", "test", 60_000))?.epoch ?? 0;
  const renders = await store.waitingRenders(decideExpansion((await store.expansionFacts()).pools, window, 3));
  const again = renders.filter(({ isPlanned }) => isPlanned);
  const fresh = renders.filter(({ isPlanned }) => !isPlanned).map((render) => ({ render, tasks: plans.get(render.spec.prompt) ?? [] }));
  if (again.length > 0) await store.expandAgain(epoch, "local", again);
  if (fresh.length > 0) await store.expandRenders(epoch, { tenant: "local", pool: "pool", renders: fresh });
}

async function runDuties({ store, sql }: World): Promise<void> {
  await sql("update task set delayed_until = now() where state = 'delayed'");
  await sql("delete from canary");
  await sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");
  await expand(world());
  const epochOf = async (name: string): Promise<number> => (await store.holdDuty(name, "test", 60_000))?.epoch ?? 0;
  await store.promoteDelayed(await epochOf("promotion"));
  await store.reap(await epochOf("reaper"));
}

async function report(farm: Farm, pick: number, isSuccess: boolean): Promise<void> {
  const held = chosen(farm.claims, pick);
  if (held === undefined) return;
  const { worker, claim } = held;
  // One time in five the report is sent again later.
  if (pick % 5 !== 0) farm.claims.splice(farm.claims.indexOf(held), 1);
  const code = codes[pick % codes.length] ?? "STAGE_FAILED";
  const bad = claim.inputs.slice(0, 1).map((input) => input.sha256);
  await worker.report(isSuccess ? success(claim) : failure(claim, code, code === "ARTIFACT_MISSING" ? bad : []));
}

async function perform(farm: Farm, { kind, pick }: Operation): Promise<void> {
  const { store, sql } = world();
  const worker = chosen(farm.workers, pick);
  if (worker === undefined) return;
  switch (kind) {
    case "submit": {
      const domain = `${pick % 3}`;
      const plan = [diamond(domain), [task("left", { domain }), task("other", { domain, after: ["left"] })]][pick % 2] ?? [];
      farm.jobs.push(await submit(store, plan, { priority: pick % 7, renders: [planned(plan)] }));
      return;
    }
    case "batch": {
      const batch = [diamond(`${pick % 3}`), diamond(`${pick % 2}`), [task("left", { domain: "0" }), task(`own ${pick % 5}`)]];
      farm.jobs.push(await submitBatch(store, batch, { priority: pick % 7, renders: batch.map(planned) }));
      return;
    }
    case "cancel":
    case "cancel one":
      await store.cancelJob("local", chosen(farm.jobs, pick) ?? "none", kind === "cancel" ? undefined : pick % 3);
      return;
    case "retry":
    case "retry one":
      await store.retryJob("local", chosen(farm.jobs, pick) ?? "none", kind === "retry" ? undefined : pick % 3);
      return;
    case "update":
      await store.updateJob("local", chosen(farm.jobs, pick) ?? "none", { priority: pick % 11 });
      return;
    case "next": {
      const [outcome] = await store.next([worker.ask()]);
      if (outcome?.kind === "refused")
        farm.workers[farm.workers.indexOf(worker)] = createWorker(store, { name: `w${farm.workers.indexOf(worker)}` });
      if (outcome?.kind !== "answered" || outcome.claim === undefined) return;
      worker.held.add(outcome.claim.attemptId);
      farm.claims.push({ worker, claim: outcome.claim });
      return;
    }
    case "succeed":
      return report(farm, pick, true);
    case "fail":
      return report(farm, pick, false);
    case "restart":
      farm.workers[pick % farm.workers.length] = createWorker(store, { name: `w${pick % farm.workers.length}` });
      return;
    case "lapse":
      await sql("update session set lease_until = now() - interval '1 s' where id = $1", [worker.sessionId]);
      return;
    case "checkpoint": {
      const held = chosen(farm.claims, pick);
      if (held !== undefined) await held.worker.checkpoint(held.claim, 1 + (pick % 40));
      return;
    }
    case "expand":
      return expand(world());
    case "duties":
      return runDuties(world());
  }
}

/** Works off everything that is left. */
async function settle(farm: Farm): Promise<void> {
  const { store, sql } = world();
  for (const { worker, claim } of farm.claims.splice(0)) await worker.report(success(claim));
  for (let round = 0; round < 60; round += 1) {
    await sql("update session set lease_until = now() - interval '1 s' where is_live");
    await runDuties(world());
    const worker = createWorker(store, { name: `last${round}` });
    for (let claim = (await worker.next()).claim; claim !== undefined; claim = (await worker.next()).claim) await worker.succeed(claim);
    const open = await sql("select 1 from job where state in ('queued', 'running')");
    if (open.length === 0) return;
  }
}

test("whatever happens in whatever order, each job ends once, each task has at most one result, and only legal moves are made", async () => {
  const { sql, store } = world();
  await sql("create table move (from_state text, to_state text)");
  await sql(`create function log_move() returns trigger language plpgsql as
    'begin insert into move values (old.state, new.state); return new; end'`);
  await sql("create trigger log_move after update on task for each row when (old.state <> new.state) execute function log_move()");
  const runs = fc.asyncProperty(fc.array(operation, { minLength: 40, maxLength: 80 }), async (operations) => {
    await sql("truncate tenant, session, worker, session_answer, artifact, usage, duty cascade");
    const workers = [0, 1, 2].map((index) => createWorker(store, { name: `w${index}` }));
    const farm: Farm = { jobs: [], workers, claims: [] };
    for (const each of operations) {
      await perform(farm, each);
      await checkInvariants(world());
    }
    await settle(farm);
    await checkInvariants(world());
    expect(await sql("select id from job where state in ('queued', 'running')")).toEqual([]);
    const epoch = (await store.holdDuty("sweep", "test", 60_000))?.epoch ?? 0;
    expect((await store.sweep(epoch)).repaired).toBe(0);
  });
  await fc.assert(runs, { numRuns: 8, endOnFailure: true });
  const moves = await sql<{ from_state: TaskState; to_state: TaskState }>("select distinct from_state, to_state from move");
  expect(moves.filter(({ from_state: from, to_state: to }) => !canTaskMove(from, to))).toEqual([]);
  // The log was written; which moves chance brings about differs from run to run.
  expect(moves).toContainEqual({ from_state: "running", to_state: "succeeded" });
});

test("many things at once through two coordinators lose no job and make no result twice", async () => {
  const { sql, store, openAnother } = world();
  const another = await openAnother();
  const jobs: string[] = [];
  const submitter = async (index: number): Promise<void> => {
    for (let count = 0; count < 8; count += 1) {
      const plan = diamond(`${(index + count) % 4}`);
      const jobId = await submit(index % 2 === 0 ? store : another, plan, { renders: [planned(plan)] });
      jobs.push(jobId);
      if (count % 3 === 0) await another.cancelJob("local", jobId);
    }
  };
  const work = async (index: number): Promise<void> => {
    const worker = createWorker(index % 2 === 0 ? store : another, { name: `w${index}` });
    for (let count = 0; count < 25; count += 1) {
      if (index === 0) await expand(world());
      const { claim } = await worker.next();
      if (claim === undefined) continue;
      if ((index + count) % 6 === 0) await worker.fail(claim, "RUNTIME_DIED");
      else await worker.succeed(claim);
    }
  };
  await Promise.all([submitter(0), submitter(1), ...Array.from({ length: 5 }, (_unused, index) => work(index))]);
  await checkInvariants(world());
  await settle({ jobs, workers: [], claims: [] });
  await checkInvariants(world());
  expect(await sql("select state from job where state in ('queued', 'running')")).toEqual([]);
});

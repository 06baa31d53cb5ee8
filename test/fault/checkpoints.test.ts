/**
 * What a worker's end costs a render in the middle of its denoise: the steps since its last checkpoint, and none after an orderly stop. The
 * render's latents are those of a render that nobody disturbed, to the byte.
 *
 * Steps that were computed twice are counted from live progress: the last step that was heard of, and what could be taken between that
 * and the kill at the pace of the moment.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DrainWorkerRequest, type Job, JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../services/platform/deadline.ts";
import { violationsOf } from "../support/checker/farm-under-test.ts";
import { type Journals, openJournals } from "../support/checker/journals.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { until } from "../support/until.ts";
import {
  beginningsOf,
  denoising,
  endOf,
  keptStep,
  latentsOf,
  longSteps,
  processOf,
  runtimeOf,
  submitLong,
} from "../support/long-render.ts";

const timeoutMs = 180_000;
/** k: enough that a look at the database is short beside it. */
const everySteps = 60;
const pollMs = 10;
const mostKeepMs = 60_000;

let journals: Journals;
let farm: TestFarm;
let undisturbed: string;

function useFarm(workers: number): void {
  beforeAll(async () => {
    const environment = { VAPFARM_CHECKPOINT_STEPS: String(everySteps) };
    journals = await openJournals();
    farm = await startTestFarm({ args: ["--ephemeral", "--workers", String(workers)], environment, journals });
    undisturbed = latentsOf(await endOf(farm, await submitLong(farm)));
  }, timeoutMs);
  afterEach(async () => {
    expect(await violationsOf(farm, journals, { checkpointSteps: everySteps })).toEqual([]);
  }, timeoutMs);
  afterAll(async () => {
    await farm.stop();
    await journals.remove();
  });
}

type AttemptRow = { state: string; worker: string; failures: object; step: number };

/** The attempts at the job's denoise in order: how each ended, and how far its session's last beat said that it was. */
function attemptsOf(job: Job): Promise<readonly AttemptRow[]> {
  return farm.sql<AttemptRow>(
    `select a.state, a.worker_name as worker, t.failures, coalesce((s.progress -> 0 ->> 'step')::int, 0) as step
     from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.stage = 'denoise'
     join attempt a on a.task_id = t.id join session s on s.id = a.session_id where r.job_id = $1 order by a.number`,
    [job.jobId],
  );
}

/** Waits until a checkpoint beyond the step is kept. */
async function keptBeyond(job: Job, step: number): Promise<number> {
  const end = performance.now() + mostKeepMs;
  for (;;) {
    const kept = await keptStep(farm, job);
    if (kept > step) return kept;
    if (performance.now() > end) throw new TypeError(`no checkpoint beyond step ${step} within ${mostKeepMs} ms`);
    await pause(pollMs);
  }
}

async function expectUndisturbed(done: Job): Promise<void> {
  expect(done.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect(latentsOf(done)).toBe(undisturbed);
  expect(await keptStep(farm, done)).toBe(0);
}

type Killed = {
  readonly workerName: string;
  readonly done: Job;
  readonly beginnings: readonly number[];
  readonly kept: number;
  readonly twice: number;
};

/** Kills the worker of a long render with -9 as soon as a checkpoint is kept in its middle. */
async function killInTheMiddle(): Promise<Killed> {
  const job = await submitLong(farm);
  const heard = await denoising(farm, job);
  const processId = await processOf(farm, heard.workerName);
  const kept = await keptBeyond(job, heard.step);
  process.kill(processId, "SIGKILL");
  const taken = Math.min(longSteps, heard.step + (performance.now() - heard.atMs) / heard.stepMs);
  const done = await endOf(farm, job);
  const beginnings = await beginningsOf(farm, job);
  return { workerName: heard.workerName, done, beginnings, kept, twice: Math.max(0, Math.ceil(taken - (beginnings.at(-1) ?? 0))) };
}

function expectLittleTwice({ beginnings, kept, twice }: Killed): void {
  expect(beginnings).toHaveLength(2);
  expect(beginnings.at(-1)).toBeGreaterThanOrEqual(kept);
  expect(twice).toBeLessThanOrEqual(everySteps);
}

function told({ beginnings, twice }: Killed): string {
  return `went on at step ${beginnings.at(-1) ?? 0} of ${longSteps}; about ${twice} steps were computed twice, a checkpoint is due every ${everySteps}`;
}

describe("a render whose worker is killed in the middle of its denoise", () => {
  useFarm(2);

  it(
    "goes on at its last checkpoint on the other worker, to the same bytes",
    async ({ annotate }) => {
      const killed = await killInTheMiddle();
      await annotate(told(killed));
      await expectUndisturbed(killed.done);
      expectLittleTwice(killed);
      expect(killed.done.tasks.find(({ stage }) => stage === "denoise")?.workerName).not.toBe(killed.workerName);
    },
    timeoutMs,
  );
});

describe("a render whose worker is drained in the middle of its denoise", () => {
  useFarm(2);

  it(
    "is given back with a last checkpoint, and goes on there on the other worker",
    async ({ annotate }) => {
      const job = await submitLong(farm);
      const { workerName: workerId, step } = await denoising(farm, job);
      await farm.client.calls.drainWorker(DrainWorkerRequest.create({ workerId, graceMs: 0n }));
      const done = await endOf(farm, job);
      const [first, second] = await attemptsOf(done);
      const beginnings = await beginningsOf(farm, done);
      await annotate(`drained, went on at step ${beginnings.at(-1) ?? 0}; step ${step} was heard of before`);
      await expectUndisturbed(done);
      expect(first).toMatchObject({ state: "abandoned", worker: workerId, failures: {} });
      expect(second).toMatchObject({ state: "succeeded" });
      expect(second?.worker).not.toBe(workerId);
      // What was taken before the drain, whether a checkpoint was due or not.
      expect(beginnings.at(-1)).toBeGreaterThanOrEqual(step);
    },
    timeoutMs,
  );
});

describe("a render of the only worker", () => {
  useFarm(1);

  it(
    "goes on at its last checkpoint when the worker was killed and starts again",
    async ({ annotate }) => {
      const killed = await killInTheMiddle();
      await annotate(told(killed));
      await expectUndisturbed(killed.done);
      expectLittleTwice(killed);
    },
    timeoutMs,
  );

  it(
    "starts anew, uncharged for that, when the checkpoint was damaged meanwhile",
    async () => {
      const job = await submitLong(farm);
      const { workerName } = await denoising(farm, job);
      const processId = await processOf(farm, workerName);
      await keptBeyond(job, 0);
      process.kill(processId, "SIGKILL");
      const [kept] = await farm.sql<{ sha256: string }>("select sha256 from task_checkpoint");
      const sha256 = kept?.sha256 ?? "none";
      journals.tester.write({ kind: "damaged", sha256 });
      await writeFile(join(farm.dataFolder, "artifacts", sha256.slice(0, 2), sha256), "damaged");
      const done = await endOf(farm, job);
      await expectUndisturbed(done);
      const attempts = await attemptsOf(done);
      expect(attempts.map(({ state }) => state)).toEqual(["lost", "failed", "succeeded"]);
      expect(attempts[0]?.failures).toEqual({ unexplained: 1 });
      expect(await farm.sql("select message from event where job_id = $1 and kind = 'task.retried' order by number", [job.jobId])).toEqual([
        { message: expect.stringContaining("SESSION_SUPERSEDED") as string },
        { message: "ARTIFACT_CORRUPT: its checkpoint is lost, it starts anew" },
      ]);
    },
    timeoutMs,
  );

  it(
    "loses no step when the worker is stopped in order, and is not charged for it",
    async ({ annotate }) => {
      const job = await submitLong(farm);
      const { workerName } = await denoising(farm, job);
      const [runtime, agent] = await Promise.all([runtimeOf(farm, workerName), processOf(farm, workerName)]);
      // Frozen while the drain lasts, so that the render does not end within it, however fast the machine.
      process.kill(runtime, "SIGSTOP");
      process.kill(agent, "SIGTERM");
      await until("the drain is over", async () => (await farm.log(workerName)).includes("giving back what runs"));
      process.kill(runtime, "SIGCONT");
      const done = await endOf(farm, job);
      const [attempt, ...others] = await attemptsOf(done);
      const beginnings = await beginningsOf(farm, done);
      await annotate(`stopped after step ${attempt?.step ?? 0}, went on at step ${beginnings.at(-1) ?? 0}`);
      await expectUndisturbed(done);
      expect(attempt).toMatchObject({ state: "abandoned", failures: {} });
      expect(others).toHaveLength(1);
      // Its last beat told how far it was, with the last checkpoint: the next attempt begins there.
      expect(beginnings).toEqual([0, attempt?.step]);
    },
    timeoutMs,
  );
});

/**
 * What a worker's end costs a render in the middle of its denoise: the steps since its last checkpoint, and none after an orderly stop. The
 * render's latents are those of a render that nobody disturbed, to the byte.
 *
 * Steps that were computed twice are counted from live progress: the last step that was heard of, and what could be taken between that
 * and the kill at the pace of the moment.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Job, JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../services/platform/deadline.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { beginningsOf, denoising, endOf, keptStep, latentsOf, longSteps, processOf, submitLong } from "../support/long-render.ts";

const timeoutMs = 180_000;
/** k: enough that a look at the database is short beside it. */
const everySteps = 60;
const pollMs = 10;

let farm: TestFarm;
let undisturbed: string;

function useFarm(workers: number): void {
  beforeAll(async () => {
    const environment = { VAPFARM_CHECKPOINT_STEPS: String(everySteps) };
    farm = await startTestFarm({ args: ["--ephemeral", "--workers", String(workers)], environment });
    undisturbed = latentsOf(await endOf(farm, await submitLong(farm)));
  }, timeoutMs);
  afterAll(() => farm.stop());
}

/** Waits until a checkpoint beyond the step is kept. */
async function keptBeyond(job: Job, step: number): Promise<number> {
  for (;;) {
    const kept = await keptStep(farm, job);
    if (kept > step) return kept;
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
  const taken = heard.step + (performance.now() - heard.atMs) / heard.stepMs;
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
    "loses no step when the worker is stopped in order, and is not charged for it",
    async ({ annotate }) => {
      const job = await submitLong(farm);
      const { workerName } = await denoising(farm, job);
      process.kill(await processOf(farm, workerName), "SIGTERM");
      const done = await endOf(farm, job);
      const [attempt, ...others] = await farm.sql<{ state: string; failures: object; step: number }>(
        `select a.state, t.failures, coalesce((s.progress -> 0 ->> 'step')::int, 0) as step from render r join task_user u on u.render_id = r.id
         join task t on t.id = u.task_id and t.stage = 'denoise' join attempt a on a.task_id = t.id join session s on s.id = a.session_id
         where r.job_id = $1 order by a.number`,
        [job.jobId],
      );
      const beginnings = await beginningsOf(farm, job);
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

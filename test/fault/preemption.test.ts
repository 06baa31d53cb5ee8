/**
 * A long run on the farm's only worker makes way for a job that comes first, goes on at its checkpoint afterwards, and gives the bytes of a
 * run that nobody disturbed; and what a stop of the whole farm costs such a run.
 */
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Job, JobClass, JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { violationsOf } from "../support/checker/farm-under-test.ts";
import { type Journals, openJournals } from "../support/checker/journals.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { beginningsOf, denoising, endOf, keptStep, latentsOf, runtimeOf, stepsLasting, submitLong } from "../support/long-render.ts";
import { until } from "../support/until.ts";

const timeoutMs = 240_000;
/** Of denoise: long enough to make way more than once. */
const longMs = 5_000;
const policy = { graceMs: 200, minRunMs: 500, leastLeftMs: 500 };

let farm: TestFarm | undefined;
let journals: Journals;
let folder = "";
beforeEach(async () => {
  journals = await openJournals();
});
afterEach(async () => {
  await farm?.stop();
  farm = undefined;
  if (folder !== "") await rm(folder, { recursive: true, force: true });
  folder = "";
  await journals.remove();
});

async function start(args: readonly string[] = ["--ephemeral"]): Promise<TestFarm> {
  const environment = { VAPFARM_CHECKPOINT_STEPS: "60", VAPFARM_PREEMPTION: JSON.stringify(policy) };
  farm = await startTestFarm({ args: [...args, "--workers", "1"], environment, journals });
  return farm;
}

async function expectKept(of: TestFarm): Promise<void> {
  expect(await violationsOf(of, journals)).toEqual([]);
}

type AttemptRow = { state: string; failures: object };

function attemptsOf(of: TestFarm, job: Job): Promise<readonly AttemptRow[]> {
  return of.sql<AttemptRow>(
    `select a.state, t.failures from render r join task_user u on u.render_id = r.id join task t on t.id = u.task_id and t.stage = 'denoise'
     join attempt a on a.task_id = t.id where r.job_id = $1 order by a.number`,
    [job.jobId],
  );
}

describe("a long run on the only worker", () => {
  it(
    "makes way for a job that comes first, and goes on at its checkpoint to the same bytes",
    async ({ annotate }) => {
      const here = await start();
      const steps = await stepsLasting(here, longMs);
      const undisturbed = latentsOf(await endOf(here, await submitLong(here, { steps })));
      const long = await submitLong(here, { steps, jobClass: JobClass.JOB_CLASS_BENCHMARK });
      const heard = await denoising(here, long);
      await until("a checkpoint is kept", async () => (await keptStep(here, long)) > 0);
      const urgent = await endOf(here, await submitLong(here, { steps: 2, seed: 8n }));
      expect(urgent.state).toBe(JobState.JOB_STATE_SUCCEEDED);
      const done = await endOf(here, long);
      const [first, ...others] = await attemptsOf(here, done);
      const beginnings = await beginningsOf(here, done);
      await annotate(`made way after step ${heard.step}, went on at step ${beginnings.at(-1) ?? 0} of ${steps}`);
      expect(first).toEqual({ state: "abandoned", failures: {} });
      expect(others.at(-1)?.state).toBe("succeeded");
      expect(beginnings.at(-1)).toBeGreaterThanOrEqual(heard.step);
      expect(latentsOf(done)).toBe(undisturbed);
      const kinds = await here.sql<{ kind: string }>("select kind from event where job_id = $1 order by number", [long.jobId]);
      expect(kinds.map(({ kind }) => kind)).toContain("task.preempted");
      expect((await here.client.getJob(long.jobId)).tasks.find(({ stage }) => stage === "denoise")?.preemptions).toBeGreaterThanOrEqual(1);
      // Between the other job's tasks the long run may go on, at most three times: which job ends first is not said.
      const [row] = await here.sql(
        `select p.outcome, b.started_at < n.started_at as is_first from preemption p join attempt b on b.task_id = p.beneficiary_id and b.number = 1
         join attempt n on n.task_id = p.task_id and n.number = 2 order by p.id limit 1`,
      );
      expect(row).toEqual({ outcome: "given", is_first: true });
      await expectKept(here);
    },
    timeoutMs,
  );

  it(
    "keeps its steps when the whole farm is stopped, is not charged, and goes on there at the next start",
    async ({ annotate }) => {
      folder = await mkdtemp(join(tmpdir(), "vapfarm-stop-"));
      // Postgres runs as another user when we are root.
      await chmod(folder, 0o711);
      const first = await start(["--data", folder]);
      const steps = await stepsLasting(first, longMs);
      const undisturbed = latentsOf(await endOf(first, await submitLong(first, { steps })));
      const job = await submitLong(first, { steps });
      const heard = await denoising(first, job);
      const runtime = await runtimeOf(first, "worker-1");
      expect(await first.stop()).toBe(0);
      expect(() => process.kill(runtime, 0)).toThrow();
      const second = await start(["--data", folder]);
      const done = await endOf(second, job);
      const beginnings = await beginningsOf(second, done);
      await annotate(`stopped after step ${heard.step}, went on at step ${beginnings.at(-1) ?? 0}`);
      expect(await attemptsOf(second, done)).toEqual([
        { state: "abandoned", failures: {} },
        { state: "succeeded", failures: {} },
      ]);
      expect(beginnings.at(-1)).toBeGreaterThanOrEqual(heard.step);
      expect(latentsOf(done)).toBe(undisturbed);
      await expectKept(second);
    },
    timeoutMs,
  );

  it(
    "is killed with everything else when the farm is told to stop twice, goes on at its checkpoint, and is charged for that",
    async () => {
      folder = await mkdtemp(join(tmpdir(), "vapfarm-stop-"));
      await chmod(folder, 0o711);
      const first = await start(["--data", folder]);
      const steps = await stepsLasting(first, longMs);
      const job = await submitLong(first, { steps });
      await denoising(first, job);
      await until("a checkpoint is kept", async () => (await keptStep(first, job)) > 0);
      const runtime = await runtimeOf(first, "worker-1");
      // Frozen, so that it cannot leave before the second signal.
      process.kill(runtime, "SIGSTOP");
      const ended = once(first.process, "exit");
      first.process.kill("SIGTERM");
      await first.said(/^stopping/);
      await until("the worker stops", async () => (await first.log("worker-1")).includes('"stopping"'));
      first.process.kill("SIGTERM");
      await first.said(/^ending at once/);
      expect(await ended).toEqual([0, null]);
      await first.stop();
      await until("no runtime is left", () => isGone(runtime));
      const second = await start(["--data", folder]);
      const done = await endOf(second, job);
      expect(done.state).toBe(JobState.JOB_STATE_SUCCEEDED);
      expect(await attemptsOf(second, done)).toEqual([
        { state: "lost", failures: { unexplained: 1 } },
        { state: "succeeded", failures: { unexplained: 1 } },
      ]);
      expect((await beginningsOf(second, done)).at(-1)).toBeGreaterThan(0);
      await expectKept(second);
    },
    timeoutMs,
  );
});

function isGone(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return false;
  } catch {
    return true;
  }
}

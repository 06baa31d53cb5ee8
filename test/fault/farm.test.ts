/**
 * The whole farm under violence: real programs are killed or frozen in the middle of a denoise, and the render
 * still ends, once, with the same latents as a render that nobody disturbed, and the checker finds every promise kept.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Job, JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../services/platform/deadline.ts";
import { violationsOf } from "../support/checker/farm-under-test.ts";
import { type Journals, openJournals } from "../support/checker/journals.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { denoising, endOf, latentsOf, processOf, runtimeOf, submitLong } from "../support/long-render.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";

const timeoutMs = 180_000;

let nats: TestNats;
let journals: Journals;
let farm: TestFarm;
let undisturbed: string;

type Books = { stage: string; succeeded: number; visible: number; open: number; unbooked: number };

/** For each stage of a job: attempts that succeeded, results that are visible, attempts still open, attempts that ended without a usage row. */
function booksOf(job: Job): Promise<readonly Books[]> {
  return farm.sql<Books>(
    `select t.stage,
       count(*) filter (where a.state = 'succeeded')::int as succeeded,
       count(distinct o.task_id)::int as visible,
       count(*) filter (where a.state = 'running')::int as open,
       count(*) filter (where a.state <> 'running' and u.attempt_id is null)::int as unbooked
     from render r join task_user tu on tu.render_id = r.id join task t on t.id = tu.task_id
     join attempt a on a.task_id = t.id
     left join (select distinct task_id from task_output) o on o.task_id = t.id
     left join usage u on u.attempt_id = a.id
     where r.job_id = $1 group by t.id, t.stage`,
    [job.jobId],
  );
}

async function expectEndedOnce(job: Job): Promise<void> {
  expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  expect(latentsOf(job)).toBe(undisturbed);
  journals.tester.write({ kind: "expected", jobId: job.jobId, name: "latents", sha256: undisturbed });
  for (const books of await booksOf(job)) expect(books).toMatchObject({ succeeded: 1, visible: 1, open: 0, unbooked: 0 });
  const ends = await farm.sql<{ n: number }>("select count(*)::int as n from event where job_id = $1 and kind = 'job.succeeded'", [
    job.jobId,
  ]);
  expect(ends[0]?.n).toBe(1);
}

function say(what: string, began: number): void {
  process.stdout.write(`${what}: the render ended ${((performance.now() - began) / 1000).toFixed(1)} s later\n`);
}

beforeAll(async () => {
  nats = await startTestNats();
  journals = await openJournals();
  farm = await startTestFarm({ environment: { NATS_URL: nats.url }, journals });
  undisturbed = latentsOf(await endOf(farm, await submitLong(farm)));
}, timeoutMs);

afterEach(async () => {
  expect(await violationsOf(farm, journals)).toEqual([]);
}, timeoutMs);

afterAll(async () => {
  await farm.stop();
  await nats.stop();
  await journals.remove();
});

describe("a render in the middle of its denoise", () => {
  it(
    "ends once on another worker when its worker agent is killed",
    async () => {
      const job = await submitLong(farm);
      const { workerName: worker } = await denoising(farm, job);
      const began = performance.now();
      process.kill(await processOf(farm, worker), "SIGKILL");
      const done = await endOf(farm, job);
      say("kill -9 of the worker agent", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(2);
    },
    timeoutMs,
  );

  it(
    "ends once when its stage runtime is killed, on the other worker, and the first gets a new runtime",
    async () => {
      const job = await submitLong(farm);
      const { workerName: worker } = await denoising(farm, job);
      const runtime = await runtimeOf(farm, worker);
      const began = performance.now();
      process.kill(runtime, "SIGKILL");
      const done = await endOf(farm, job);
      say("kill -9 of the stage runtime", began);
      await expectEndedOnce(done);
      const denoise = done.tasks.find(({ stage }) => stage === "denoise");
      expect(denoise?.attempts).toBe(2);
      expect(denoise?.workerName).not.toBe(worker);
      expect(await runtimeOf(farm, worker)).not.toBe(runtime);
    },
    timeoutMs,
  );

  it(
    "goes on and ends once when the coordinator is killed and starts again",
    async () => {
      const job = await submitLong(farm);
      await denoising(farm, job);
      const began = performance.now();
      process.kill(await processOf(farm, "coordinator"), "SIGKILL");
      const done = await endOf(farm, job);
      say("kill -9 of the coordinator", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
    },
    timeoutMs,
  );

  it(
    "loses nothing and is not started anew when NATS is down for 20 s, longer than a lease",
    async () => {
      const job = await submitLong(farm);
      const { workerName: worker } = await denoising(farm, job);
      const runtime = await runtimeOf(farm, worker);
      const began = performance.now();
      const fromMs = Date.now();
      await nats.halt();
      await pause(20_000);
      await nats.resume();
      journals.tester.write({ kind: "outage", what: "NATS", fromMs, untilMs: Date.now() });
      const done = await endOf(farm, job);
      say("NATS down for 20 s", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
      expect(await runtimeOf(farm, worker)).toBe(runtime);
    },
    timeoutMs,
  );

  it(
    "loses nothing when NATS comes back without any of its streams",
    async () => {
      const job = await submitLong(farm);
      await denoising(farm, job);
      const began = performance.now();
      await nats.halt();
      await nats.lose();
      await nats.resume();
      const done = await endOf(farm, job);
      say("NATS without its streams", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
    },
    timeoutMs,
  );
});

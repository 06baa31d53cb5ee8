/**
 * The whole farm under violence: real programs are killed or frozen in the middle of a denoise, and the render
 * still ends, once, with the same latents as a render that nobody disturbed.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../services/domain/errors.ts";
import { type Job, JobState, RenderSpec, Reuse, SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { pause } from "../../services/platform/deadline.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";

/** Long enough to be caught in the middle: about 10 s of denoise on the demo model. */
const steps = 800;
const timeoutMs = 180_000;

let nats: TestNats;
let farm: TestFarm;
let undisturbed: string;

async function submit(): Promise<Job> {
  const [image, clip] = await Promise.all(["demo/image.png", "demo/clip.mp4"].map((path) => farm.client.upload(join(projectRoot, path))));
  const render = RenderSpec.create({
    model: "demo",
    image: { sha256: image?.sha256 ?? "" },
    prompt: "The pot begins to inflate.",
    references: [{ sha256: clip?.sha256 ?? "" }],
    referencePrompts: ["A ball inflates."],
    seed: 7n,
    steps,
    outputs: [OutputKind.OUTPUT_KIND_LATENTS],
  });
  return farm.client.submit(SubmitRenderRequest.create({ render, reuse: Reuse.REUSE_NONE }));
}

/** Follows a job until its denoise is well under way; says on which worker. */
async function denoising(job: Job): Promise<string> {
  const watching = new AbortController();
  for await (const { update } of farm.client.watch(job.jobId, { signal: watching.signal })) {
    if (update?.$case !== "progress") continue;
    const { stage, step, workerName } = update.value;
    if (stage === "denoise" && step > steps / 10) return workerName;
  }
  return expect.fail("the job ended before it was disturbed");
}

async function followed(updates: AsyncIterator<unknown>): Promise<void> {
  while ((await updates.next()).done !== true);
}

/** Waits for the job's end through whatever happens to the coordinator meanwhile. */
async function ended(job: Job): Promise<Job> {
  for (;;) {
    try {
      await followed(farm.client.watch(job.jobId));
      const now = await farm.client.getJob(job.jobId);
      if (now.endTime !== undefined) return now;
    } catch (thrown) {
      if (!(thrown instanceof FarmError && thrown.code === "COORDINATOR_UNAVAILABLE")) throw thrown;
      await pause(100);
    }
  }
}

async function processOf(name: string): Promise<number> {
  const found = (await farm.running()).processes.find((one) => one.name === name);
  return found?.processId ?? expect.fail(`no process ${name}`);
}

async function runtimeOf(worker: string): Promise<number> {
  const text = await readFile(join(farm.dataFolder, "workers", worker, "runtime.pid"), "utf8");
  return Number(/\d+/.exec(text)?.[0]);
}

function latentsOf(job: Job): string {
  return job.artifacts.find(({ name }) => name === "latents")?.sha256 ?? "none";
}

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
  farm = await startTestFarm({ environment: { NATS_URL: nats.url } });
  undisturbed = latentsOf(await ended(await submit()));
}, timeoutMs);

afterAll(async () => {
  await farm.stop();
  await nats.stop();
});

describe("a render in the middle of its denoise", () => {
  it(
    "ends once on another worker when its worker agent is killed",
    async () => {
      const job = await submit();
      const worker = await denoising(job);
      const began = performance.now();
      process.kill(await processOf(worker), "SIGKILL");
      const done = await ended(job);
      say("kill -9 of the worker agent", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(2);
    },
    timeoutMs,
  );

  it(
    "ends once when its stage runtime is killed, on the other worker, and the first gets a new runtime",
    async () => {
      const job = await submit();
      const worker = await denoising(job);
      const runtime = await runtimeOf(worker);
      const began = performance.now();
      process.kill(runtime, "SIGKILL");
      const done = await ended(job);
      say("kill -9 of the stage runtime", began);
      await expectEndedOnce(done);
      const denoise = done.tasks.find(({ stage }) => stage === "denoise");
      expect(denoise?.attempts).toBe(2);
      expect(denoise?.workerName).not.toBe(worker);
      expect(await runtimeOf(worker)).not.toBe(runtime);
    },
    timeoutMs,
  );

  it(
    "goes on and ends once when the coordinator is killed and starts again",
    async () => {
      const job = await submit();
      await denoising(job);
      const began = performance.now();
      process.kill(await processOf("coordinator"), "SIGKILL");
      const done = await ended(job);
      say("kill -9 of the coordinator", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
    },
    timeoutMs,
  );

  it(
    "loses nothing and is not started anew when NATS is down for 20 s, longer than a lease",
    async () => {
      const job = await submit();
      const worker = await denoising(job);
      const runtime = await runtimeOf(worker);
      const began = performance.now();
      await nats.halt();
      await pause(20_000);
      await nats.resume();
      const done = await ended(job);
      say("NATS down for 20 s", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
      expect(await runtimeOf(worker)).toBe(runtime);
    },
    timeoutMs,
  );

  it(
    "loses nothing when NATS comes back without any of its streams",
    async () => {
      const job = await submit();
      await denoising(job);
      const began = performance.now();
      await nats.halt();
      await nats.lose();
      await nats.resume();
      const done = await ended(job);
      say("NATS without its streams", began);
      await expectEndedOnce(done);
      expect(done.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(1);
    },
    timeoutMs,
  );
});

/**
 * A manifest of 100,000 renders against a real coordinator process and Postgres. VAPFARM_TEST_RENDERS makes it smaller or larger.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  CancelJobRequest,
  ExplainJobRequest,
  FarmServiceClient,
  type Job,
  ListRendersRequest,
  type RenderSpec,
  type SubmitManifestRequest,
  type SubmitManifestResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool, type Pool } from "../../../services/platform/database/pool.ts";
import { callClientStream, callUnary, connectClient } from "../../../services/platform/grpc/client.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { type CoordinatorProcess, startCoordinatorProcess } from "../../support/coordinator-process.ts";
import { call, getJob, present, renderRequest, upload } from "../../support/farm-calls.ts";
import { playWorker } from "../../support/played-worker.ts";
import { projectRoot, testFfmpegPath } from "../../support/ffmpeg.ts";
import { until } from "../../support/until.ts";

const renderCount = Number(process.env["VAPFARM_TEST_RENDERS"] ?? 100_000);
const window = 40;
const minuteMs = 60_000;

let farm: CoordinatorFarm;
let coordinator: CoordinatorProcess;
let client: FarmServiceClient;
let pool: Pool;
let base: RenderSpec;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  const own = { VAPFARM_OPEN_RENDERS: String(window), VAPFARM_FFMPEG: await testFfmpegPath(), VAPFARM_EXIT_WITH_PARENT: "1" };
  coordinator = startCoordinatorProcess({ ...farm.settings(), ...own });
  client = connectClient(FarmServiceClient, (await coordinator.ready).grpcAddress, 4 * 1024 * 1024);
  pool = openPool({ url: farm.databaseUrl, applicationName: "onlooker", connections: 2 });
  const media = async (name: string): Promise<string> => (await upload(client, await readFile(join(projectRoot, "demo", name)))).sha256;
  const named = { image: await media("image.png"), clip: await media("clip.mp4") };
  base = present(renderRequest(named, { steps: 2 }).render);
}, 2 * minuteMs);
afterAll(async () => {
  client.close();
  coordinator.process.kill();
  await coordinator.ended;
  await pool.end();
  await farm.stop();
});

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* manifest(prompt: string): AsyncGenerator<SubmitManifestRequest> {
  yield { part: { $case: "header", value: { idempotencyKey: prompt, jobClass: 0, priority: 0, deadline: undefined, reuse: 0, webhook: undefined, validateOnly: false } } }; // prettier-ignore
  for (let first = 0; first < renderCount; first += 500) {
    const length = Math.min(500, renderCount - first);
    const renders = Array.from({ length }, (_, index) => ({ ...base, prompt: `${prompt} ${first + index}` }));
    yield { part: { $case: "renders", value: { renders } } };
  }
}

function submitAll(prompt: string): Promise<SubmitManifestResponse> {
  return callClientStream(client.submitManifest.bind(client), manifest(prompt), { deadlineMs: 10 * minuteMs });
}

async function count(text: string): Promise<number> {
  const { rows } = await pool.query<{ readonly count: number }>(`select count(*)::integer as count from ${text}`);
  return rows[0]?.count ?? 0;
}

const openRenders = "render where state in ('queued', 'running') and not is_waiting";

/** Bytes that the process had at most. */
async function peakBytes(pid: number): Promise<number> {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "latin1"))?.[1];
  return Number(kilobytes) * 1024;
}

let job: Job;

it("stores them all in bounded memory, shows them at once, and opens a window of them", { timeout: 10 * minuteMs }, async () => {
  const before = await peakBytes(present(coordinator.process.pid));
  const answer = await submitAll("many");
  job = present(answer.job);
  expect(answer).toMatchObject({ renderCount, wrongCount: 0, faults: [] });
  expect(job.renderCounts).toMatchObject({ total: renderCount, queued: renderCount });
  expect((await peakBytes(present(coordinator.process.pid))) - before).toBeLessThan(400e6);
  const { renders } = await call(client.listRenders.bind(client), ListRendersRequest.create({ jobId: job.jobId, pageSize: 1_000 }));
  expect(renders.map(({ position }) => position)).toEqual(Array.from({ length: Math.min(1_000, renderCount) }, (_, index) => index));
  await until("the window is filled", async () => (await count(openRenders)) === 35);
  const { summary, waitingRenders } = await call(client.explainJob.bind(client), ExplainJobRequest.create({ jobId: job.jobId }));
  expect(waitingRenders).toMatchObject([{ pool: "test", renderCount: renderCount - 35, openRenders: 35, window }]);
  expect(summary).toContain("wait for the window of pool test");
});

it("keeps the window while workers finish renders", { timeout: 5 * minuteMs }, async () => {
  const worker = await playWorker(farm.broker, farm.artifacts);
  for (let ended = 0; ended < 3; ended = (await getJob(client, job.jobId)).renderCounts?.succeeded ?? 0) {
    await worker.finish(await worker.claim());
    expect(await count(openRenders)).toBeLessThanOrEqual(window);
  }
  await until("the window is filled again", async () => (await count(openRenders)) >= 35);
  worker.stop();
});

it("cancels the whole in bounded statements, and loses no count", { timeout: 10 * minuteMs }, async () => {
  const { renderCounts } = present(
    (await callUnary(client.cancelJob.bind(client), CancelJobRequest.create({ jobId: job.jobId }), { deadlineMs: 10 * minuteMs })).job,
  );
  expect(renderCounts).toMatchObject({ queued: 0, running: 0, total: renderCount });
  expect(present(renderCounts).cancelled + present(renderCounts).succeeded).toBe(renderCount);
  expect(await count("waiting")).toBe(0);
  expect(await count("render where is_waiting or state in ('queued', 'running')")).toBe(0);
  expect(await count("event e join job j on j.id = e.job_id where e.number > j.last_event")).toBe(0);
});

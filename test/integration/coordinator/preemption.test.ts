import { afterAll, beforeAll, expect, it } from "vitest";
import { AttemptReport, Level, type TaskClaim } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { DeadlineStanding, type FarmServiceClient, JobClass, Reuse } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool } from "../../../services/platform/database/pool.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { cancel, getJob, type Media, renderRequest, sha256Of, submit, uploadMedia, watch } from "../../support/farm-calls.ts";
import { claimOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
let worker: PlayedWorker;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  const pool = openPool({ url: farm.databaseUrl, applicationName: "test", connections: 1 });
  await pool.end();
  const environment = { VAPFARM_PREEMPTION: '{"graceMs":0,"minRunMs":1000,"leastLeftMs":0}' };
  const timings = { preemptionMs: 50, deadlinesMs: 50 };
  const [first] = await Promise.all([farm.start({ environment, timings }), farm.start({ environment, timings })]);
  client = first.client;
  media = await uploadMedia(client);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

/** The run is in its first step of two, has computed for ten minutes and kept that. */
async function computes({ attemptId }: TaskClaim): Promise<void> {
  const checkpoint = { sha256: sha256Of(Buffer.from(attemptId)), sizeBytes: 5n };
  await worker.beat([attemptId], { announcedArtifacts: [{ ...checkpoint, name: "checkpoint", mediaType: "text/plain" }] });
  await worker.beat([attemptId], { checkpoint: { ...checkpoint, step: 1 }, deviceMs: 600_000 });
}

it("a run hears at once that it makes way, whichever coordinator decided it, and its slot goes to what comes first", async () => {
  const long = await submit(client, { ...renderRequest(media, { prompt: "long" }), jobClass: JobClass.JOB_CLASS_BENCHMARK });
  const claim = await worker.claim();
  await computes(claim);
  const urgent = await submit(client, { ...renderRequest(media, { prompt: "urgent" }), reuse: Reuse.REUSE_NONE });
  const { kind } = await worker.signal("level");
  expect(kind).toEqual({ $case: "level", value: { attemptId: claim.attemptId, level: Level.LEVEL_PREEMPT } });
  const beat = await worker.beat([claim.attemptId], { deviceMs: 600_000 });
  expect(beat.outcome).toMatchObject({ value: { levels: [{ level: Level.LEVEL_PREEMPT }] } });
  const failure = { code: "STAGE_CANCELLED", message: "made way for another task", abandoned: true, badInputSha256: [] };
  const report = AttemptReport.create({ attemptId: claim.attemptId, outcome: { $case: "failure", value: failure } });
  const given = claimOf(await worker.next({ reports: [report] }));
  expect(given?.jobIds).toEqual([urgent.jobId]);
  const shown = await getJob(client, long.jobId);
  expect(shown.tasks.find(({ taskId }) => taskId === claim.taskId)).toMatchObject({ preemptions: 1 });
  await cancel(client, long.jobId);
  await cancel(client, urgent.jobId);
});

it("a deadline that is over is told to who watches, and shown; the job goes on", async () => {
  const { jobId } = await submit(client, { ...renderRequest(media, { prompt: "late" }), deadline: new Date(Date.now() + 60_000) });
  expect((await getJob(client, jobId)).deadlineStanding).toBe(DeadlineStanding.DEADLINE_STANDING_IN_TIME);
  const pool = openPool({ url: farm.databaseUrl, applicationName: "test", connections: 1 });
  await pool.query("update job set deadline = now() - interval '1 s' where id = $1", [jobId]);
  await pool.end();
  const watching = new AbortController();
  for await (const { update } of watch(client, { jobId, signal: watching.signal })) {
    if (update?.$case === "event" && update.value.kind === "job.deadline_missed") break;
  }
  watching.abort();
  const shown = await getJob(client, jobId);
  expect(shown).toMatchObject({ deadlineStanding: DeadlineStanding.DEADLINE_STANDING_MISSED, endTime: undefined });
  await cancel(client, jobId);
});

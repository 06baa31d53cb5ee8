import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FarmServiceClient, JobState, TaskState, WorkerState } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { ProgressMessage } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { type Labels, scrape, valueIn } from "../../support/exposition.ts";
import {
  cancel,
  download,
  getJob,
  listWorkers,
  type Media,
  present,
  renderRequest,
  sha256Of,
  submit,
  uploadMedia,
  watch,
  watchedEvents,
} from "../../support/farm-calls.ts";
import { claimOf, failureOf, type PlayedWorker, playWorker, storeOutputs, successOf } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let one: RunningCoordinator;
let two: RunningCoordinator;
let client: FarmServiceClient;
let media: Media;
let worker: PlayedWorker;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  [one, two] = await Promise.all([farm.start(), farm.start()]);
  client = one.client;
  media = await uploadMedia(client);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

/** Runs what there is until a job has ended. */
async function runUntilEnded(jobId: string): Promise<void> {
  let claim = await worker.claim();
  for (;;) {
    const following = claimOf(await worker.finish(claim));
    if ((await getJob(client, jobId)).state >= JobState.JOB_STATE_SUCCEEDED) return;
    claim = following ?? (await worker.claim());
  }
}

describe("a render through two coordinators", () => {
  it("runs to its end: events without a gap, artifacts as they were stored, a worker that is listed", async () => {
    const outputs = [OutputKind.OUTPUT_KIND_MP4, OutputKind.OUTPUT_KIND_LATENTS, OutputKind.OUTPUT_KIND_FRAMES];
    const { jobId, tasks } = await submit(client, renderRequest(media, { outputs }));
    const watched = [one, two].map((coordinator) => watchedEvents(watch(coordinator.client, { jobId })));
    await runUntilEnded(jobId);
    const [events = [], others] = await Promise.all(watched);
    expect(events.map(({ number }) => Number(number))).toEqual(events.map((_event, index) => index + 1));
    expect([events[0]?.kind, events.at(-1)?.kind]).toEqual(["job.submitted", "job.succeeded"]);
    expect(events.filter(({ kind }) => kind === "task.succeeded")).toHaveLength(tasks.length);
    expect(others).toEqual(events);

    const job = await getJob(client, jobId);
    expect(job.tasks.every(({ state, provider }) => state === TaskState.TASK_STATE_SUCCEEDED && provider === "cpu")).toBe(true);
    expect(job.artifacts.map(({ name }) => name).sort()).toEqual(["frames", "latents", "mp4"]);
    const { artifact, bytes, sizes } = await download(two.client, jobId, "mp4");
    expect([sha256Of(bytes), BigInt(bytes.length)]).toEqual([artifact.sha256, artifact.sizeBytes]);
    expect(sizes).toEqual([0, 262_144, 300_000 - 262_144]);
    expect(await listWorkers(client)).toMatchObject([{ name: worker.workerId, state: WorkerState.WORKER_STATE_IDLE, models: ["demo"] }]);
  });

  it("shares equal work with a later render of the tenant, which then ends at once", async () => {
    const { jobId } = await submit(client, renderRequest(media, { seed: 1n }));
    await runUntilEnded(jobId);
    const again = await submit(two.client, renderRequest(media, { seed: 1n }));
    expect([again.state, again.tasks.every(({ reused }) => reused)]).toEqual([JobState.JOB_STATE_SUCCEEDED, true]);
    expect(await watchedEvents(watch(client, { jobId: again.jobId, after: again.lastEventNumber }))).toEqual([]);
  });

  it("resumes a watch after a number, each event once", async () => {
    const { jobId } = await submit(client, renderRequest(media, { seed: 2n }));
    await runUntilEnded(jobId);
    const all = await watchedEvents(watch(client, { jobId }));
    for (const after of [1, 2, all.length - 1]) {
      expect(await watchedEvents(watch(two.client, { jobId, after: BigInt(after) }))).toEqual(all.slice(after));
    }
    const beyond = watchedEvents(watch(client, { jobId, after: BigInt(all.length + 1) }));
    await expect(beyond).rejects.toMatchObject({ code: "FIELD_INVALID", details: { fields: [{ field: "after_event_number" }] } });
  });

  it("passes live progress on between the events", async () => {
    const { jobId } = await submit(client, renderRequest(media, { seed: 3n }));
    const updates = watch(two.client, { jobId });
    await updates.next();
    const message = ProgressMessage.create({
      jobId,
      stage: "denoise",
      taskId: 5n,
      workerName: "w",
      phase: "denoise",
      step: 3,
      steps: 50,
      remainingMs: 1_000,
    });
    farm.broker.publish(subjectsOf("local").progress(jobId), Buffer.from([255, 255, 255]));
    farm.broker.publish(subjectsOf("local").progress(jobId), ProgressMessage.encode(message).finish());
    expect((await updates.next()).value).toMatchObject({
      update: { $case: "progress", value: { stage: "denoise", step: 3, steps: 50, workerName: "w" } },
    });
    await updates.return(undefined);
    await cancel(client, jobId);
  });

  it("ends with the code, stage and remedy of what failed", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to fail" }));
    const claim = await worker.claim();
    await worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    const events = await watchedEvents(watch(client, { jobId }));
    expect(events.at(-1)?.kind).toBe("job.failed");
    const { failure, state } = await getJob(client, jobId);
    expect(state).toBe(JobState.JOB_STATE_FAILED);
    expect(failure).toMatchObject({ code: "STAGE_INPUT_INVALID", stage: claim.stage, remedy: "check model and stage versions" });
  });

  it("tells a running worker at once, and by its beat, that nobody wants the result any more", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be cancelled" }));
    const claim = await worker.claim();
    await cancel(two.client, jobId);
    const pushed = await worker.signal("level");
    expect(pushed.kind).toMatchObject({ $case: "level", value: { attemptId: claim.attemptId, level: 2 } });
    const beaten = await worker.beat([claim.attemptId]);
    expect(beaten.outcome).toMatchObject({ $case: "answer", value: { levels: [{ attemptId: claim.attemptId, level: 2 }] } });
    const abandoned = { code: "STAGE_CANCELLED", message: "", abandoned: true, badInputSha256: [], logTail: "" };
    await worker.report([{ ...failureOf(claim, ""), outcome: { $case: "failure", value: abandoned } }]);
  });

  it("does not hand out bytes that are not what their name says", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be damaged" }));
    await runUntilEnded(jobId);
    const job = await getJob(client, jobId);
    const { sha256 } = present(job.artifacts[0]);
    const folder = farm.artifactsFolder;
    await writeFile(`${folder}/${sha256.slice(0, 2)}/${sha256}`, "damaged");
    await expect(download(client, jobId, "mp4")).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    await farm.artifacts.delete(sha256);
    await expect(download(client, jobId, "mp4")).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
  });

  it("counts attempts, calls and the queue", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be counted" }));
    const pages = await Promise.all([one, two].map(({ coordinator }) => scrape(coordinator.httpAddress())));
    await cancel(client, jobId);
    const sum = (name: string, labels: Labels): number => pages.reduce((total, page) => total + (valueIn(page, name, labels) ?? 0), 0);
    expect(sum("vapfarm_attempts_total", { stage: "denoise", outcome: "succeeded" })).toBeGreaterThan(0);
    expect(sum("vapfarm_wait_seconds_count", { pool: "test", class: "production" })).toBeGreaterThan(0);
    const outcomes = pages.flatMap((page) => page.get("vapfarm_attempts_total")?.samples ?? []);
    expect(outcomes.filter(({ labels, value }) => labels["outcome"] === "STAGE_INPUT_INVALID" && value > 0).length).toBe(1);
    expect(sum("vapfarm_stage_seconds_count", { stage: "denoise" })).toBeGreaterThan(0);
    expect(sum("vapfarm_rpc_seconds_count", { method: "SubmitRender", code: "OK" })).toBeGreaterThan(0);
    // What is in the queue is the same on both.
    const [queue, other] = pages.map((page) => page.get("vapfarm_queue_tasks")?.samples ?? []);
    expect(queue?.length).toBeGreaterThan(0);
    expect(queue).toEqual(other);
  });
});

describe("a watch", () => {
  it("is sent away when its coordinator stops, and goes on at another", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be watched elsewhere" }));
    const leaving = await farm.start();
    const updates = watch(leaving.client, { jobId });
    const first = await updates.next();
    expect(first.value).toMatchObject({ update: { $case: "event", value: { number: 1n } } });
    const ended = updates.next();
    const [, outcome] = await Promise.allSettled([leaving.coordinator.stop(), ended]);
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "COORDINATOR_UNAVAILABLE" } });
    const resumed = watchedEvents(watch(client, { jobId, after: 1n }));
    await cancel(client, jobId);
    expect((await resumed).at(-1)?.kind).toBe("job.cancelled");
  });
});

describe("reports", () => {
  it("of an attempt that is not current change nothing", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be given back" }));
    const claim = await worker.claim();
    const outputs = await storeOutputs(farm.artifacts, claim);
    // An ask that does not list the claim gives it back; the task is claimed anew under another fence.
    const second = present(claimOf(await worker.next()));
    const late = await worker.report([successOf(claim, outputs)]);
    expect(late.outcome).toMatchObject({ $case: "answer", value: { reportOutcomes: [{ attemptId: claim.attemptId, disposition: 3 }] } });
    const good = await worker.report([successOf(second, await storeOutputs(farm.artifacts, second))]);
    expect(good.outcome).toMatchObject({ $case: "answer", value: { reportOutcomes: [{ disposition: 1 }] } });
    const twice = await worker.report([successOf(second, await storeOutputs(farm.artifacts, second))]);
    expect(twice.outcome).toMatchObject({ $case: "answer", value: { reportOutcomes: [{ disposition: 2 }] } });
    await cancel(client, jobId);
  });
});

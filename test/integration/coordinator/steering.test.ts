import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CancelRenderRequest,
  CordonWorkerRequest,
  DrainWorkerRequest,
  ExplainJobRequest,
  type FarmServiceClient,
  GetRenderRequest,
  GetWorkerRequest,
  JobState,
  RetryJobRequest,
  RetryRenderRequest,
  SubmitRendersRequest,
  UncordonWorkerRequest,
  UpdateJobRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import {
  GetFarmRequest,
  GetModelRequest,
  GetUsageRequest,
  ListModelsRequest,
  UsageKey,
} from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, cancel, getJob, type Media, present, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { type PlayedWorker, playWorker } from "../../support/played-worker.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
let worker: PlayedWorker;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
  media = await uploadMedia(client);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

const codeOf = async (asked: Promise<unknown>) => (await refusalOf(asked)).code;
const unknownJob = "0b54ce1c-0000-4000-8000-000000000001";

async function submitTwo(): Promise<string> {
  const renders = [1, 2].map((seed) => present(renderRequest(media, { seed: BigInt(seed) }).render));
  return present((await call(client.submitRenders.bind(client), SubmitRendersRequest.create({ renders }))).job).jobId;
}

describe("steering a job", () => {
  it("cancels one render, then runs it again, and says when there is nothing to run again", async () => {
    const jobId = await submitTwo();
    const name = { jobId, position: 1 };
    const cancelOne = () => call(client.cancelRender.bind(client), CancelRenderRequest.create(name));
    expect([(await cancelOne()).render?.state, (await cancelOne()).render?.state]).toEqual(Array(2).fill(JobState.JOB_STATE_CANCELLED));
    expect((await getJob(client, jobId)).renderCounts).toMatchObject({ total: 2, queued: 1, cancelled: 1 });
    const retryOne = () => call(client.retryRender.bind(client), RetryRenderRequest.create(name));
    expect([(await retryOne()).render?.state, (await retryOne()).render?.state]).toEqual(Array(2).fill(JobState.JOB_STATE_QUEUED));
    await cancel(client, jobId);
    const retryAll = () => call(client.retryJob.bind(client), RetryJobRequest.create({ jobId }));
    const [first, again] = [await retryAll(), await retryAll()];
    expect([first.retriedRenders, first.job?.state, again.retriedRenders]).toEqual([2, JobState.JOB_STATE_QUEUED, 0]);
    await cancel(client, jobId);
  });

  it("changes what the mask names, and nothing of a job that has ended", async () => {
    const { jobId } = await submit(client, { ...renderRequest(media), priority: 5 });
    const update = (change: Partial<UpdateJobRequest>) =>
      call(client.updateJob.bind(client), UpdateJobRequest.create({ jobId, ...change }));
    const deadline = new Date(Date.now() + 3_600_000);
    const { job } = await update({ priority: 9, deadline, updateMask: ["deadline"] });
    expect([job?.priority, job?.deadline?.getTime()]).toEqual([5, deadline.getTime()]);
    expect((await update({ updateMask: ["deadline", "priority"], priority: -1 })).job).toMatchObject({ priority: -1, deadline: undefined });
    const wrong = await refusalOf(update({ updateMask: ["priority", "tenant"], priority: 500 }));
    expect(wrong.details.fields?.map(({ field }) => field)).toEqual(["update_mask", "priority"]);
    expect(await codeOf(update({}))).toBe("FIELD_INVALID");
    await cancel(client, jobId);
    expect(await refusalOf(update({ updateMask: ["priority"] }))).toMatchObject({
      code: "JOB_ENDED",
      details: { grpcStatus: "FAILED_PRECONDITION", subject: jobId },
    });
  });

  it("knows which job, render or position is missing", async () => {
    const { jobId } = await submit(client, renderRequest(media));
    const get = (name: { readonly jobId: string; readonly position: number }) =>
      call(client.getRender.bind(client), GetRenderRequest.create(name));
    expect(await codeOf(get({ jobId, position: 1 }))).toBe("RENDER_UNKNOWN");
    expect(await codeOf(get({ jobId, position: -1 }))).toBe("FIELD_INVALID");
    expect(await refusalOf(get({ jobId: unknownJob, position: 0 }))).toMatchObject({
      code: "JOB_UNKNOWN",
      details: { resource: { type: "job", name: unknownJob } },
    });
    expect(await codeOf(call(client.retryJob.bind(client), RetryJobRequest.create({ jobId: "x" })))).toBe("JOB_UNKNOWN");
    await cancel(client, jobId);
  });

  it("explains why each task waits", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be explained" }));
    const explain = (change: Partial<ExplainJobRequest>) =>
      call(client.explainJob.bind(client), ExplainJobRequest.create({ jobId, ...change }));
    const { summary, tasks, openTasks, state } = await explain({});
    expect([state, summary.length > 0, tasks.length]).toEqual([JobState.JOB_STATE_QUEUED, true, openTasks]);
    expect(tasks.every(({ constraints }) => constraints.length > 0 && constraints.every(({ kind }) => kind > 0))).toBe(true);
    expect(await codeOf(explain({ renderPosition: 4 }))).toBe("RENDER_UNKNOWN");
    expect(await codeOf(explain({ renderPosition: -4 }))).toBe("FIELD_INVALID");
    await cancel(client, jobId);
  });
});

describe("operating the farm", () => {
  it("cordons, drains and uncordons a worker by its id", async () => {
    const { workerId } = worker;
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be known by" }));
    await worker.claim();
    await cancel(client, jobId);
    const cordoned = await call(client.cordonWorker.bind(client), CordonWorkerRequest.create({ workerId, reason: "looking" }));
    expect(cordoned.worker?.cordon).toMatchObject({ reason: "looking", placedBy: "local", drainTime: undefined });
    const drained = await call(client.drainWorker.bind(client), DrainWorkerRequest.create({ workerId, graceMs: 0n }));
    expect(drained.worker?.cordon?.drainTime).toBeDefined();
    await call(client.uncordonWorker.bind(client), UncordonWorkerRequest.create({ workerId }));
    const { worker: after } = await call(client.getWorker.bind(client), GetWorkerRequest.create({ workerId }));
    expect([after?.workerId, after?.cordon]).toEqual([workerId, undefined]);
    for (const name of ["", "none", "a\0b"]) {
      expect(await codeOf(call(client.getWorker.bind(client), GetWorkerRequest.create({ workerId: name })))).toBe("WORKER_UNKNOWN");
    }
    const late = call(
      client.drainWorker.bind(client),
      DrainWorkerRequest.create({ workerId, graceMs: 86_400_001n, reason: "x".repeat(501) }),
    );
    expect((await refusalOf(late)).details.fields?.map(({ field }) => field)).toEqual(["reason", "grace_ms"]);
  });

  it("shows pools, models and usage", async () => {
    const { farm: glance } = await call(client.getFarm.bind(client), GetFarmRequest.create());
    expect(glance).toMatchObject({ name: "local", pools: [{ name: "test", profile: "cpu;test" }], holds: [] });
    const { models } = await call(client.listModels.bind(client), ListModelsRequest.create());
    const shared = { weights: "random", width: 64, height: 48, frames: 17, defaults: { steps: 50 }, pool: "test" };
    expect(models).toMatchObject([
      { name: "demo", variant: "cogvideox", schedulers: ["ddim", "dpm"], ...shared },
      { name: "demo-wan", variant: "wan", schedulers: ["unipc", "euler"], ...shared },
    ]);
    const { model } = await call(client.getModel.bind(client), GetModelRequest.create({ name: "demo" }));
    expect(model).toEqual(models[0]);
    expect(await codeOf(call(client.getModel.bind(client), GetModelRequest.create({ name: "none" })))).toBe("MODEL_NOT_FOUND");
    const usage = (change: Partial<GetUsageRequest>) => call(client.getUsage.bind(client), GetUsageRequest.create(change));
    expect((await usage({ groupBy: [UsageKey.USAGE_KEY_STAGE, UsageKey.USAGE_KEY_DAY] })).total?.attempts).toBe(0n);
    const doubled = [UsageKey.USAGE_KEY_STAGE, UsageKey.USAGE_KEY_STAGE, UsageKey.USAGE_KEY_UNSPECIFIED];
    expect((await refusalOf(usage({ groupBy: doubled }))).details.fields?.map(({ field }) => field)).toEqual([
      "group_by[2]",
      "group_by[1]",
    ]);
    expect(await codeOf(usage({ from: new Date(1_000), until: new Date(1_000) }))).toBe("FIELD_INVALID");
    expect(await codeOf(usage({ jobId: unknownJob }))).toBe("JOB_UNKNOWN");
  });
});

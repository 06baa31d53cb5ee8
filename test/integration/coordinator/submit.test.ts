import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FarmServiceClient } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { JobState, SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind, SchedulerKind } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { type CoordinatorFarm, startCoordinatorFarm, testPool } from "../../support/coordinator-farm.ts";
import {
  cancel,
  download,
  getJob,
  listWorkers,
  type Media,
  present,
  refusalOf,
  renderRequest,
  submit,
  uploadMedia,
} from "../../support/farm-calls.ts";

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  ({ client } = await farm.start());
  media = await uploadMedia(client);
});
afterAll(() => farm.stop());

describe("submitting a render", () => {
  it("stores it with every default filled in and a drawn seed", async () => {
    const job = await submit(client, renderRequest(media));
    const render = present(job.render);
    expect(job.state).toBe(JobState.JOB_STATE_QUEUED);
    expect([job.tenant, job.modelWeights, job.fps]).toEqual(["local", "random", 16]);
    expect(render).toMatchObject({ steps: 50, width: 64, height: 48, frames: 17, guidance: { scale: 6, dynamic: true } });
    expect([render.scheduler, render.outputs]).toEqual([SchedulerKind.SCHEDULER_KIND_DDIM, [OutputKind.OUTPUT_KIND_MP4]]);
    expect(render.seed).toBeGreaterThanOrEqual(0n);
    expect(render.negativePrompt?.length).toBeGreaterThan(0);
    expect(job.tasks.map(({ stage }) => stage).sort()).toEqual(
      [
        "denoise",
        "prepare",
        "prepare",
        "text_encode",
        "text_encode",
        "text_encode",
        "vae_decode",
        "vae_encode",
        "vae_encode",
        "vae_encode",
      ].sort(),
    );
    expect(await getJob(client, job.jobId)).toEqual(job);
  });

  it("returns the first job for a repeated idempotency key, its drawn seed too, from any coordinator", async () => {
    const request = { ...renderRequest(media), idempotencyKey: "once" };
    const first = await submit(client, request);
    const other = await farm.start();
    const repeats = await Promise.all([submit(client, request), submit(other.client, request)]);
    await other.stop();
    expect(repeats.map((job) => [job.jobId, job.render?.seed])).toEqual(Array(2).fill([first.jobId, first.render?.seed]));
  });

  it("makes one job of many simultaneous repeats", async () => {
    const request = { ...renderRequest(media), idempotencyKey: "at once" };
    const jobs = await Promise.all(Array.from({ length: 8 }, () => submit(client, request)));
    expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(1);
  });

  it("answers a repeat even when the request would not be accepted any more", async () => {
    const deadline = new Date(Date.now() + 1_500);
    const request = { ...renderRequest(media), idempotencyKey: "late", deadline };
    const first = await submit(client, request);
    await expect.poll(() => Date.now() > deadline.getTime(), { timeout: 5_000 }).toBe(true);
    expect((await submit(client, request)).jobId).toBe(first.jobId);
    await expect(submit(client, { ...request, idempotencyKey: "later" })).rejects.toMatchObject({ code: "FIELD_INVALID" });
  });

  it("refuses a used idempotency key with another body", async () => {
    const request = { ...renderRequest(media), idempotencyKey: "conflict" };
    await submit(client, request);
    await expect(submit(client, { ...request, priority: 1 })).rejects.toMatchObject({
      code: "IDEMPOTENCY_CONFLICT",
      details: { grpcStatus: "INVALID_ARGUMENT", fields: [{ field: "idempotency_key" }] },
    });
  });

  it("tells of every wrong field at once, with reason and remedy, and stores nothing", async () => {
    const wrong = renderRequest(media, { steps: 0, referencePrompts: [], width: 1, guidance: { scale: NaN, dynamic: false } });
    const refused = await refusalOf(submit(client, { ...wrong, priority: 1000, idempotencyKey: "wrong" }));
    expect([refused.code, refused.details["grpcStatus"]]).toEqual(["FIELD_INVALID", "INVALID_ARGUMENT"]);
    const fields = present(refused.details.fields);
    expect(fields.map(({ field }) => field)).toEqual([
      "render.reference_prompts",
      "render.steps",
      "render.guidance.scale",
      "render.width",
      "priority",
    ]);
    expect(fields.every(({ remedy }) => remedy.length > 0)).toBe(true);
    await expect(submit(client, { ...renderRequest(media), idempotencyKey: "wrong" })).resolves.toMatchObject({ tenant: "local" });
  });

  it("refuses a request without a render and a model that is not there", async () => {
    await expect(submit(client, SubmitRenderRequest.create())).rejects.toMatchObject({ code: "FIELD_INVALID" });
    await expect(submit(client, renderRequest(media, { model: "none" }))).rejects.toMatchObject({
      code: "MODEL_UNKNOWN",
      details: { grpcStatus: "INVALID_ARGUMENT", fields: [{ field: "render.model", remedy: "choose one of: demo, demo-wan" }] },
    });
  });

  it("warns of steps that do not divide 1000", async () => {
    const job = await submit(client, renderRequest(media, { steps: 30 }));
    expect(job.warnings.map(({ code }) => code)).toEqual(["STEPS_DO_NOT_DIVIDE_1000"]);
  });
});

describe("a job", () => {
  it("can be cancelled, twice, and stays cancelled", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "to be cancelled" }));
    expect((await cancel(client, jobId)).state).toBe(JobState.JOB_STATE_CANCELLED);
    expect((await cancel(client, jobId)).state).toBe(JobState.JOB_STATE_CANCELLED);
  });

  it("is unknown under another id", async () => {
    const unknown = { code: "JOB_UNKNOWN", details: { grpcStatus: "NOT_FOUND" } };
    await expect(getJob(client, "none")).rejects.toMatchObject(unknown);
    await expect(cancel(client, "none")).rejects.toMatchObject(unknown);
    await expect(download(client, "none", "mp4")).rejects.toMatchObject(unknown);
  });

  it("has no artifacts before it ends, and says so", async () => {
    const { jobId } = await submit(client, renderRequest(media));
    await expect(download(client, jobId, "mp4")).rejects.toMatchObject({ code: "ARTIFACT_UNKNOWN", details: { grpcStatus: "NOT_FOUND" } });
  });
});

describe("a pool whose workers are too small for the model", () => {
  it("is never asked to render it: the submit is refused, and says what it would take", async () => {
    const pools = JSON.stringify([{ ...testPool, memoryBytes: 2 * 1024 ** 2 }]);
    const small = await farm.start({ environment: { VAPFARM_POOLS: pools } });
    const refusal = await refusalOf(submit(small.client, renderRequest(media)));
    expect(refusal.code).toBe("FIELD_INVALID");
    const [fault] = refusal.details.fields ?? [];
    expect(fault?.field).toBe("render.model");
    expect(fault?.reason).toContain("workers of pool test have 2.0 MiB");
    await small.stop();
    const large = await farm.start({ environment: { VAPFARM_POOLS: JSON.stringify([{ ...testPool, memoryBytes: 2 ** 33 }]) } });
    const { jobId } = await submit(large.client, renderRequest(media, { seed: 77n }));
    await cancel(large.client, jobId);
    await large.stop();
  });
});

describe("callers", () => {
  const tokens = { ada: "a".repeat(16), rex: "r".repeat(16), eve: "e".repeat(16) };
  const as = (token: string) => ({ authorization: `Bearer ${token}` });

  it("see only their tenant's jobs, and a reader may not submit", async () => {
    const callers = [
      { token: tokens.ada, tenant: "one", role: "member" },
      { token: tokens.rex, tenant: "one", role: "reader" },
      { token: tokens.eve, tenant: "two", role: "admin" },
    ];
    const guarded = await farm.start({ environment: { VAPFARM_CALLERS: JSON.stringify(callers) } });
    const elsewhere = await submit(client, renderRequest(media));
    await expect(getJob(guarded.client, elsewhere.jobId, as(tokens.ada))).rejects.toMatchObject({ code: "JOB_UNKNOWN" });
    await expect(submit(guarded.client, renderRequest(media), as(tokens.rex))).rejects.toMatchObject({ code: "CALLER_NOT_ALLOWED" });
    await expect(submit(guarded.client, renderRequest(media))).rejects.toMatchObject({ code: "CALLER_UNKNOWN" });
    await expect(submit(guarded.client, renderRequest(media), as("x".repeat(16)))).rejects.toMatchObject({ code: "CALLER_UNKNOWN" });
    await expect(submit(guarded.client, renderRequest(media), as(tokens.ada))).rejects.toMatchObject({ code: "MEDIA_UNKNOWN" });
    await guarded.stop();
  });

  it("list no workers while there are none", async () => {
    expect(await listWorkers(client)).toEqual([]);
  });
});

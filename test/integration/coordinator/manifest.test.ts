import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type FarmServiceClient,
  GetRenderRequest,
  type ManifestHeader,
  ManifestHeader as Header,
  type RenderSpec,
  type SubmitManifestRequest,
  type SubmitManifestResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { callClientStream } from "../../../services/platform/grpc/client.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { call, getJob, type Media, present, refusalOf, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { until } from "../../support/until.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let client: FarmServiceClient;
let media: Media;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start({
    environment: { VAPFARM_OPEN_RENDERS: "2", VAPFARM_WAITING_RENDERS_PER_TENANT: "20", VAPFARM_MANIFESTS: "1" },
  });
  ({ client } = running);
  media = await uploadMedia(client);
});
afterAll(() => farm.stop());

const render = (change: Partial<RenderSpec> = {}): RenderSpec => present(renderRequest(media, change).render);

function messagesOf(parts: readonly (readonly RenderSpec[])[], header: Partial<ManifestHeader> = {}): SubmitManifestRequest[] {
  return [
    { part: { $case: "header", value: Header.create(header) } },
    ...parts.map((renders): SubmitManifestRequest => ({ part: { $case: "renders", value: { renders: [...renders] } } })),
  ];
}

function send(messages: Iterable<SubmitManifestRequest> | AsyncIterable<SubmitManifestRequest>): Promise<SubmitManifestResponse> {
  return callClientStream(client.submitManifest.bind(client), messages, { deadlineMs: 60_000 });
}

const cancel = (jobId: string) => call(client.cancelJob.bind(client), { jobId });

describe("a manifest", () => {
  it("is one job, whose renders are expanded as the window has room", async () => {
    const answer = await send(messagesOf([[render({ prompt: "a" }), render({ prompt: "b" })], [render({ prompt: "c", seed: 7n })]]));
    const { jobId } = present(answer.job);
    expect([answer.renderCount, present(answer.job).renderCounts?.total]).toEqual([3, 3]);
    const tasksOf = async (position: number) =>
      present((await call(client.getRender.bind(client), GetRenderRequest.create({ jobId, position }))).render).tasks.length;
    await until("the first two are expanded", async () => (await tasksOf(1)) > 0);
    expect(await tasksOf(2)).toBe(0);
    await call(client.cancelRender.bind(client), { jobId, position: 0 });
    await until("the third follows when one has ended", async () => (await tasksOf(2)) > 0);
    await cancel(jobId);
  });

  it("stores nothing when a row is wrong, and names each wrong row with field, reason and code", async () => {
    const rows = [render(), render({ steps: 0 }), render({ model: "none" }), render({ image: { sha256: "0".repeat(64), inline: Buffer.alloc(0), uri: "" } })]; // prettier-ignore
    const answer = await send(messagesOf([rows.slice(0, 2), rows.slice(2)]));
    expect([answer.job, answer.renderCount, answer.wrongCount]).toEqual([undefined, 4, 3]);
    expect(answer.faults.map(({ row, field, code }) => [row, field, code])).toEqual([
      [1, "steps", "FIELD_INVALID"],
      [2, "model", "MODEL_UNKNOWN"],
      [3, "image", "MEDIA_UNKNOWN"],
    ]);
    expect(await filesUnder(running.uploadsFolder)).toEqual([]);
  });

  it("that is sent again is the first job however it is cut; another under its key is a conflict", async () => {
    const rows = [render({ prompt: "a" }), render({ prompt: "b" })];
    const first = await send(messagesOf([rows], { idempotencyKey: "again" }));
    const again = await send(messagesOf([rows.slice(0, 1), rows.slice(1)], { idempotencyKey: "again" }));
    expect(again.job?.jobId).toBe(present(first.job).jobId);
    expect((await refusalOf(send(messagesOf([rows.slice(1)], { idempotencyKey: "again" })))).code).toBe("IDEMPOTENCY_CONFLICT");
    await cancel(present(first.job).jobId);
  });

  it("is checked alone where that is asked for, and refused without a header or renders", async () => {
    expect(await send(messagesOf([[render()]], { validateOnly: true }))).toMatchObject({ job: undefined, renderCount: 1, wrongCount: 0 });
    expect((await refusalOf(send(messagesOf([[render()]]).slice(1)))).code).toBe("REQUEST_MALFORMED");
    expect((await refusalOf(send(messagesOf([])))).code).toBe("FIELD_INVALID");
    expect((await refusalOf(send(messagesOf([[render()]], { priority: 101 })))).code).toBe("FIELD_INVALID");
  });
});

describe("a farm that takes no more", () => {
  it("says so before anything is stored, and when to ask again", async () => {
    const rows = Array.from({ length: 21 }, (_, index) => render({ prompt: `${index}` }));
    const refusal = await refusalOf(send(messagesOf([rows])));
    expect([refusal.code, refusal.details["retryAfterMs"]]).toEqual(["FARM_FULL", 15_000]);
    const response = await fetch(`http://${running.coordinator.httpAddress()}/v1/jobs:manifest`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: ndjson(rows.length),
    });
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "15"]);
  });

  it("says to a tenant at its own limit that it is that, and when to ask again unless these alone are too many", async () => {
    const limit = (maxWaiting: number | undefined) =>
      call(client.updateTenant.bind(client), { name: "local", weight: 1, maxRunning: undefined, maxWaiting });
    await limit(1);
    const refusal = await refusalOf(send(messagesOf([[render({ prompt: "one" }), render({ prompt: "two" })]])));
    expect(refusal.code).toBe("TENANT_LIMIT_EXCEEDED");
    expect(refusal.message).toContain("the tenant may have at most 1 open renders");
    const { job } = await send(messagesOf([[render({ prompt: "one" })]]));
    expect((await refusalOf(send(messagesOf([[render({ prompt: "two" })]])))).details["retryAfterMs"]).toBe(15_000);
    await cancel(present(job).jobId);
    await limit(undefined);
  });

  it("refuses a manifest beside the one that it receives, and takes it when that has come", async () => {
    const gate = Promise.withResolvers<undefined>();
    const first = messagesOf([[render()]], { validateOnly: true });
    const slow = async function* () {
      yield* first.slice(0, 1);
      await gate.promise;
      yield* first.slice(1);
    };
    const held = send(slow());
    await until("the first is received", async () => (await refusalOf(send(messagesOf([])))).code === "FARM_BUSY");
    gate.resolve(undefined);
    expect((await held).renderCount).toBe(1);
    expect((await send(first)).renderCount).toBe(1);
  });
});

function ndjson(count: number): string {
  const spec = {
    model: "demo",
    prompt: "a ball",
    image: { sha256: media.image },
    references: [{ sha256: media.clip }],
    referencePrompts: ["a disc"],
  };
  const lines = Array.from({ length: count }, () => JSON.stringify({ renders: { renders: [spec] } }));
  return `${[JSON.stringify({ header: {} }), ...lines].join("\n")}\n`;
}

describe("a manifest over HTTP", () => {
  const post = (body: string, type = "application/x-ndjson") =>
    fetch(`http://${running.coordinator.httpAddress()}/v1/jobs:manifest`, { method: "POST", headers: { "content-type": type }, body });

  it("is a body of JSON lines", async () => {
    const response = await post(ndjson(3));
    const answer = (await response.json()) as { readonly job: { readonly jobId: string }; readonly renderCount: number };
    expect([response.status, answer.renderCount]).toEqual([200, 3]);
    expect((await getJob(client, answer.job.jobId)).renderCounts?.total).toBe(3);
    await cancel(answer.job.jobId);
  });

  it("names the line that is no message, and refuses other types", async () => {
    const wrong = await post(`${JSON.stringify({ header: {} })}\n{"renders": {"render": []}}\n`);
    expect([wrong.status, ((await wrong.json()) as { readonly message: string }).message]).toEqual([
      400,
      "line 2: renders.render: no such field",
    ]);
    expect((await post(ndjson(1), "text/plain")).status).toBe(415);
    // Its own call may hold the one place for manifests for a moment after the answer.
    let status = 429;
    await until("the place is free", async () => (status = (await post(ndjson(1))).status) !== 429);
    expect(status).toBe(200);
  });
});

it("a small submit does not wait behind a manifest of another priority", async () => {
  const many = await send(messagesOf([Array.from({ length: 9 }, (_, index) => render({ prompt: `many ${index}` }))]));
  const job = await submit(client, { ...renderRequest(media, { prompt: "urgent" }), priority: 9 });
  const waits = await call(client.explainJob.bind(client), { jobId: present(many.job).jobId, renderPosition: undefined });
  expect(waits.waitingRenders).toMatchObject([{ pool: "test", window: 2 }]);
  await cancel(present(many.job).jobId);
  await until("the urgent one is expanded", async () => (await getJob(client, job.jobId)).tasks.length > 0);
  await cancel(job.jobId);
});

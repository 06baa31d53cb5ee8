/**
 * The JSON API on a whole coordinator: what is behind it is the coordinator's own gRPC server. That every method and field is carried over is
 * for the tests on played methods (test/integration/http).
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GetJobResponse } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { callUnary } from "../../../services/platform/grpc/client.ts";
import { binaryToJson } from "../../../services/platform/protojson/json-message.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { type Media, present, renderRequest, sha256Of, submit, uploadMedia } from "../../support/farm-calls.ts";
import { methodOf, serviceMap } from "../../support/played-service.ts";

let farm: CoordinatorFarm;
let running: RunningCoordinator;
let media: Media;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start();
  media = await uploadMedia(running.client);
});
afterAll(() => farm.stop());

const base = (): string => `http://${running.coordinator.httpAddress()}`;

async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
  const response = await fetch(`${base()}${path}`, init);
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

const render = () => ({
  model: "demo",
  image: { sha256: media.image },
  prompt: "a cat turns into a balloon",
  references: [{ sha256: media.clip }],
  referencePrompts: ["a dog turns into a balloon"],
});

describe("the JSON API of a coordinator", () => {
  it("stores a job and shows it as gRPC does", async () => {
    const submitted = await post("/v1/jobs", { render: render(), priority: 3 });
    expect(submitted).toMatchObject({ status: 200, json: { job: { state: "JOB_STATE_QUEUED", priority: 3 } } });
    const jobId = (submitted.json["job"] as { readonly jobId: string }).jobId;
    const overGrpc = await callUnary(running.client.getJob.bind(running.client), { jobId, readMask: undefined }, { deadlineMs: 10_000 });
    const bytes = GetJobResponse.encode(overGrpc).finish();
    const expected = binaryToJson(methodOf("GetJob").output, bytes, serviceMap.registry);
    expect(await (await fetch(`${base()}/v1/jobs/${jobId}`)).json()).toEqual(expected);
  });

  it("answers every question that needs nothing but its address", async () => {
    const plain = serviceMap.methods.filter(({ http }) => http?.verb === "GET" && http.template.parameters.length === 0);
    expect(plain.length).toBeGreaterThan(5);
    for (const { http, name } of plain) {
      const response = await fetch(`${base()}${present(http).template.text}`);
      expect([name, response.status, await response.text()]).toEqual([name, 200, expect.stringMatching(/^\{/)]);
    }
  });

  it("names every wrong field of a request, and the job that is not there", async () => {
    const refused = await post("/v1/jobs", { render: { ...render(), model: "", steps: 5000 } });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.json)).toContain("render.steps");
    expect((await fetch(`${base()}/v1/jobs/00000000-0000-4000-8000-000000000000`)).status).toBe(404);
  });

  it("survives paths that are no names at all", async () => {
    for (const path of [
      "/v1/jobs/%00",
      "/v1/jobs/..%2f..",
      "/v1/jobs/%F0%9F%92%A5:watch",
      "/v1/workers/%00",
      "/v1/models/%00",
      "/v1/uploads/%00",
    ]) {
      const { status } = await fetch(`${base()}${path}`);
      expect([path, status >= 400 && status < 500]).toEqual([path, true]);
    }
  });

  it("takes media in parts, and knows it afterwards", async () => {
    const bytes = Buffer.concat([Buffer.from("IMAGE over http "), Buffer.alloc(700_000, "x")]);
    const announced = { fileName: "image.png", sizeBytes: String(bytes.length), sha256: sha256Of(bytes) };
    const begun = await post("/v1/uploads", announced);
    const { uploadId } = begun.json["upload"] as { readonly uploadId: string };
    const cut = 300_000;
    // Ends before all announced bytes are there: what arrived stays.
    await fetch(`${base()}/v1/uploads/${uploadId}`, { method: "PUT", body: bytes.subarray(0, cut) });
    const { upload } = (await (await fetch(`${base()}/v1/uploads/${uploadId}`)).json()) as {
      readonly upload: { readonly receivedBytes: string };
    };
    expect(upload.receivedBytes).toBe(String(cut));
    const wrong = await fetch(`${base()}/v1/uploads/${uploadId}?offset_bytes=7`, { method: "PUT", body: bytes.subarray(7) });
    expect([wrong.status, await wrong.text()]).toEqual([409, expect.stringContaining("UPLOAD_OFFSET_MISMATCH")]);
    const rest = await fetch(`${base()}/v1/uploads/${uploadId}?offset_bytes=${cut}`, { method: "PUT", body: bytes.subarray(cut) });
    expect([rest.status, await rest.json()]).toEqual([200, expect.objectContaining({ sha256: announced.sha256, kind: "image" })]);
  });

  it("lets a watch go on at another coordinator where it was cut, and end with its job", async () => {
    const { jobId } = await submit(running.client, renderRequest(media));
    const first = await farm.start();
    const cut = await fetch(`http://${first.coordinator.httpAddress()}/v1/jobs/${jobId}:watch`);
    const reader = present(cut.body).pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    while (!seen.includes("id: 1\n")) seen += (await reader.read()).value ?? "";
    await first.stop();
    for (let piece = await reader.read().catch(() => undefined); piece?.done === false;) piece = await reader.read().catch(() => undefined);
    expect(seen).not.toContain("event: end");
    await post(`/v1/jobs/${jobId}:cancel`, {});
    const resumed = await fetch(`${base()}/v1/jobs/${jobId}:watch`, { headers: { "last-event-id": "1", accept: "text/event-stream" } });
    const text = await resumed.text();
    expect(text).not.toContain("id: 1\n");
    expect(text).toContain('"job.cancelled"');
    expect(text.trimEnd().endsWith("event: end\ndata: {}")).toBe(true);
  });

  it("knows callers by their tokens, and lets a cookie only read", async () => {
    const token = "t".repeat(20);
    const callers = JSON.stringify([{ token, tenant: "one", role: "member" }]);
    const closed = await farm.start({ environment: { VAPFARM_CALLERS: callers } });
    const address = `http://${closed.coordinator.httpAddress()}`;
    const cookie = `vapfarm_token=${token}`;
    expect((await fetch(`${address}/v1/jobs`)).status).toBe(401);
    expect((await fetch(`${address}/v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await fetch(`${address}/v1/jobs`, { headers: { cookie } })).status).toBe(200);
    const init = { method: "POST", body: "{}", headers: { cookie, "content-type": "application/json" } };
    expect((await fetch(`${address}/v1/jobs`, init)).status).toBe(401);
    await closed.stop();
  });

  it("serves its own description", async () => {
    expect(await (await fetch(`${base()}/v1/openapi.json`)).json()).toMatchObject({ openapi: "3.1.0" });
  });
});

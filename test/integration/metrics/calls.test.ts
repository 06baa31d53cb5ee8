/**
 * Rate, errors and duration of what is asked of a coordinator, over the wire: each call is counted once, as what it was.
 */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BeatRequest } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { openPool } from "../../../services/platform/database/pool.ts";
import { createRawClient } from "../../../services/platform/grpc/raw-client.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm, testPool } from "../../support/coordinator-farm.ts";
import { type Labels, scrape, seriesCount, valueIn } from "../../support/exposition.ts";
import { cancel, getJob, type Media, renderRequest, submit, uploadMedia, watch } from "../../support/farm-calls.ts";
import { failureOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";
import { until } from "../../support/until.ts";

let farm: CoordinatorFarm;
let one: RunningCoordinator;
let media: Media;
let worker: PlayedWorker;
const subjects = subjectsOf("local");

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  one = await farm.start({ timings: { sampleMs: 0, sweepMs: 600_000 } });
  media = await uploadMedia(one.client);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

const address = (): string => one.coordinator.httpAddress();
const families = () => scrape(address());
const count = async (name: string, labels: Labels): Promise<number> => valueIn(await families(), `${name}_count`, labels) ?? 0;
const calls = (method: string, code: string): Promise<number> => count("vapfarm_rpc_seconds", { method, code });
const requests = (labels: Labels): Promise<number> => count("vapfarm_http_seconds", labels);
const asks = (subject: string, code: string): Promise<number> => count("vapfarm_subject_seconds", { subject, code, pool: testPool.name });

/** Runs it, and waits until what it should raise by one is raised by one. */
async function raisesByOne(of: () => Promise<number>, work: () => Promise<unknown>): Promise<void> {
  const before = await of();
  await work();
  await until("it was counted", async () => (await of()) > before);
  expect(await of()).toBe(before + 1);
}

const nothing = (thrown: unknown): unknown => thrown;

describe("gRPC calls", () => {
  it("count as OK, or as the code that their caller got", async () => {
    const { jobId } = await submit(one.client, renderRequest(media, { prompt: "first" }));
    await raisesByOne(
      () => calls("GetJob", "OK"),
      () => getJob(one.client, jobId),
    );
    await raisesByOne(
      () => calls("GetJob", "JOB_UNKNOWN"),
      () => getJob(one.client, "none").catch(nothing),
    );
    await cancel(one.client, jobId);
  });

  it("count as malformed when their bytes are no message", async () => {
    const raw = createRawClient({ address: () => one.coordinator.grpcAddress(), maxMessageBytes: 1_000 });
    const garbage = new Uint8Array([255, 255, 255]);
    await raisesByOne(
      () => calls("GetJob", "REQUEST_MALFORMED"),
      () => raw.unary("/vapfarm.v1.FarmService/GetJob", garbage, { deadlineMs: 5_000 }).catch(nothing),
    );
    raw.close();
  });

  it("count as cancelled when their caller leaves a stream, once it does", async () => {
    const { jobId } = await submit(one.client, renderRequest(media, { prompt: "to be left" }));
    const leaving = new AbortController();
    const updates = watch(one.client, { jobId, signal: leaving.signal });
    await updates.next();
    expect(await calls("WatchJob", "STAGE_CANCELLED")).toBe(0);
    await raisesByOne(
      () => calls("WatchJob", "STAGE_CANCELLED"),
      async () => {
        leaving.abort();
        await updates.next().catch(nothing);
      },
    );
    expect(await calls("WatchJob", "OK")).toBe(0);
    await cancel(one.client, jobId);
  });

  it("are counted when they come as JSON over HTTP, beside the request", async () => {
    const labels = { route: "/v1/jobs/{job_id}", verb: "GET" };
    await raisesByOne(
      () => calls("GetJob", "JOB_UNKNOWN"),
      () => fetch(`http://${address()}/v1/jobs/none`).then((response) => response.text()),
    );
    expect(await requests({ ...labels, status: "4xx" })).toBe(1);
  });
});

describe("HTTP requests", () => {
  it.each([
    { path: "/", labels: { route: "/", verb: "GET", status: "2xx" } },
    { path: "/jobs/some-job", labels: { route: "/jobs/{job}", verb: "GET", status: "4xx" } },
    { path: "/a/some-link", labels: { route: "/a/{link}", verb: "GET", status: "4xx" } },
    { path: "/v1/no-such-thing", labels: { route: "other", verb: "GET", status: "4xx" } },
    { path: "/healthz", labels: { route: "/healthz", verb: "GET", status: "2xx" } },
  ])("count under the template of their path: $path", async ({ path, labels }) => {
    await raisesByOne(
      () => requests(labels),
      () => fetch(`http://${address()}${path}`).then((response) => response.text()),
    );
  });

  it("count as aborted when the connection goes before the answer has ended", async () => {
    const { jobId } = await submit(one.client, renderRequest(media, { prompt: "to be aborted" }));
    await raisesByOne(
      () => requests({ route: "/v1/jobs/{job_id}:watch", verb: "GET", status: "aborted" }),
      () =>
        new Promise<void>((resolve) => {
          const asked = request(`http://${address()}/v1/jobs/${jobId}:watch`, (response) =>
            response.once("data", () => {
              asked.destroy();
              resolve();
            }),
          );
          asked.on("error", () => undefined);
          asked.end();
        }),
    );
    await cancel(one.client, jobId);
  });
});

describe("what workers ask", () => {
  it("counts by subject, as it was answered", async () => {
    await raisesByOne(
      () => asks("next", "OK"),
      () => worker.next({ freeSlots: 0 }),
    );
    await raisesByOne(
      () => asks("beat", "OK"),
      () => worker.beat([]),
    );
    const ask = (payload: Uint8Array) => farm.broker.request(subjects.beat(testPool.name), payload, 5_000);
    const stranger = { protocolVersion: 1, sessionId: "nobody", sequence: 1n, farmEpoch: 0n };
    await raisesByOne(
      () => asks("beat", "SESSION_ENDED"),
      () => ask(BeatRequest.encode(BeatRequest.create({ header: stranger, pool: testPool.name })).finish()),
    );
    await raisesByOne(
      () => asks("beat", "PROTOCOL_UNSUPPORTED"),
      () => ask(new Uint8Array([255, 255])),
    );
    await until("the canary was counted", async () => (await asks("canary", "OK")) > 0);
  });

  it("raises the retries of a failure's class by exactly one, however often it is reported", async () => {
    const { jobId } = await submit(one.client, renderRequest(media, { prompt: "to be retried" }));
    const claim = await worker.claim();
    const retries = async (of: string): Promise<number> => valueIn(await families(), "vapfarm_retries_total", { class: of }) ?? -1;
    expect(await retries("transient")).toBe(0);
    for (let times = 0; times < 3; times += 1) await worker.report([failureOf(claim, "STAGE_FAILED")]);
    expect([await retries("transient"), await retries("unexplained")]).toEqual([1, 0]);
    await cancel(one.client, jobId);
  });
});

/** One of each thing that callers and workers can make up, `number` of them all different. */
async function pester(number: number): Promise<void> {
  const raw = createRawClient({ address: () => one.coordinator.grpcAddress(), maxMessageBytes: 1_000 });
  const made = (what: string): string => `${what}-${number}-${"x".repeat(100)}`;
  await raw.unary(`/vapfarm.v1.FarmService/${made("Method")}`, new Uint8Array(), { deadlineMs: 5_000 }).catch(nothing);
  await raw.unary(`/${made("Service")}/GetJob`, new Uint8Array(), { deadlineMs: 5_000 }).catch(nothing);
  raw.close();
  for (const path of [
    made(""),
    `v1/${made("")}`,
    `v1/jobs/${made("job")}`,
    `jobs/${made("job")}`,
    `a/${made("link")}`,
    `${made("p")}/${made("q")}`,
  ]) {
    await (await fetch(`http://${address()}/${path}`)).text();
    await (await fetch(`http://${address()}/${path}`, { method: "PROPFIND" })).text();
  }
  const { jobId } = await submit(one.client, renderRequest(media, { prompt: made("prompt") }));
  const claim = await worker.claim();
  await worker.report([failureOf(claim, made("CODE"))]);
  await cancel(one.client, jobId);
}

/** Ready tasks that nobody can run, of as many tenants and models; $1: first number, $2: one more than the last. */
const plantTenants = `with n as (select n, 'tenant ' || n as tenant from generate_series($1::integer, $2::integer - 1) n),
    tenants as (insert into tenant select tenant from n),
    made as (
      insert into task (content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters, state)
      select encode(sha256(n::text::bytea), 'hex'), tenant, '', 'denoise', $3, 'denoise/planted', repeat('m', 1000) || n, '{}', '{}', 'ready' from n
      returning id, tenant_id, shape, pool)
  insert into ready (task_id, pool, shape, tenant_id, class_rank, priority, queued_at, avoid)
  select id, pool, shape, tenant_id, 1, 0, now(), '{}' from made`;

it("no tenant, job, model, path, method, verb or code that comes from outside makes a series", async () => {
  const database = openPool({ url: farm.databaseUrl, applicationName: "test", connections: 1 });
  await database.query(plantTenants, [0, 1, testPool.name]);
  await pester(0);
  const before = seriesCount(await families());
  for (let number = 1; number <= 10; number += 1) await pester(number);
  await database.query(plantTenants, [1, 10_000, testPool.name]);
  const after = await families();
  expect(valueIn(after, "vapfarm_ready_tasks", { class: "benchmark", pool: testPool.name })).toBe(10_000);
  expect(seriesCount(after)).toBe(before);
  await database.end();
});

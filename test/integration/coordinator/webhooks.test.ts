/**
 * Webhooks through whole jobs: real Postgres, NATS and gRPC, a receiver over HTTPS on loopback, coordinators that die at the worst moment.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type FarmServiceClient,
  JobState,
  RetryJobRequest,
  SubmitRendersRequest,
  Webhook,
  WebhookEvent,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { openPool, type Pool } from "../../../services/platform/database/pool.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { startCoordinatorProcess } from "../../support/coordinator-process.ts";
import { call, cancel, getJob, type Media, present, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { testFfmpegPath } from "../../support/ffmpeg.ts";
import { claimOf, failureOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";
import { loopbackNetwork } from "../../support/tls-server.ts";
import { until } from "../../support/until.ts";
import { isSigned, type Received, type Receiver, startReceiver } from "../../support/webhook-receiver.ts";

const key = randomBytes(32);
const secret = `whsec_${key.toString("base64")}`;

let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
let worker: PlayedWorker;
let receiver: Receiver;
let plain: Receiver;
let pool: Pool;
/** What the receivers answer; a test may say otherwise. */
let answer: Parameters<typeof startReceiver>[0];

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  receiver = await startReceiver((message, response) => answer(message, response));
  plain = await startReceiver((message, response) => answer(message, response), false);
  // Two of them share the duty; one runs the test's calls.
  const environment = { ...targets(), VAPFARM_LEASE_MS: "120000" };
  const overrides = { environment, network: loopbackNetwork(), timings: { webhookMs: 50 } };
  const [one] = await Promise.all([farm.start(overrides), farm.start(overrides)]);
  ({ client } = one);
  media = await uploadMedia(client);
  worker = await playWorker(farm.broker, farm.artifacts);
  pool = openPool({ url: farm.databaseUrl, applicationName: "webhooks", connections: 2 });
}, 60_000);
beforeEach(() => {
  answer = (_message, response) => void response.writeHead(204).end();
});
afterAll(async () => {
  worker.stop();
  await pool.end();
  await farm.stop();
  await Promise.all([receiver.stop(), plain.stop()]);
});

function targets(): Readonly<Record<string, string>> {
  const prefixes = [`https://hooks.test:${receiver.port}/`, `http://127.0.0.1:${plain.port}/`];
  return { VAPFARM_WEBHOOK_TARGETS: JSON.stringify(prefixes.map((prefix) => ({ prefix, privateAddresses: true }))) };
}

type Told = { readonly id: string; readonly event: WebhookEvent; readonly signed: boolean };

function toldBy(message: Received): Told {
  const event = WebhookEvent.fromJSON(JSON.parse(message.body));
  return { id: String(message.headers["webhook-id"]), event, signed: isSigned(message, key) };
}

/** What the receivers were told of a job so far. */
function toldOf(jobId: string): readonly Told[] {
  return [...receiver.received, ...plain.received].map(toldBy).filter(({ event }) => event.job?.jobId === jobId);
}

async function told(jobId: string, count: number): Promise<readonly Told[]> {
  await until(`${count} messages about a job`, () => toldOf(jobId).length >= count);
  return toldOf(jobId);
}

/** Waits until the farm itself says that a job's last end was taken: nothing more is due then. */
async function delivered(jobId: string): Promise<void> {
  await until("the delivery is recorded", async () => (await getJob(client, jobId)).webhook?.delivery?.deliveredTime !== undefined);
}

function withWebhook(url = receiver.url) {
  return { webhook: Webhook.create({ url, secret }) };
}

async function submitOne(prompt: string, url?: string): Promise<string> {
  return (await submit(client, { ...renderRequest(media, { prompt }), ...withWebhook(url) })).jobId;
}

async function runToEnd(jobId: string): Promise<void> {
  while ((await getJob(client, jobId)).state < JobState.JOB_STATE_SUCCEEDED) {
    const claim = claimOf(await worker.next());
    if (claim !== undefined) await worker.finish(claim);
  }
}

const brief = ({ id, event, signed }: Told) => [id, event.type, event.job?.state, signed];

describe("the end of a job", () => {
  it("is told once when it succeeds, signed, with the job as it is", async () => {
    const jobId = await submitOne("succeeds");
    await runToEnd(jobId);
    const [message] = await told(jobId, 1);
    await delivered(jobId);
    const { webhook, lastEventNumber } = await getJob(client, jobId);
    expect(toldOf(jobId).map(brief)).toEqual([[`${jobId}/${lastEventNumber}`, "job.succeeded", JobState.JOB_STATE_SUCCEEDED, true]]);
    expect(message?.event).toMatchObject({ eventNumber: lastEventNumber, job: { renderCounts: { total: 1, succeeded: 1 } } });
    expect(webhook).toMatchObject({ secret: "", delivery: { eventNumber: lastEventNumber, tries: 1, lastError: "" } });
    expect(JSON.stringify(receiver.received)).not.toContain(secret);
  });

  it("is told when it fails", async () => {
    const jobId = await submitOne("fails");
    const claim = await worker.claim();
    await worker.report([failureOf(claim, "STAGE_INPUT_INVALID")]);
    await delivered(jobId);
    expect((await told(jobId, 1)).map(({ event, signed }) => [event.type, event.job?.state, signed])).toEqual([
      ["job.failed", JobState.JOB_STATE_FAILED, true],
    ]);
  });

  it("is told when it is cancelled, and again, under another id, when it was retried and ends again", async () => {
    const jobId = await submitOne("is cancelled");
    await cancel(client, jobId);
    const [first] = await told(jobId, 1);
    expect(first?.event.type).toBe("job.cancelled");
    await call(client.retryJob.bind(client), RetryJobRequest.create({ jobId }));
    await runToEnd(jobId);
    await delivered(jobId);
    const all = toldOf(jobId);
    expect(all.map(({ event, signed }) => [event.type, signed])).toEqual([
      ["job.cancelled", true],
      ["job.succeeded", true],
    ]);
    expect(new Set(all.map(({ id }) => id)).size).toBe(2);
  });

  it("is told once for a whole batch", async () => {
    const renders = [1n, 2n, 3n].map((seed) => ({ ...present(renderRequest(media, { prompt: "batch" }).render), seed }));
    const request = SubmitRendersRequest.create({ renders, ...withWebhook() });
    const { jobId } = present((await call(client.submitRenders.bind(client), request)).job);
    await runToEnd(jobId);
    await delivered(jobId);
    expect(toldOf(jobId).map(({ event }) => [event.type, event.job?.renderCounts?.succeeded])).toEqual([["job.succeeded", 3]]);
  });

  it("is told once each, whichever coordinator holds the duty, however many jobs end at once", async () => {
    const jobs = await Promise.all(Array.from({ length: 12 }, (_none, index) => submitOne(`at once ${index}`)));
    await Promise.all(jobs.map((jobId) => cancel(client, jobId)));
    await Promise.all(jobs.map(delivered));
    expect(jobs.map((jobId) => toldOf(jobId).length)).toEqual(jobs.map(() => 1));
  });

  it("is told again under its id until the receiver takes it, the next try when its time has come", async () => {
    answer = (_message, response) => void response.writeHead(503).end();
    const jobId = await submitOne("is not taken at first");
    await cancel(client, jobId);
    await until("the failed try is recorded", async () => (await getJob(client, jobId)).webhook?.delivery?.tries === 1);
    const { webhook } = await getJob(client, jobId);
    expect(webhook?.delivery?.lastError).toBe("FETCH_FAILED: answered with status 503");
    answer = (_message, response) => void response.end();
    await pool.query("update webhook_delivery set next_try_at = now() where job_id = $1", [jobId]);
    await delivered(jobId);
    const ids = toldOf(jobId).map(({ id }) => id);
    expect([ids.length, new Set(ids).size]).toEqual([2, 1]);
  });
});

describe("a coordinator that is killed between the message and its record", () => {
  it("loses nothing: whoever holds the duty next sends again under the same id", { timeout: 120_000 }, async () => {
    const elsewhere = await startCoordinatorFarm();
    const arrived = Promise.withResolvers<Received>();
    answer = (message) => arrived.resolve(message);
    const environment = { ...elsewhere.settings(), ...targets(), VAPFARM_FFMPEG: await testFfmpegPath() };
    const doomed = startCoordinatorProcess(environment);
    await doomed.ready;
    const rows = openPool({ url: elsewhere.databaseUrl, applicationName: "webhooks", connections: 1 });
    await until("it holds the duty", async () => (await rows.query("select 1 from duty where name = 'webhooks'")).rows.length === 1);
    await rows.end();
    // Answers calls, and never sends a webhook itself while the other holds the duty.
    const heir = await elsewhere.start({ environment: targets(), network: loopbackNetwork(), timings: { webhookMs: 50 } });
    const request = renderRequest(await uploadMedia(heir.client));
    const { jobId } = await submit(heir.client, { ...request, ...withWebhook(`http://127.0.0.1:${plain.port}/hook`) });
    await cancel(heir.client, jobId);
    const first = toldBy(await arrived.promise);
    doomed.process.kill("SIGKILL");
    expect(await doomed.ended).toBeNull();
    answer = (_message, response) => void response.end();
    await until("it is sent again", () => toldOf(jobId).length === 2, 60_000);
    expect(toldOf(jobId).map(brief)).toEqual([brief(first), brief(first)]);
    await until("it is recorded", async () => (await getJob(heir.client, jobId)).webhook?.delivery?.deliveredTime !== undefined);
    expect((await getJob(heir.client, jobId)).webhook?.delivery?.tries).toBe(1);
    await elsewhere.stop();
  });
});

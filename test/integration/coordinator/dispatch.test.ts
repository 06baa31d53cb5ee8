import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BeatResponse, NextRequest, NextResponse, ReportResponse } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { FarmServiceClient } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { type CoordinatorFarm, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { cancel, type Media, present, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { claimOf, type PlayedWorker, playWorker } from "../../support/played-worker.ts";

const subjects = subjectsOf("local");
let farm: CoordinatorFarm;
let client: FarmServiceClient;
let media: Media;
let worker: PlayedWorker;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  const [first] = await Promise.all([farm.start(), farm.start()]);
  client = first.client;
  media = await uploadMedia(client);
  worker = await playWorker(farm.broker, farm.artifacts);
});
afterAll(async () => {
  worker.stop();
  await farm.stop();
});

describe("dispatch over NATS", () => {
  it("wakes an idle worker when work comes, instead of waiting for its poll", async () => {
    expect(claimOf(await worker.next())).toBeUndefined();
    const { jobId } = await submit(client, renderRequest(media));
    expect((await worker.signal("wake")).kind?.$case).toBe("wake");
    expect(claimOf(await worker.next())).toBeDefined();
    await cancel(client, jobId);
  });

  it("answers a doubled ask with the same claim, whichever coordinator takes it", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "doubled" }));
    const payload = worker.nextPayload();
    const answers = await Promise.all(Array.from({ length: 6 }, () => worker.send(payload)));
    const claims = answers.map((answer) => claimOf(answer)?.attemptId);
    expect(new Set(claims).size).toBe(1);
    expect(claims[0]).toBeDefined();
    await cancel(client, jobId);
  });

  it("refuses an ask that comes after a newer one", async () => {
    const late = worker.nextPayload({ freeSlots: 0 });
    await worker.next({ freeSlots: 0 });
    expect((await worker.send(late)).outcome).toMatchObject({ $case: "refusal", value: { code: "SEQUENCE_STALE" } });
  });

  it("hands each task to one worker only when many ask at once", async () => {
    const { jobId } = await submit(client, renderRequest(media, { prompt: "contended", negativePrompt: "contended too" }));
    const workers = await Promise.all(Array.from({ length: 6 }, () => playWorker(farm.broker, farm.artifacts)));
    const claims = (await Promise.all(workers.map((one) => one.next())))
      .map(claimOf)
      .flatMap((claim) => (claim === undefined ? [] : [claim]));
    expect(claims.length).toBeGreaterThan(1);
    expect(new Set(claims.map(({ taskId }) => taskId)).size).toBe(claims.length);
    await cancel(client, jobId);
    for (const one of workers) one.stop();
  });

  it.each([
    ["bytes that are no message", () => Buffer.from([255, 255, 255, 255])],
    ["an empty message", () => new Uint8Array()],
    ["another protocol version", () => changed((request) => ({ header: { ...present(request.header), protocolVersion: 2 } }))],
    ["a session id that is none", () => changed((request) => ({ header: { ...present(request.header), sessionId: "a b" } }))],
    ["an attempt id that is none", () => changed(() => ({ heldAttemptIds: ["'; drop table task"] }))],
  ])("answers %s with a refusal, and goes on", async (_case, payload) => {
    const refused = { $case: "refusal", value: { code: "PROTOCOL_UNSUPPORTED" } };
    const next = NextResponse.decode(await farm.broker.request(subjects.next("test"), payload(), 5_000));
    expect(next.outcome).toMatchObject(refused);
    const broken = Buffer.from([255, 255]);
    expect(BeatResponse.decode(await farm.broker.request(subjects.beat("test"), broken, 5_000)).outcome).toMatchObject(refused);
    expect(ReportResponse.decode(await farm.broker.request(subjects.report("test"), broken, 5_000)).outcome).toMatchObject(refused);
    expect((await worker.next({ freeSlots: 0 })).outcome?.$case).toBe("answer");
  });

  it("refuses a worker of another pool or profile, naming the cause", async () => {
    const stray = await playWorker(farm.broker, farm.artifacts);
    const wrong = (change: object) => stray.send(changedBy(stray, (request) => ({ worker: { ...present(request.worker), ...change } })));
    expect((await wrong({ pool: "other" })).outcome).toMatchObject({ $case: "refusal", value: { code: "POOL_UNKNOWN" } });
    expect((await wrong({ profile: "cpu;other" })).outcome).toMatchObject({ $case: "refusal", value: { code: "POOL_PROFILE_MISMATCH" } });
    stray.stop();
  });
});

function changed(change: (request: NextRequest) => Partial<NextRequest>): Uint8Array {
  return changedBy(worker, change);
}

function changedBy(one: PlayedWorker, change: (request: NextRequest) => Partial<NextRequest>): Uint8Array {
  const request = NextRequest.decode(one.nextPayload({ freeSlots: 0 }));
  return NextRequest.encode({ ...request, ...change(request) }).finish();
}

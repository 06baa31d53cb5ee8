import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { JobEvent, WatchJobRequest, WatchJobResponse } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type PlayedService, startPlayedService } from "../../support/played-service.ts";
import { until } from "../../support/until.ts";

let service: PlayedService;
beforeAll(async () => {
  service = await startPlayedService();
});
afterAll(() => service.stop());

function eventOf(number: number): Uint8Array {
  const value = JobEvent.create({ number: BigInt(number), kind: "task.started", message: "line\nbreak" });
  return WatchJobResponse.encode({ update: { $case: "event", value } }).finish();
}

const progress = WatchJobResponse.encode({
  update: {
    $case: "progress",
    value: { stage: "denoise", taskId: 7n, phase: "compute", step: 3, steps: 20, remainingMs: 5, workerName: "w" },
  },
}).finish();

/** A log of two events, then what the test gives. */
function playWatch(after: () => AsyncIterable<Uint8Array> = async function* () {}): WatchJobRequest[] {
  const asked: WatchJobRequest[] = [];
  service.methods.streams.set("WatchJob", async function* (request) {
    const decoded = WatchJobRequest.decode(request);
    asked.push(decoded);
    for (const number of [1, 2]) if (BigInt(number) > decoded.afterEventNumber) yield eventOf(number);
    yield* after();
  });
  return asked;
}

/** A watch read piece by piece. */
async function openWatch(headers: Readonly<Record<string, string>> = {}) {
  const call = httpRequest(`${service.url}/v1/jobs/job-1:watch`, { headers }).end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  response.setEncoding("utf8");
  let text = "";
  response.on("data", (piece: string) => (text += piece));
  response.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => response.once("close", () => resolve()));
  return { status: response.statusCode, headers: response.headers, text: () => text, ended, leave: () => call.destroy() };
}

afterEach(() => {
  expect(service.timer.size).toBe(0);
});

describe("a watch as server-sent events", () => {
  it("carries numbered events, progress without a number, and an end", async () => {
    playWatch(async function* () {
      yield await Promise.resolve(progress);
    });
    const watch = await openWatch();
    await watch.ended;
    expect(watch.status).toBe(200);
    expect(watch.headers["content-type"]).toBe("text/event-stream");
    const blocks = watch.text().trimEnd().split("\n\n");
    expect(blocks[0]).toMatch(/^retry: \d+$/);
    expect(blocks.slice(1).map((block) => block.split("\n").slice(0, -1))).toEqual([
      ["id: 1", "event: event"],
      ["id: 2", "event: event"],
      ["event: progress"],
      ["event: end"],
    ]);
    const data = blocks.slice(1).map((block) => JSON.parse(block.split("data: ")[1] ?? "") as unknown);
    expect(data[0]).toMatchObject({ number: "1", kind: "task.started", message: "line\nbreak" });
    expect(data[2]).toMatchObject({ stage: "denoise", taskId: "7", step: 3, steps: 20 });
  });

  it("goes on after the last event that was seen, whatever its address says", async () => {
    const asked = playWatch();
    const watch = await openWatch({ "last-event-id": "1" });
    await watch.ended;
    expect(asked[0]).toMatchObject({ jobId: "job-1", afterEventNumber: 1n });
    expect(watch.text()).not.toContain("id: 1\n");
    expect(watch.text()).toContain("id: 2\n");
    const response = await fetch(`${service.url}/v1/jobs/job-1:watch?after_event_number=0`, { headers: { "last-event-id": "2" } });
    expect(response.status).toBe(204);
    expect(asked[1]?.afterEventNumber).toBe(2n);
  });

  it("refuses a last event that is no number", async () => {
    playWatch();
    const response = await fetch(`${service.url}/v1/jobs/job-1:watch`, { headers: { "last-event-id": "seven" } });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("after_event_number");
  });

  it("is open before anything is heard of, and beats while nothing is", async () => {
    const [asked, end] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    service.methods.streams.set("WatchJob", async function* () {
      asked.resolve(undefined);
      await end.promise;
      yield eventOf(1);
    });
    const opening = openWatch();
    await asked.promise;
    service.timer.tick(500);
    const watch = await opening;
    service.timer.tick(15_000);
    await until("the heartbeat", () => watch.text().includes(":\n\n"));
    end.resolve(undefined);
    await watch.ended;
    expect(watch.text()).toContain("id: 1\n");
  });

  it("has the failure's status when it never began", async () => {
    service.methods.streams.set("WatchJob", async function* () {
      yield* [];
      await Promise.reject(new FarmError("JOB_UNKNOWN"));
    });
    const watch = await openWatch({ accept: "text/event-stream" });
    await watch.ended;
    expect(watch.status).toBe(404);
    expect(watch.text()).toContain("JOB_UNKNOWN");
  });

  it("tells of a failure in between, and is not ended by it", async () => {
    playWatch(async function* () {
      yield await Promise.resolve(progress);
      throw new FarmError("COORDINATOR_UNAVAILABLE");
    });
    const watch = await openWatch();
    await watch.ended;
    expect(watch.text()).toContain("event: error\ndata: {");
    expect(watch.text()).toContain("COORDINATOR_UNAVAILABLE");
    expect(watch.text()).not.toContain("event: end");
  });

  it("lets an EventSource come again while the farm is away, and tells others so by the status", async () => {
    service.methods.streams.set("WatchJob", async function* () {
      yield* [];
      await Promise.reject(new FarmError("COORDINATOR_UNAVAILABLE"));
    });
    const eventSource = await openWatch({ accept: "text/event-stream" });
    await eventSource.ended;
    expect(eventSource.status).toBe(200);
    expect(eventSource.text()).toContain("event: error");
    const other = await openWatch();
    await other.ended;
    expect(other.status).toBe(503);
  });

  it("ends for the farm when its reader goes", async () => {
    const aborted = Promise.withResolvers<undefined>();
    service.methods.streams.set("WatchJob", async function* (_request, { signal }) {
      signal.addEventListener("abort", () => aborted.resolve(undefined));
      yield eventOf(1);
      await aborted.promise;
    });
    const watch = await openWatch();
    watch.leave();
    await aborted.promise;
    await until("the timers are gone", () => service.timer.size === 0);
  });

  it("is cut at once when the server stops", async () => {
    const stopping = await startPlayedService();
    stopping.methods.streams.set("WatchJob", async function* (_request, { signal }) {
      yield eventOf(1);
      await once(signal, "abort");
    });
    const response = await fetch(`${stopping.url}/v1/jobs/a:watch`);
    const reading = response.text().then(
      () => "whole",
      () => "cut",
    );
    await stopping.stop();
    expect(await reading).toBe("cut");
  });
});

import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import {
  DownloadArtifactRequest,
  DownloadArtifactResponse,
  JobEvent,
  UploadMediaRequest,
  UploadMediaResponse,
  WatchJobRequest,
  WatchJobResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { sha256Of } from "../../support/farm-calls.ts";
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

describe("a download over HTTP", () => {
  const bytes = randomBytes(3_000_000);
  const artifact = { name: "mp4", sha256: sha256Of(bytes), sizeBytes: BigInt(bytes.length), mediaType: "video/mp4" };
  const path = "/v1/jobs/job-1/artifacts/mp4?render_position=2";

  function playDownload(sent = bytes): { readonly asked: DownloadArtifactRequest[]; readonly chunks: () => number } {
    const asked: DownloadArtifactRequest[] = [];
    let chunks = 0;
    service.methods.streams.set("DownloadArtifact", async function* (request) {
      const decoded = DownloadArtifactRequest.decode(request);
      asked.push(decoded);
      yield DownloadArtifactResponse.encode({ artifact, chunk: Buffer.alloc(0) }).finish();
      const start = Number(decoded.offsetBytes);
      const end = decoded.lengthBytes === 0n ? sent.length : Math.min(sent.length, start + Number(decoded.lengthBytes));
      for (let at = start; at < end; at += 262_144) {
        chunks += 1;
        yield await Promise.resolve(
          DownloadArtifactResponse.encode({ artifact: undefined, chunk: sent.subarray(at, Math.min(end, at + 262_144)) }).finish(),
        );
      }
    });
    return { asked, chunks: () => chunks };
  }

  it("is the artifact's bytes, with what is known of them", async () => {
    const { asked } = playDownload();
    const response = await fetch(`${service.url}${path}`);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "video/mp4",
      "content-length": String(bytes.length),
      "accept-ranges": "bytes",
      etag: `"${artifact.sha256}"`,
      "x-content-type-options": "nosniff",
    });
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect(asked).toEqual([{ jobId: "job-1", name: "mp4", renderPosition: 2, offsetBytes: 0n, lengthBytes: 0n }]);
  });

  it.each([
    ["bytes=0-9", 0, 10],
    ["bytes=1000000-1999999", 1_000_000, 1_000_000],
    ["bytes=2999990-", 2_999_990, 10],
    ["bytes=-5", 2_999_995, 5],
  ])("%s is that part", async (range, offset, length) => {
    playDownload();
    const response = await fetch(`${service.url}${path}`, { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${offset}-${offset + length - 1}/3000000`);
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes.subarray(offset, offset + length))).toBe(true);
  });

  it("refuses a range outside the bytes, and says how many there are", async () => {
    playDownload();
    const response = await fetch(`${service.url}${path}`, { headers: { range: "bytes=3000000-" } });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe("bytes */3000000");
    expect(await response.text()).toContain("RANGE_NOT_SATISFIABLE");
  });

  it("is whole when the part that is asked for was of other bytes", async () => {
    playDownload();
    const response = await fetch(`${service.url}${path}`, { headers: { range: "bytes=0-9", "if-range": '"other"' } });
    expect(response.status).toBe(200);
    expect((await response.arrayBuffer()).byteLength).toBe(bytes.length);
  });

  it("sends nothing of what the client has, and nothing for HEAD", async () => {
    playDownload();
    const known = await fetch(`${service.url}${path}`, { headers: { "if-none-match": `"${artifact.sha256}"` } });
    expect(known.status).toBe(304);
    const head = await fetch(`${service.url}${path}`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "3000000", ""]);
  });

  it("is refused as a whole while nothing was sent", async () => {
    service.methods.streams.set("DownloadArtifact", async function* () {
      yield* [];
      await Promise.reject(new FarmError("ARTIFACT_UNKNOWN"));
    });
    expect((await fetch(`${service.url}${path}`)).status).toBe(404);
    expect((await fetch(`${service.url}${path}&offset_bytes=3`)).status).toBe(400);
  });

  it("is cut, never ended, when it breaks in between", async () => {
    service.methods.streams.set("DownloadArtifact", async function* () {
      yield DownloadArtifactResponse.encode({ artifact, chunk: bytes.subarray(0, 1000) }).finish();
      await Promise.reject(new FarmError("ARTIFACT_CORRUPT"));
    });
    const response = await fetch(`${service.url}${path}`);
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  it("does not run ahead of a client that does not read", async () => {
    const large = Buffer.alloc(100_000_000);
    const { chunks } = playDownload(large);
    const socket = connect(service.port, "127.0.0.1");
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    let seen = -1;
    await until("the download stands still", () => {
      const isStill = chunks() > 0 && chunks() === seen;
      seen = chunks();
      return isStill;
    });
    expect(chunks()).toBeLessThan(200);
    socket.destroy();
  });
});

describe("an upload over HTTP", () => {
  it("reaches the farm as it arrives, however large, with where it goes on", async () => {
    const bytes = randomBytes(20_000_000);
    const received: Buffer[] = [];
    let header: unknown;
    let largest = 0;
    service.methods.uploads.set("UploadMedia", async (requests) => {
      for await (const request of requests) {
        const { part } = UploadMediaRequest.decode(request);
        if (part?.$case === "header") header = part.value;
        if (part?.$case === "chunk") {
          received.push(part.value);
          largest = Math.max(largest, part.value.length);
        }
      }
      return UploadMediaResponse.encode(UploadMediaResponse.create({ sha256: "abc", kind: "image", sizeBytes: 5n })).finish();
    });
    const response = await fetch(`${service.url}/v1/uploads/up-1?offset_bytes=77`, { method: "PUT", body: bytes });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ sha256: "abc", kind: "image", sizeBytes: "5" });
    expect(header).toMatchObject({ uploadId: "up-1", offsetBytes: 77n });
    expect(largest).toBeLessThanOrEqual(262_144);
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
  });

  it("that is refused at once is answered, not read to its end", async () => {
    service.methods.uploads.set("UploadMedia", () => Promise.reject(new FarmError("UPLOAD_OFFSET_MISMATCH")));
    const call = httpRequest(`${service.url}/v1/uploads/up-1`, { method: "PUT", headers: { "content-length": 1_000_000_000 } });
    call.on("error", () => undefined);
    call.write(Buffer.alloc(100));
    const [response] = (await once(call, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(409);
    const closed = once(call, "close");
    response.resume();
    await closed;
  });

  it("that breaks is a call that was cancelled, after what had arrived", async () => {
    const [arrived, cancelled] = [Promise.withResolvers<number>(), Promise.withResolvers<undefined>()];
    service.methods.uploads.set("UploadMedia", async (requests, { signal }) => {
      signal.addEventListener("abort", () => cancelled.resolve(undefined));
      for await (const request of requests) {
        const { part } = UploadMediaRequest.decode(request);
        if (part?.$case === "chunk") arrived.resolve(part.value.length);
      }
      return new Uint8Array();
    });
    const call = httpRequest(`${service.url}/v1/uploads/up-1`, { method: "PUT", headers: { "content-length": 1_000_000 } });
    call.on("error", () => undefined);
    call.write(Buffer.alloc(1234));
    expect(await arrived.promise).toBe(1234);
    call.destroy();
    await cancelled.promise;
  });

  it("knows no other parameters", async () => {
    const response = await fetch(`${service.url}/v1/uploads/up-1?offset=1`, { method: "PUT", body: "x" });
    expect(response.status).toBe(400);
  });
});

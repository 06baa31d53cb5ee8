import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import {
  DownloadArtifactRequest,
  DownloadArtifactResponse,
  UploadMediaRequest,
  UploadMediaResponse,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { sha256Of } from "../../support/farm-calls.ts";
import { type PlayedService, startPlayedService } from "../../support/played-service.ts";
import { until } from "../../support/until.ts";

let service: PlayedService;
beforeAll(async () => {
  service = await startPlayedService();
});
afterAll(() => service.stop());

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

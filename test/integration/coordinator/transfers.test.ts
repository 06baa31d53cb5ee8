/**
 * Media in and results out over real gRPC, HTTP and Postgres: uploads that go on at another coordinator, inline media, ranges, signed
 * addresses.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  BeginUploadRequest,
  DownloadArtifactRequest,
  type FarmServiceClient,
  GetArtifactUrlRequest,
  MediaReference,
  type Upload,
  UploadMediaHeader,
  type UploadMediaRequest,
} from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { callServerStream, callUnary } from "../../../services/platform/grpc/client.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { present, refusalOf, renderRequest, submit, upload, uploadMessages } from "../../support/farm-calls.ts";
import { until } from "../../support/until.ts";

const options = { deadlineMs: 30_000 };
const bytes = Buffer.concat([Buffer.from("CLIP 23 "), Buffer.alloc(900_000, 5)]);
const sha256 = createHash("sha256").update(bytes).digest("hex");
const image = Buffer.concat([Buffer.from("IMAGE inline "), Buffer.alloc(400_000, 3)]);
let farm: CoordinatorFarm;
let one: RunningCoordinator;
let other: RunningCoordinator;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  one = await farm.start();
  other = await farm.start();
});
afterAll(() => farm.stop());

async function begin(client: FarmServiceClient, change: Partial<BeginUploadRequest> = {}): Promise<Upload> {
  const request = BeginUploadRequest.create({ fileName: "a.mp4", sizeBytes: BigInt(bytes.length), ...change });
  return present((await callUnary(client.beginUpload.bind(client), request, options)).upload);
}

async function received(client: FarmServiceClient, uploadId: string): Promise<number> {
  return Number(present((await callUnary(client.getUpload.bind(client), { uploadId }, options)).upload).receivedBytes);
}

function* messages(uploadId: string, start: number, end: number): Generator<UploadMediaRequest> {
  yield { part: { $case: "header", value: UploadMediaHeader.create({ uploadId, offsetBytes: BigInt(start) }) } };
  for (let at = start; at < end; at += 100_000) yield { part: { $case: "chunk", value: bytes.subarray(at, Math.min(at + 100_000, end)) } };
}

/** How much lies in the files of a folder. */
async function bytesUnder(folder: string): Promise<number> {
  const sizes = await Promise.all((await filesUnder(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe("an upload that can be resumed", () => {
  it("goes on at another coordinator after its caller went away, and keeps what had arrived", async () => {
    const { uploadId } = await begin(one.client, { sha256 });
    const going = new AbortController();
    async function* breaking(): AsyncGenerator<UploadMediaRequest> {
      yield* messages(uploadId, 0, 500_000);
      await until("bytes have arrived", async () => (await bytesUnder(one.uploadsFolder)) > 0);
      going.abort();
    }
    await expect(uploadMessages(one.client, breaking(), { signal: going.signal })).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    await until("what had arrived is kept", async () => (await received(other.client, uploadId)) > 0);
    await until("the part's file is gone", async () => (await filesUnder(one.uploadsFolder)).length === 0);
    const from = await received(other.client, uploadId);
    await expect(uploadMessages(other.client, messages(uploadId, 0, bytes.length))).rejects.toMatchObject({
      code: "UPLOAD_OFFSET_MISMATCH",
    });
    const media = await uploadMessages(other.client, messages(uploadId, from, bytes.length));
    expect(media).toMatchObject({ sha256, frames: 23 });
    expect(await begin(one.client, { sha256 })).toMatchObject({ uploadId: "", media: { sha256 } });
    expect(await farm.artifacts.stat(sha256)).toEqual({ sizeBytes: bytes.length });
  });

  it("is unknown to whoever names no upload", async () => {
    await expect(received(one.client, "x")).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
  });
});

describe("what a render starts from", () => {
  it("may be inline, and comes back by range and by signed address", async () => {
    await upload(one.client, bytes);
    const request = renderRequest({ image: "", clip: sha256 }, { image: MediaReference.create({ inline: image }) });
    const { jobId } = await submit(one.client, request);
    const ask = { jobId, name: "input_image" };
    const range = DownloadArtifactRequest.create({ ...ask, offsetBytes: 5n, lengthBytes: 300_000n });
    const chunks: Buffer[] = [];
    for await (const { chunk } of callServerStream(one.client.downloadArtifact.bind(one.client), range, options)) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(image.subarray(5, 300_005));
    const link = GetArtifactUrlRequest.create(ask);
    const { url } = await callUnary(one.client.getArtifactUrl.bind(one.client), link, options);
    // Any coordinator serves what one has signed.
    const response = await fetch(url.replace(one.coordinator.httpAddress(), other.coordinator.httpAddress()), {
      headers: { range: "bytes=0-11" },
    });
    expect([response.status, await response.text()]).toEqual([206, "IMAGE inline"]);
    expect((await fetch(url.replace("input_image", "input_reference_1"))).status).toBe(403);
  });

  it.each([
    ["past the end", { offsetBytes: 10_000_000n }],
    ["before the beginning", { offsetBytes: -1n }],
    ["of a negative length", { lengthBytes: -1n }],
  ])("is not sent in a range %s", async (_what, change) => {
    await upload(one.client, bytes);
    const request = renderRequest({ image: "", clip: sha256 }, { image: MediaReference.create({ inline: image }) });
    const { jobId } = await submit(one.client, request);
    const ask = DownloadArtifactRequest.create({ jobId, name: "input_image", ...change });
    const stream = callServerStream(one.client.downloadArtifact.bind(one.client), ask, options);
    await expect(stream.next()).rejects.toMatchObject({ code: "FIELD_INVALID" });
  });

  it("is nowhere at a position that the job has not, or of a job that is not there", async () => {
    const { jobId } = await submit(
      one.client,
      renderRequest({ image: "", clip: sha256 }, { image: MediaReference.create({ inline: image }) }),
    );
    const refusedAs = async (ask: { readonly jobId: string; readonly renderPosition: number }) => {
      const stream = callServerStream(one.client.downloadArtifact.bind(one.client), DownloadArtifactRequest.create({ ...ask, name: "mp4" }), options); // prettier-ignore
      const { code, details } = await refusalOf(stream.next());
      return [code, details.fields?.map(({ field }) => field)];
    };
    expect(await refusedAs({ jobId, renderPosition: 1 })).toEqual(["RENDER_UNKNOWN", ["render_position"]]);
    expect(await refusedAs({ jobId, renderPosition: -1 })).toEqual(["FIELD_INVALID", ["render_position"]]);
    expect(await refusedAs({ jobId: "nothing", renderPosition: 0 })).toEqual(["JOB_UNKNOWN", ["job_id"]]);
    const link = callUnary(one.client.getArtifactUrl.bind(one.client), GetArtifactUrlRequest.create({ jobId, renderPosition: 1, name: "mp4" }), options); // prettier-ignore
    expect((await refusalOf(link)).code).toBe("RENDER_UNKNOWN");
  });

  it("is refused by address while the operator allows none", async () => {
    const request = renderRequest({ image: "", clip: sha256 }, { image: MediaReference.create({ uri: "https://media.test/a.png" }) });
    const fields = expect.arrayContaining([expect.objectContaining({ field: "render.image" })]) as unknown;
    await expect(submit(one.client, request)).rejects.toMatchObject({ code: "ADDRESS_REFUSED", details: { fields } });
  });
});

import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBeginUpload, createGetUpload } from "../../../services/coordinator/rpc/begin-upload.ts";
import type { Call } from "../../../services/coordinator/rpc/method.ts";
import { createSlots } from "../../../services/platform/slots.ts";
import { createUploadMedia } from "../../../services/coordinator/rpc/upload-media.ts";
import { BeginUploadRequest, UploadMediaHeader, type UploadMediaRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { createMemoryStore } from "../../support/memory-artifact-store.ts";
import { createMemoryMediaStore, type MemoryMediaStore } from "../../support/memory-media-store.ts";
import { inspectPlayed } from "../../support/played-media.ts";

const partBytes = 1_000;
const maxBytes = 100_000;
const bytes = Buffer.concat([Buffer.from("CLIP 9 "), Buffer.alloc(2_493, 1)]);
const sha256 = createHash("sha256").update(bytes).digest("hex");

let folder: string;
let store: MemoryMediaStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-resume-"));
  store = createMemoryMediaStore();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function methods(uploads = createSlots(4)) {
  const call: Call = { caller: { tenant: "one", role: "member" }, signal: new AbortController().signal };
  const artifacts = createMemoryStore();
  const kept = { store, artifacts, inspect: inspectPlayed, inspections: createSlots(1), temporaryFolder: folder, maxBytes };
  const upload = createUploadMedia({ ...kept, uploads, idleMs: 10_000, partBytes });
  const begin = createBeginUpload({ store, newUploadId: randomUUID, maxBytes, lifetimeMs: 60_000 });
  const get = createGetUpload(store);
  return {
    artifacts,
    upload: (messages: AsyncIterable<UploadMediaRequest>, change: Partial<Call> = {}) => upload(messages, { ...call, ...change }),
    begin: (change: Partial<BeginUploadRequest> = {}) =>
      begin(BeginUploadRequest.create({ fileName: "a.mp4", sizeBytes: BigInt(bytes.length), ...change }), call).then(present),
    get: (uploadId: string, tenant = "one") => get({ uploadId }, { ...call, caller: { tenant, role: "member" } }).then(present),
  };
}

function present({ upload }: Awaited<ReturnType<ReturnType<typeof createGetUpload>>>) {
  if (upload === undefined) throw new TypeError("expected an upload");
  return upload;
}

/** A stream that sends bytes from an offset on in chunks, and then ends or breaks. */
async function* stream(uploadId: string, offset: number, { end = bytes.length, breaks = false, of = bytes } = {}) {
  const header = UploadMediaHeader.create({ uploadId, offsetBytes: BigInt(offset) });
  yield { part: { $case: "header", value: header } } as const satisfies UploadMediaRequest;
  for (let at = offset; at < end; at += 300) {
    yield { part: { $case: "chunk", value: of.subarray(at, Math.min(at + 300, end)) } } as const satisfies UploadMediaRequest;
  }
  if (breaks) await Promise.reject(new TypeError("the connection broke"));
}

const facts = { sha256, sizeBytes: BigInt(bytes.length), kind: "video", width: 64, height: 48, frames: 9 };

describe("a file that fits one part", () => {
  const small = Buffer.from("CLIP 5 and no more");
  const nothing = Buffer.from("no media at all");
  const hashOf = (of: Buffer): string => createHash("sha256").update(of).digest("hex");
  const sent = (uploadId: string, of: Buffer<ArrayBuffer>, change = {}) => stream(uploadId, 0, { of, end: of.length, ...change });

  it("is stored as the media alone when it comes in one stream", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin({ sizeBytes: BigInt(small.length) });
    expect(await upload(sent(uploadId, small))).toMatchObject({ sha256: hashOf(small), frames: 5 });
    expect(await store.listUploadParts(uploadId)).toEqual([]);
    expect(await get(uploadId)).toMatchObject({ media: { frames: 5 } });
  });

  it("leaves nothing when it is no media", async () => {
    const { begin, upload, get, artifacts } = methods();
    const { uploadId } = await begin({ sizeBytes: BigInt(nothing.length) });
    await expect(upload(sent(uploadId, nothing))).rejects.toMatchObject({ code: "MEDIA_NOT_DECODABLE" });
    expect(await artifacts.stat(hashOf(nothing))).toBeUndefined();
    await expect(get(uploadId)).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("keeps what had arrived when its stream breaks, and goes on there", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin({ sizeBytes: BigInt(small.length) });
    await expect(upload(sent(uploadId, small, { end: 6, breaks: true }))).rejects.toMatchObject({ message: "the connection broke" });
    expect(await get(uploadId)).toMatchObject({ receivedBytes: 6n });
    expect(await upload(stream(uploadId, 6, { of: small, end: small.length }))).toMatchObject({ sha256: hashOf(small) });
  });
});

describe("what is about to be uploaded", () => {
  it.each([
    [0n, "MEDIA_EMPTY"],
    [BigInt(maxBytes) + 1n, "MEDIA_TOO_LARGE"],
    [-1n, "FIELD_INVALID"],
  ])("of %d bytes is refused as %s", async (sizeBytes, code) => {
    await expect(methods().begin({ sizeBytes })).rejects.toMatchObject({ code, details: { fields: [{ field: "size_bytes" }] } });
  });
});

describe("an upload in several streams", () => {
  it("goes on where the last one ended, and is the media in the end", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin({ sha256 });
    await expect(upload(stream(uploadId, 0, { end: 1_700 }))).rejects.toMatchObject({
      code: "UPLOAD_INCOMPLETE",
      details: { offsetBytes: 1_700 },
    });
    expect(await get(uploadId)).toMatchObject({ receivedBytes: 1_700n, media: undefined });
    expect(await upload(stream(uploadId, 1_700))).toEqual(facts);
    expect(await get(uploadId)).toMatchObject({ media: facts });
    expect(store.uploads).toMatchObject([{ tenant: "one", sha256, mediaType: "video/mp4" }]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("keeps what had arrived when the stream breaks", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin();
    await expect(upload(stream(uploadId, 0, { end: 1_500, breaks: true }))).rejects.toMatchObject({ message: "the connection broke" });
    expect(await get(uploadId)).toMatchObject({ receivedBytes: 1_500n });
    expect(store.parts.get(uploadId)?.map(({ sizeBytes }) => sizeBytes)).toEqual([1_200, 300]);
    expect(await upload(stream(uploadId, 1_500))).toEqual(facts);
  });

  it("keeps what had arrived when the caller goes", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin();
    const gone = AbortSignal.abort();
    await expect(upload(stream(uploadId, 0, { end: 600, breaks: true }), { signal: gone })).rejects.toMatchObject({
      code: "STAGE_CANCELLED",
    });
    expect(await get(uploadId)).toMatchObject({ receivedBytes: 600n });
  });

  it("finishes when all was there and nobody had been left to finish it", async () => {
    const { begin, upload } = methods();
    const { uploadId } = await begin();
    await expect(upload(stream(uploadId, 0, { breaks: true }))).rejects.toThrow();
    expect(await upload(stream(uploadId, bytes.length))).toEqual(facts);
  });

  it("answers the same media once it is finished", async () => {
    const { begin, upload } = methods();
    const { uploadId } = await begin();
    expect(await upload(stream(uploadId, 0))).toEqual(facts);
    expect(await upload(stream(uploadId, 0))).toEqual(facts);
    expect(store.uploads).toHaveLength(1);
  });

  it.each([0, 600, 1_200])("names the right offset to a stream that begins at %i", async (offset) => {
    const { begin, upload } = methods();
    const { uploadId } = await begin();
    await expect(upload(stream(uploadId, 0, { end: 900 }))).rejects.toThrow();
    const error = { code: "UPLOAD_OFFSET_MISMATCH", message: expect.stringContaining("go on at offset 900") as string };
    await expect(upload(stream(uploadId, offset))).rejects.toMatchObject(error);
  });

  it("lets one of two streams win", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin();
    const outcomes = await Promise.allSettled([upload(stream(uploadId, 0)), upload(stream(uploadId, 0))]);
    expect(outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value.sha256 === sha256)).toBe(true);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "UPLOAD_OFFSET_MISMATCH" });
    }
    expect(await get(uploadId)).toMatchObject({ media: facts });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ["no media", {}, Buffer.alloc(bytes.length, "text"), "MEDIA_NOT_DECODABLE"],
    ["other bytes than announced", { sha256: "0".repeat(64) }, bytes, "UPLOAD_CHECKSUM_MISMATCH"],
  ] as const)("drops what turns out to be %s", async (...[, announced, of, code]) => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin(announced);
    await expect(upload(stream(uploadId, 0, { of }))).rejects.toMatchObject({ code });
    await expect(get(uploadId)).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
    expect(store.uploads).toEqual([]);
  });

  it("takes no more bytes than were announced", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin({ sizeBytes: 1_000n });
    await expect(upload(stream(uploadId, 0))).rejects.toMatchObject({ code: "UPLOAD_PROTOCOL" });
    expect(await get(uploadId)).toMatchObject({ receivedBytes: 900n });
  });

  it("is its tenant's alone", async () => {
    const { begin, upload, get } = methods();
    const { uploadId } = await begin();
    await expect(get(uploadId, "two")).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
    const other: Partial<Call> = { caller: { tenant: "two", role: "admin" } };
    await expect(upload(stream(uploadId, 0), other)).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
    await expect(upload(stream("../../x", 0))).rejects.toMatchObject({ code: "UPLOAD_UNKNOWN" });
  });

  it("is refused at once while as many as may run at a time are running", async () => {
    const { begin, upload } = methods(createSlots(1));
    const { uploadId } = await begin();
    const begun = Promise.withResolvers<undefined>();
    const released = Promise.withResolvers<undefined>();
    async function* held() {
      begun.resolve(undefined);
      await released.promise;
      yield* stream(uploadId, 0);
    }
    const first = upload(held());
    await begun.promise;
    await expect(upload(stream(uploadId, 0))).rejects.toMatchObject({ code: "UPLOADS_BUSY", details: { retryAfterMs: 1_000 } });
    released.resolve(undefined);
    expect(await first).toEqual(facts);
  });
});

describe("beginning an upload", () => {
  it("answers the media when the tenant has those bytes already", async () => {
    const { begin, upload } = methods();
    await upload(stream((await begin()).uploadId, 0));
    expect(await begin({ sha256 })).toMatchObject({ uploadId: "", receivedBytes: BigInt(bytes.length), media: facts });
    await expect(begin({ sha256, sizeBytes: 1n })).rejects.toMatchObject({ code: "FIELD_INVALID" });
  });

  it("tells of everything that is wrong at once", async () => {
    const wrong = { fileName: "a\u0000", sizeBytes: -1n, sha256: "ABC" };
    const error = { code: "FIELD_INVALID", details: { fields: [{ field: "file_name" }, { field: "size_bytes" }, { field: "sha256" }] } };
    await expect(methods().begin(wrong)).rejects.toMatchObject(error);
  });
});

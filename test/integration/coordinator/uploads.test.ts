import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UploadMediaHeader, type UploadMediaRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type CoordinatorFarm, filesUnder, type RunningCoordinator, startCoordinatorFarm } from "../../support/coordinator-farm.ts";
import { upload, uploadMessages } from "../../support/farm-calls.ts";

const maxBytes = 1_000_000;
let farm: CoordinatorFarm;
let running: RunningCoordinator;

beforeAll(async () => {
  farm = await startCoordinatorFarm();
  running = await farm.start({ environment: { VAPFARM_MEDIA_MAX_BYTES: String(maxBytes) } });
});
afterAll(() => farm.stop());

const header: UploadMediaRequest = { part: { $case: "header", value: UploadMediaHeader.create({ fileName: "test" }) } };
const announcing = (announced: Partial<UploadMediaHeader>): UploadMediaRequest => ({
  part: { $case: "header", value: UploadMediaHeader.create(announced) },
});
const chunk = (bytes: Uint8Array): UploadMediaRequest => ({ part: { $case: "chunk", value: Buffer.from(bytes) } });
const unknownUpload = "00000000-0000-4000-8000-000000000000";

/** An upload is over only when its temporary file is gone too. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(() => filesUnder(running.uploadsFolder)).toEqual([]);
}

describe("uploading media", () => {
  it("stores the bytes under their hash and tells what they are", async () => {
    const bytes = Buffer.concat([Buffer.from("CLIP 23 "), Buffer.alloc(700_000, 7)]);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const stored = await upload(running.client, bytes, { sha256, sizeBytes: BigInt(bytes.length) });
    expect(stored).toEqual({ sha256, sizeBytes: BigInt(bytes.length), kind: "video", width: 64, height: 48, frames: 23 });
    expect(await farm.artifacts.stat(sha256)).toEqual({ sizeBytes: bytes.length });
    expect(await running.store.findUploads("local", [sha256])).toMatchObject([{ frames: 23, mediaType: "video/mp4" }]);
    await expectNothingLeft();
  });

  it("is idempotent, also when the same bytes come at once", async () => {
    const bytes = Buffer.from("IMAGE of something");
    const answers = await Promise.all(Array.from({ length: 4 }, () => upload(running.client, bytes)));
    expect(new Set(answers.map(({ sha256 }) => sha256)).size).toBe(1);
  });

  it.each([
    ["bytes that are no media", [header, chunk(Buffer.from("text"))], "MEDIA_NOT_DECODABLE"],
    ["no bytes", [header], "MEDIA_EMPTY"],
    ["no header", [chunk(Buffer.from("IMAGE"))], "UPLOAD_PROTOCOL"],
    ["no message at all", [], "UPLOAD_PROTOCOL"],
    ["a second header", [header, header], "UPLOAD_PROTOCOL"],
    ["a message without a part", [header, { part: undefined }], "UPLOAD_PROTOCOL"],
    ["a chunk that is too large", [header, chunk(Buffer.alloc(262_145))], "UPLOAD_PROTOCOL"],
    ["another hash than announced", [announcing({ sha256: "0".repeat(64) }), chunk(Buffer.from("IMAGE"))], "UPLOAD_CHECKSUM_MISMATCH"],
    ["another size than announced", [announcing({ sizeBytes: 4n }), chunk(Buffer.from("IMAGE"))], "UPLOAD_CHECKSUM_MISMATCH"],
    ["an offset of no upload", [announcing({ offsetBytes: 5n }), chunk(Buffer.from("IMAGE"))], "FIELD_INVALID"],
    ["a negative offset", [announcing({ uploadId: unknownUpload, offsetBytes: -1n }), chunk(Buffer.from("IMAGE"))], "FIELD_INVALID"],
    ["an upload that was never begun", [announcing({ uploadId: unknownUpload }), chunk(Buffer.from("IMAGE"))], "UPLOAD_UNKNOWN"],
    ["a negative size", [announcing({ sizeBytes: -1n }), chunk(Buffer.from("IMAGE"))], "FIELD_INVALID"],
    ["what is no hash", [announcing({ sha256: "../x" }), chunk(Buffer.from("IMAGE"))], "FIELD_INVALID"],
    ["a size above the limit", [announcing({ sizeBytes: BigInt(maxBytes + 1) })], "MEDIA_TOO_LARGE"],
  ] as const satisfies readonly (readonly [string, readonly UploadMediaRequest[], string])[])(
    "refuses %s",
    async (...[, messages, code]) => {
      await expect(uploadMessages(running.client, messages)).rejects.toMatchObject({ code });
      await expectNothingLeft();
    },
  );

  it("ends an endless stream at the limit", async () => {
    function* endless(): Generator<UploadMediaRequest> {
      yield header;
      for (;;) yield chunk(Buffer.alloc(200_000));
    }
    await expect(uploadMessages(running.client, endless())).rejects.toMatchObject({
      code: "MEDIA_TOO_LARGE",
      details: { grpcStatus: "INVALID_ARGUMENT" },
    });
    await expectNothingLeft();
  });

  it("leaves nothing of an upload that the caller cancels", async () => {
    const cancelled = new AbortController();
    const bytes = Buffer.from("IMAGE that never ends");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    async function* hesitant(): AsyncGenerator<UploadMediaRequest> {
      yield header;
      yield chunk(bytes);
      await expect.poll(() => filesUnder(running.uploadsFolder)).toHaveLength(1);
      cancelled.abort();
    }
    await expect(uploadMessages(running.client, hesitant(), { signal: cancelled.signal })).rejects.toMatchObject({
      code: "STAGE_CANCELLED",
    });
    await expectNothingLeft();
    expect(await running.store.findUploads("local", [sha256])).toEqual([]);
    expect(await farm.artifacts.stat(sha256)).toBeUndefined();
  });
});

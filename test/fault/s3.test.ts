/**
 * Artifacts on S3 through a proxy that breaks what it can: each operation is right, or a coded error, and nothing wrong is ever readable.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toFarmError } from "../../services/domain/errors.ts";
import type { ByteRange, OpenStore } from "../../services/platform/artifacts/artifact-store.ts";
import { checked } from "../../services/platform/artifacts/checked.ts";
import { usualTimings } from "../../services/platform/artifacts/s3/s3-client.ts";
import { openS3Store } from "../../services/platform/artifacts/s3/s3-store.ts";
import { useMotoCredentials } from "../support/artifact-stores.ts";
import { collect } from "../support/collect.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { type S3Fault, type S3Proxy, type S3Request, startS3Proxy } from "../support/fault/s3-proxy.ts";
import { type Moto, startMoto } from "../support/moto.ts";

const mebibyte = 1024 * 1024;
const bucket = "farm";
const timings = { ...usualTimings, answerMs: 4_000, deleteMs: 3_000, idleMs: 300, requestMs: 1_500, partMs: 6_000 };
let moto: Moto;
let proxy: S3Proxy;
let store: OpenStore;
/** Gives up soon, for faults that stay. */
let hasty: OpenStore;
let folder: string;
let made = 0;
/** Uploads in parts that earlier tests left: some are about just that. */
let openBefore = 0;

beforeAll(async () => {
  useMotoCredentials();
  folder = await mkdtemp(join(tmpdir(), "vapfarm-s3-faults-"));
  moto = await startMoto();
  await moto.createBucket(bucket);
  proxy = await startS3Proxy(moto.port);
  const settings = { endpoint: proxy.endpoint, region: undefined, pathStyle: true };
  store = await openS3Store({ bucket, prefix: "" }, settings, timings);
  hasty = await openS3Store({ bucket, prefix: "" }, settings, { ...timings, tries: 2 });
});
afterAll(async () => {
  await store.close();
  await hasty.close();
  await proxy.stop();
  await moto.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  proxy.plan(() => undefined);
  proxy.requests();
  openBefore = await moto.openUploads(bucket);
});

type Held = { readonly path: string; readonly sha256: string; readonly bytes: Buffer };

/** Bytes that no other test has. */
async function fileOf(length: number): Promise<Held> {
  const bytes = Buffer.alloc(length);
  made += 1;
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(((at + made * 7) * 2_654_435_761) >>> 0, at);
  const sha256 = sha256Of(bytes);
  const path = join(folder, sha256);
  await writeFile(path, bytes);
  return { path, sha256, bytes };
}

async function stored(length: number): Promise<Held> {
  const file = await fileOf(length);
  await store.put(file.sha256, file.path);
  proxy.requests();
  return file;
}

async function read(sha256: string, range?: ByteRange, from = store): Promise<Buffer> {
  const pieces = await from.get(sha256, range);
  return Buffer.concat(await collect(range === undefined ? checked(pieces, sha256) : pieces));
}

/** Plans faults for the first requests of an operation. */
function first(operation: S3Request["operation"], ...faults: readonly S3Fault[]): void {
  const left = [...faults];
  proxy.plan((request) => (request.operation === operation ? left.shift() : undefined));
}

function always(operation: S3Request["operation"], fault: S3Fault): void {
  proxy.plan((request) => (request.operation === operation ? fault : undefined));
}

const slowDown: S3Fault = { kind: "status", status: 503, code: "SlowDown" };
const broken: S3Fault = { kind: "status", status: 500, code: "InternalError" };
const denied: S3Fault = { kind: "status", status: 403, code: "AccessDenied" };
const reset: S3Fault = { kind: "break request", afterBytes: 0 };
const lost: S3Fault = { kind: "lose answer" };
const unavailable = { code: "ARTIFACT_STORE_UNAVAILABLE" };

describe("a read from S3", () => {
  it.each<readonly [string, readonly S3Fault[]]>([
    ["breaks midway", [{ kind: "break answer", afterBytes: mebibyte }]],
    [
      "breaks again and again as it gets on",
      Array.from({ length: 9 }, () => ({ kind: "break answer", afterBytes: mebibyte / 2 }) as const),
    ],
    ["falls silent midway", [{ kind: "fall silent", afterBytes: mebibyte }]],
    ["is throttled, refused and reset before it begins", [slowDown, broken, reset]],
    ["breaks, and is throttled when it goes on", [{ kind: "break answer", afterBytes: 99 }, slowDown]],
    ["loses its answer", [lost]],
  ])("gives every byte once although it %s", async (_what, faults) => {
    const { sha256, bytes } = await stored(7 * mebibyte);
    first("get", ...faults);
    expect((await read(sha256)).equals(bytes)).toBe(true);
    first("get", ...faults);
    expect((await read(sha256, { start: 1_000, end: 6 * mebibyte })).equals(bytes.subarray(1_000, 6 * mebibyte))).toBe(true);
  });

  it("goes on from the byte where it ended, of the same object", async () => {
    const { sha256 } = await stored(3 * mebibyte);
    first("get", { kind: "break answer", afterBytes: mebibyte });
    await read(sha256);
    const [whole, rest] = proxy.requests();
    expect(whole?.range).toBeUndefined();
    const [start = 0, end] =
      /^bytes=(\d+)-(\d+)$/
        .exec(rest?.range ?? "")
        ?.slice(1)
        .map(Number) ?? [];
    expect([start > 0, start <= mebibyte, end]).toEqual([true, true, 3 * mebibyte - 1]);
  });

  it("goes on in the object that replaced the one it began with", async () => {
    const { sha256, path, bytes } = await stored(9 * mebibyte);
    let isReplaced = false;
    first("get", { kind: "break answer", afterBytes: mebibyte });
    const pieces: Uint8Array[] = [];
    for await (const piece of checked(await store.get(sha256), sha256)) {
      pieces.push(piece);
      if (isReplaced) continue;
      isReplaced = true;
      await store.put(sha256, path);
    }
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  });

  it("says that the artifact is gone when it was deleted while the read broke", async () => {
    const { sha256 } = await stored(9 * mebibyte);
    proxy.plan(({ operation, range }) =>
      operation === "get" && range === undefined ? { kind: "break answer", afterBytes: mebibyte } : undefined,
    );
    const reading = (async () => {
      let isDeleted = false;
      for await (const piece of await store.get(sha256)) {
        if (!isDeleted && piece.length > 0) await store.delete(sha256);
        isDeleted = true;
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
  });

  it.each<readonly [string, S3Fault]>([
    ["is throttled for good", slowDown],
    ["breaks for good", { kind: "break answer", afterBytes: 10 }],
    ["is denied", denied],
  ])("ends with a coded error when it %s", async (_what, fault) => {
    const { sha256 } = await stored(mebibyte);
    always("get", fault);
    await expect(read(sha256, undefined, hasty)).rejects.toMatchObject(unavailable);
  });

  it("never passes bytes off as the artifact that are not", async () => {
    const { sha256, bytes } = await stored(2 * mebibyte);
    first("get", { kind: "corrupt answer", atByte: mebibyte });
    await expect(read(sha256)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    first("get", { kind: "truncate answer", toBytes: mebibyte });
    await expect(read(sha256)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    first("get", { kind: "truncate answer", toBytes: mebibyte });
    expect((await read(sha256, { start: 0, end: 2 * mebibyte })).equals(bytes)).toBe(true);
  });

  it("ends at once when its caller goes while S3 is silent", async () => {
    const { sha256 } = await stored(2 * mebibyte);
    always("get", { kind: "fall silent", afterBytes: 1_000 });
    const leaving = new AbortController();
    const reading = (async () => {
      for await (const piece of await store.get(sha256, undefined, leaving.signal)) if (piece.length > 0) leaving.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
  });
});

describe("a put to S3", () => {
  const sizes = [
    ["small", 100_000, "put"],
    ["large", 17 * mebibyte, "part"],
  ] as const;

  it.each(sizes)("is tried again when it is throttled, broken and reset (%s)", async (_name, size, operation) => {
    const { sha256, path, bytes } = await fileOf(size);
    first(operation, slowDown, { kind: "break request", afterBytes: 50_000 }, broken);
    await store.put(sha256, path);
    expect((await read(sha256)).equals(bytes)).toBe(true);
  });

  it.each(sizes)("is right when its answer is lost and it is done twice (%s)", async (_name, size, operation) => {
    const { sha256, path, bytes } = await fileOf(size);
    first(operation, lost);
    await store.put(sha256, path);
    expect((await read(sha256)).equals(bytes)).toBe(true);
  });

  it("is right when the answer to its completion is lost", async () => {
    const { sha256, path, bytes } = await fileOf(17 * mebibyte);
    first("complete", lost);
    await store.put(sha256, path);
    expect((await read(sha256)).equals(bytes)).toBe(true);
    expect(await moto.openUploads(bucket)).toBe(openBefore);
  });

  it("does not take an error for success that was answered with 200, as S3 does late in a completion", async () => {
    const late: S3Fault = { kind: "status", status: 200, code: "InternalError" };
    const { sha256, path, bytes } = await fileOf(17 * mebibyte);
    always("complete", late);
    await expect(hasty.put(sha256, path)).rejects.toMatchObject(unavailable);
    expect(await store.stat(sha256)).toBeUndefined();
    first("complete", late);
    await store.put(sha256, path);
    expect((await read(sha256)).equals(bytes)).toBe(true);
  });

  it("that finds no upload to complete reads back what lies there, and believes only the right bytes", async () => {
    const { sha256, path } = await stored(17 * mebibyte);
    const gone: S3Fault = { kind: "status", status: 404, code: "NoSuchUpload" };
    always("complete", gone);
    await store.put(sha256, path);
    proxy.plan(({ operation }) => {
      if (operation === "complete") return gone;
      return operation === "get" ? { kind: "corrupt answer", atByte: 5 } : undefined;
    });
    await expect(store.put(sha256, path)).rejects.toMatchObject(unavailable);
  });

  it.each(sizes)("stores nothing of bytes that changed on their way (%s)", async (_name, size, operation) => {
    const { sha256, path } = await fileOf(size);
    always(operation, { kind: "corrupt request", atByte: 77 });
    await expect(store.put(sha256, path)).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining("BadDigest") as string,
    });
    expect(await store.stat(sha256)).toBeUndefined();
    expect(await moto.openUploads(bucket)).toBe(openBefore);
  });

  it.each(["begin", "part", "complete"] as const)("leaves neither object nor parts when %s fails for good", async (operation) => {
    const { sha256, path } = await fileOf(20 * mebibyte);
    for (const fault of [slowDown, denied]) {
      always(operation, fault);
      await expect(hasty.put(sha256, path)).rejects.toMatchObject(unavailable);
      expect(await store.stat(sha256)).toBeUndefined();
      expect(await moto.openUploads(bucket)).toBe(openBefore);
    }
  });

  it("does not send the rest of a file of which a part has failed", async () => {
    const { sha256, path } = await fileOf(48 * mebibyte);
    always("part", denied);
    await expect(store.put(sha256, path)).rejects.toMatchObject(unavailable);
    expect(proxy.requests().filter(({ operation }) => operation === "part").length).toBeLessThanOrEqual(4);
  });

  it("tells why it failed although its parts cannot be taken back", async () => {
    const { sha256, path } = await fileOf(20 * mebibyte);
    proxy.plan(({ operation }) => (operation === "part" ? denied : operation === "abort" ? slowDown : undefined));
    await expect(hasty.put(sha256, path)).rejects.toMatchObject({ message: expect.stringContaining("AccessDenied") as string });
  });

  it("takes its parts back when its caller goes midway", async () => {
    const { sha256, path } = await fileOf(40 * mebibyte);
    const leaving = new AbortController();
    let parts = 0;
    proxy.plan(({ operation }) => {
      if (operation === "part" && (parts += 1) === 4) leaving.abort();
      return undefined;
    });
    await expect(store.put(sha256, path, leaving.signal)).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    expect(await store.stat(sha256)).toBeUndefined();
    expect(await moto.openUploads(bucket)).toBe(openBefore);
  });
});

describe("looking and deleting", () => {
  it("are tried again, and done twice without harm", async () => {
    const { sha256, bytes } = await stored(1_000);
    first("head", slowDown, reset, lost);
    expect(await store.stat(sha256)).toEqual({ sizeBytes: bytes.length });
    first("delete", broken, lost);
    await store.delete(sha256);
    expect(await store.stat(sha256)).toBeUndefined();
  });

  it("do not take a store that refuses for one without the artifact", async () => {
    const { sha256 } = await stored(1_000);
    for (const fault of [denied, slowDown, { kind: "status", status: 404, code: "NoSuchBucket" }] as const) {
      always("get", fault);
      await expect(read(sha256, undefined, hasty)).rejects.toMatchObject(unavailable);
    }
    always("head", denied);
    await expect(store.stat(sha256)).rejects.toMatchObject(unavailable);
    always("delete", denied);
    await expect(store.delete(sha256)).rejects.toMatchObject(unavailable);
  });

  it("end within seconds when nothing is answered: a row's lock is held meanwhile", async () => {
    const { sha256 } = await stored(1_000);
    always("delete", { kind: "fall silent", afterBytes: 0 });
    const began = performance.now();
    const ended = await store.delete(sha256).then(
      () => "deleted",
      (thrown: unknown) => toFarmError(thrown).code,
    );
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(["deleted", "ARTIFACT_STORE_UNAVAILABLE"]).toContain(ended);
  });
});

/**
 * What every backend of the artifact port does: the fake, a folder, S3 (on moto: no real S3 was run), JetStream.
 */
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { checked } from "../../services/platform/artifacts/checked.ts";
import { fetchToFile, hashFile } from "../../services/platform/artifacts/fetch.ts";
import { openFolderStore } from "../../services/platform/artifacts/folder-store.ts";
import { openArtifactStore } from "../../services/platform/artifacts/open-store.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { backends, startStores, type Stores } from "../support/artifact-stores.ts";
import { collect } from "../support/collect.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { createMemoryStore } from "../support/memory-artifact-store.ts";
import { shortWrites } from "../support/short-writes.ts";

let stores: Stores;
let folder: string;

beforeAll(async () => {
  stores = await startStores();
});
afterAll(() => stores.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-artifacts-"));
});
afterEach(() => rm(folder, { recursive: true }));

type Held = { readonly path: string; readonly sha256: string };

async function fileOf(bytes: Buffer): Promise<Held> {
  const sha256 = sha256Of(bytes);
  const path = join(folder, sha256);
  await writeFile(path, bytes);
  return { path, sha256 };
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(pieces));
}

/** Bytes that differ from place to place, so that a piece in the wrong place shows. */
function patterned(length: number): Buffer {
  const made = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) made.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return made;
}

const bytes = Buffer.from(Array.from({ length: 200_000 }, (_one, index) => index % 251));
const absent = "0".repeat(64);
const mebibyte = 1024 * 1024;

describe.each(backends)("an artifact store (%s)", (backend) => {
  const open = (): Promise<ArtifactStore> => stores.open(backend, folder);

  it("gives back the bytes that were put, whole and by range", async () => {
    const store = await open();
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    expect(await store.stat(sha256)).toEqual({ sizeBytes: bytes.length });
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
    for (const [start, end] of [
      [0, 1],
      [65_530, 65_540],
      [131_071, 131_073],
      [0, 200_000],
      [199_999, 300_000],
      [200_000, 200_001],
      [300_000, 400_000],
      [5, 5],
      [7, 3],
    ] as const) {
      expect((await collected(await store.get(sha256, { start, end }))).equals(bytes.subarray(start, end))).toBe(true);
    }
  });

  it("holds an artifact without bytes", async () => {
    const store = await open();
    const { path, sha256 } = await fileOf(Buffer.alloc(0));
    await store.put(sha256, path);
    expect([await store.stat(sha256), (await collected(await store.get(sha256))).length]).toEqual([{ sizeBytes: 0 }, 0]);
    expect(await collected(await store.get(sha256, { start: 0, end: 10 }))).toHaveLength(0);
  });

  it("holds an artifact of many parts, and reads ranges across their borders", async () => {
    const large = patterned(24 * mebibyte + 12_345);
    const store = await open();
    const { path, sha256 } = await fileOf(large);
    await store.put(sha256, path);
    expect(await store.stat(sha256)).toEqual({ sizeBytes: large.length });
    const copy = join(folder, "copy");
    await fetchToFile(store, { sha256, path: copy });
    expect((await hashFile(copy)).sha256).toBe(sha256);
    for (const [start, end] of [
      [8 * mebibyte - 3, 8 * mebibyte + 3],
      [128 * 1024 - 1, 16 * mebibyte + 1],
      [24 * mebibyte, large.length],
    ] as const) {
      expect((await collected(await store.get(sha256, { start, end }))).equals(large.subarray(start, end))).toBe(true);
    }
  });

  it("takes the same bytes twice and at once", async () => {
    const store = await open();
    const { path, sha256 } = await fileOf(bytes);
    await Promise.all(Array.from({ length: 6 }, () => store.put(sha256, path)));
    await store.put(sha256, path);
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
  });

  it("takes many artifacts at once", async () => {
    const store = await open();
    const files = await Promise.all(Array.from({ length: 20 }, (_none, index) => fileOf(Buffer.concat([bytes, Buffer.from([index])]))));
    await Promise.all(files.map(({ sha256, path }) => store.put(sha256, path)));
    const read = await Promise.all(files.map(async ({ sha256 }) => sha256Of(await collected(await store.get(sha256)))));
    expect(read).toEqual(files.map(({ sha256 }) => sha256));
  });

  it.each([
    ["small", bytes],
    ["of many parts", patterned(20 * mebibyte)],
  ])("stores nothing under a name that the bytes do not have (%s)", async (_size, wrong) => {
    const store = await open();
    const { path } = await fileOf(wrong);
    await expect(store.put(absent, path)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect(await store.stat(absent)).toBeUndefined();
    await expect(store.get(absent)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
  });

  it("keeps what lies there when a put of other bytes under its name is refused", async () => {
    const store = await open();
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    const other = await fileOf(patterned(9 * mebibyte));
    await expect(store.put(sha256, other.path)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
  });

  it("stores nothing when the put is cancelled before or while it goes on", async () => {
    const store = await open();
    const { path, sha256 } = await fileOf(patterned(20 * mebibyte));
    await expect(store.put(sha256, path, AbortSignal.abort())).rejects.toThrow();
    const cancelling = new AbortController();
    const put = store.put(sha256, path, cancelling.signal);
    setImmediate(() => cancelling.abort());
    await expect(put).rejects.toThrow();
    expect(await store.stat(sha256)).toBeUndefined();
    await store.put(sha256, path);
    expect(await store.stat(sha256)).toEqual({ sizeBytes: 20 * mebibyte });
  });

  it("ends a read whose caller goes, and serves the next", async () => {
    const store = await open();
    const large = patterned(10 * mebibyte);
    const { path, sha256 } = await fileOf(large);
    await store.put(sha256, path);
    const leaving = new AbortController();
    const reading = (async () => {
      for await (const piece of await store.get(sha256, undefined, leaving.signal)) if (piece.length > 0) leaving.abort();
    })();
    await expect(reading).rejects.toThrow();
    for await (const piece of await store.get(sha256)) if (piece.length > 0) break;
    expect(sha256Of(await collected(await store.get(sha256)))).toBe(sha256);
  });

  it("reads on while the artifact is put again", async () => {
    const store = await open();
    const large = patterned(10 * mebibyte);
    const { path, sha256 } = await fileOf(large);
    await store.put(sha256, path);
    let isPutAgain = false;
    const pieces: Uint8Array[] = [];
    for await (const piece of checked(await store.get(sha256), sha256)) {
      pieces.push(piece);
      if (isPutAgain) continue;
      isPutAgain = true;
      await store.put(sha256, path);
    }
    expect(Buffer.concat(pieces).equals(large)).toBe(true);
  });

  it("says what is missing, and deletes what is there, twice", async () => {
    const store = await open();
    await expect(store.get(absent)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await expect(store.get(absent, { start: 0, end: 0 })).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await expect(store.get(absent, { start: 3, end: 9 })).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await store.delete(absent);
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    await store.delete(sha256);
    await store.delete(sha256);
    expect(await store.stat(sha256)).toBeUndefined();
    await expect(store.get(sha256)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await store.put(sha256, path);
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
  });

  it("lists what it holds and nothing else", async () => {
    const store = await open();
    const held = await Promise.all(["one", "three"].map((text) => fileOf(Buffer.from(text))));
    for (const { path, sha256 } of held) await store.put(sha256, path);
    const gone = await fileOf(Buffer.from("gone"));
    await store.put(gone.sha256, gone.path);
    await store.delete(gone.sha256);
    const list = store.list?.();
    if (list === undefined) throw new TypeError("it cannot list");
    const listed = (await collect(list)).toSorted((left, right) => left.sizeBytes - right.sizeBytes);
    expect(listed).toEqual(held.map(({ sha256 }, index) => ({ sha256, sizeBytes: [3, 5][index] })));
  });

  it("takes no name that is no hash", async () => {
    const store = await open();
    const { path } = await fileOf(bytes);
    for (const name of ["../escape", "", "A".repeat(64), `${"a".repeat(63)}*`, `${absent} `]) {
      const refused = { code: "ARTIFACT_UNKNOWN" };
      await expect((async () => store.put(name, path))()).rejects.toMatchObject(refused);
      await expect((async () => store.get(name))()).rejects.toMatchObject(refused);
      await expect((async () => store.stat(name))()).rejects.toMatchObject(refused);
      await expect((async () => store.delete(name))()).rejects.toMatchObject(refused);
    }
  });

  it("names the cause when the bytes to put are not there", async () => {
    const store = await open();
    await expect(store.put(absent, join(folder, "none"))).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
  });
});

describe("the folder store", () => {
  it("leaves no partial file behind, and removes old ones of a crash at its start", async () => {
    const partial = join(folder, "store", "partial");
    await mkdir(partial, { recursive: true });
    await writeFile(join(partial, "crashed"), "half");
    await writeFile(join(partial, "in progress"), "half");
    await utimes(join(partial, "crashed"), 0, 0);
    const store = await openFolderStore(join(folder, "store"));
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    await expect(store.put(absent, path)).rejects.toThrow();
    expect(await readdir(partial)).toEqual(["in progress"]);
  });

  it("opens although a partial file goes between being listed and being looked at", async () => {
    const partial = join(folder, "store", "partial");
    await mkdir(partial, { recursive: true });
    // Listed, and not there when looked at.
    await symlink(join(folder, "gone"), join(partial, "gone"));
    const store = await openFolderStore(join(folder, "store"));
    expect(await store.stat(absent)).toBeUndefined();
  });

  it("replaces bytes that were damaged where they lie", async () => {
    const store = await openFolderStore(join(folder, "store"));
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    await writeFile(join(folder, "store", sha256.slice(0, 2), sha256), "damaged");
    await store.put(sha256, path);
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
  });

  it("is opened by its address, and other addresses are refused", async () => {
    const s3 = { endpoint: undefined, region: undefined, pathStyle: false };
    const surroundings = { s3, natsUrl: "", name: "test", logger: createLogger({ name: "test", level: "silent" }) };
    const store = await openArtifactStore(`folder:${join(folder, "addressed")}`, surroundings);
    expect(await store.stat(absent)).toBeUndefined();
    await store.close();
    for (const address of ["folder:relative", "s3:bucket", ""]) {
      await expect(openArtifactStore(address, surroundings)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    }
  });
});

describe("fetching an artifact to a file", () => {
  it("checks its hash, and leaves no file when it differs", async () => {
    const { path, sha256 } = await fileOf(bytes);
    const store = createMemoryStore();
    await store.put(sha256, path);
    const good = join(folder, "good");
    await fetchToFile(store, { sha256, path: good });
    expect(await hashFile(good)).toEqual({ sha256, sizeBytes: bytes.length });
    const lying: ArtifactStore = { ...store, get: () => store.get(sha256, { start: 0, end: 10 }) };
    await expect(fetchToFile(lying, { sha256, path: join(folder, "bad") })).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect(await readdir(folder)).not.toContain("bad");
  });

  it("writes all of it to a disk that takes little at a time", async () => {
    const { path, sha256 } = await fileOf(bytes);
    const store = createMemoryStore();
    await store.put(sha256, path);
    const disk = await shortWrites(7);
    await fetchToFile(store, { sha256, path: join(folder, "whole") }).finally(() => disk.restore());
    expect(await hashFile(join(folder, "whole"))).toEqual({ sha256, sizeBytes: bytes.length });
  });
});

import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { fetchToFile, hashFile } from "../../services/platform/artifacts/fetch.ts";
import { openFolderStore } from "../../services/platform/artifacts/folder-store.ts";
import { openArtifactStore } from "../../services/platform/artifacts/open-store.ts";
import { collect } from "../support/collect.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { createMemoryStore } from "../support/memory-artifact-store.ts";

const stores: readonly (readonly [string, (folder: string) => Promise<ArtifactStore>])[] = [
  ["folder", (folder) => openFolderStore(join(folder, "store"))],
  ["memory", () => Promise.resolve(createMemoryStore())],
];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-artifacts-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function fileOf(bytes: Buffer): Promise<{ readonly path: string; readonly sha256: string }> {
  const sha256 = sha256Of(bytes);
  const path = join(folder, sha256);
  await writeFile(path, bytes);
  return { path, sha256 };
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(pieces));
}

const bytes = Buffer.from(Array.from({ length: 200_000 }, (_one, index) => index % 251));
const absent = "0".repeat(64);

describe.each(stores)("an artifact store (%s)", (_name, open) => {
  it("gives back the bytes that were put, whole and by range", async () => {
    const store = await open(folder);
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    expect(await store.stat(sha256)).toEqual({ sizeBytes: bytes.length });
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
    for (const [start, end] of [
      [0, 1],
      [65_530, 65_540],
      [199_999, 300_000],
      [200_000, 200_001],
      [5, 5],
    ] as const) {
      expect((await collected(await store.get(sha256, { start, end }))).equals(bytes.subarray(start, end))).toBe(true);
    }
  });

  it("holds an artifact without bytes", async () => {
    const store = await open(folder);
    const { path, sha256 } = await fileOf(Buffer.alloc(0));
    await store.put(sha256, path);
    expect([await store.stat(sha256), (await collected(await store.get(sha256))).length]).toEqual([{ sizeBytes: 0 }, 0]);
  });

  it("takes the same bytes twice and at once", async () => {
    const store = await open(folder);
    const { path, sha256 } = await fileOf(bytes);
    await Promise.all([store.put(sha256, path), store.put(sha256, path)]);
    await store.put(sha256, path);
    expect((await collected(await store.get(sha256))).equals(bytes)).toBe(true);
  });

  it("stores nothing under a name that the bytes do not have", async () => {
    const store = await open(folder);
    const { path } = await fileOf(bytes);
    await expect(store.put(absent, path)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect(await store.stat(absent)).toBeUndefined();
  });

  it("stores nothing when the put is cancelled", async () => {
    const store = await open(folder);
    const { path, sha256 } = await fileOf(bytes);
    await expect(store.put(sha256, path, AbortSignal.abort())).rejects.toThrow();
    expect(await store.stat(sha256)).toBeUndefined();
  });

  it("says what is missing, and deletes what is there, twice", async () => {
    const store = await open(folder);
    await expect(store.get(absent)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    const { path, sha256 } = await fileOf(bytes);
    await store.put(sha256, path);
    await store.delete(sha256);
    await store.delete(sha256);
    expect(await store.stat(sha256)).toBeUndefined();
  });

  it("lists what it holds and nothing else, where it can", async () => {
    const store = await open(folder);
    const held = await Promise.all(["one", "three"].map((text) => fileOf(Buffer.from(text))));
    for (const { path, sha256 } of held) await store.put(sha256, path);
    const gone = await fileOf(Buffer.from("gone"));
    await store.put(gone.sha256, gone.path);
    await store.delete(gone.sha256);
    if (store.list === undefined) return;
    const listed = (await collect(store.list())).toSorted((left, right) => left.sizeBytes - right.sizeBytes);
    expect(listed).toEqual(held.map(({ sha256 }, index) => ({ sha256, sizeBytes: [3, 5][index] })));
  });

  it("takes no name that is no hash", async () => {
    const store = await open(folder);
    const { path } = await fileOf(bytes);
    for (const name of ["../escape", "", "A".repeat(64)]) {
      await expect((async () => store.put(name, path))()).rejects.toMatchObject({ code: "ARTIFACT_UNKNOWN" });
      await expect((async () => store.get(name))()).rejects.toMatchObject({ code: "ARTIFACT_UNKNOWN" });
    }
  });

  it("names the cause when the bytes to put are not there", async () => {
    const store = await open(folder);
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
    const store = await openArtifactStore(`folder:${join(folder, "addressed")}`);
    expect(await store.stat(absent)).toBeUndefined();
    for (const address of ["folder:relative", "s3:bucket", ""]) {
      await expect(openArtifactStore(address)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
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
});

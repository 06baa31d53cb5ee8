import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createArtifactMetrics, measureStore } from "../../../services/platform/artifacts/measured-store.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { collect } from "../../support/collect.ts";
import { sha256Of } from "../../support/farm-calls.ts";
import { createMemoryStore } from "../../support/memory-artifact-store.ts";

const bytes = Buffer.alloc(200_000, "measured");
const sha256 = sha256Of(bytes);
const absent = "0".repeat(64);
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-measured-"));
  path = join(folder, "bytes");
  await writeFile(path, bytes);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Seen = { readonly operation: string; readonly backend: string; readonly code: string; readonly seconds: number };

function watched() {
  const seen: Seen[] = [];
  const store = measureStore(createMemoryStore(), (done) => void seen.push(done));
  return { store, seen, codes: () => seen.map(({ operation, code }) => `${operation} ${code}`) };
}

describe("a measured store", () => {
  it("tells of each operation and how it ended", async () => {
    const { store, seen, codes } = watched();
    await store.put(sha256, path);
    await expect(store.put(absent, path)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    expect(Buffer.concat(await collect(await store.get(sha256))).equals(bytes)).toBe(true);
    await expect(store.get(absent)).rejects.toMatchObject({ code: "ARTIFACT_MISSING" });
    await store.stat(sha256);
    await store.delete(sha256);
    expect(codes()).toEqual(["put OK", "put ARTIFACT_CORRUPT", "get OK", "get ARTIFACT_MISSING", "stat OK", "delete OK"]);
    expect(seen.every(({ backend, seconds }) => backend === "memory" && seconds >= 0)).toBe(true);
  });

  it("tells a get that was left from one that broke", async () => {
    const { store, codes } = watched();
    await store.put(sha256, path);
    for await (const piece of await store.get(sha256)) if (piece.length > 0) break;
    const leaving = new AbortController();
    const reading = (async () => {
      for await (const piece of await store.get(sha256, undefined, leaving.signal)) if (piece.length > 0) leaving.abort();
    })();
    await expect(reading).rejects.toThrow();
    expect(codes()).toEqual(["put OK", "get STAGE_CANCELLED", "get ARTIFACT_STORE_UNAVAILABLE"]);
  });

  it("does not count the time that a reader takes", async () => {
    const { store, seen } = watched();
    await store.put(sha256, path);
    const began = performance.now();
    for await (const piece of await store.get(sha256)) {
      const until = performance.now() + 20;
      while (performance.now() < until && piece.length > 0) continue;
    }
    const all = (performance.now() - began) / 1_000;
    expect(seen.at(-1)?.seconds).toBeLessThan(all / 2);
  });

  it("keeps what else the store can", async () => {
    const { store } = watched();
    expect(store.presignedGet).toBeUndefined();
    const presigning = measureStore({ ...createMemoryStore(), presignedGet: () => Promise.resolve("https://s3.example") }, () => undefined);
    const link = { expiresMs: 1, fileName: "a", mediaType: "b", isShown: false };
    expect(await presigning.presignedGet?.(sha256, link)).toBe("https://s3.example");
  });

  it("is a histogram by operation, backend and code", async () => {
    const metrics = createMetrics();
    const store = measureStore(createMemoryStore(), createArtifactMetrics(metrics));
    await store.put(sha256, path);
    const text = await metrics.registry.getSingleMetricAsString("vapfarm_artifact_seconds");
    expect(text).toContain('vapfarm_artifact_seconds_count{operation="put",backend="memory",code="OK"} 1');
  });
});

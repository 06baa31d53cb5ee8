import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import type { ArtifactStore } from "../../../services/platform/artifacts/artifact-store.ts";
import { openFolderStore } from "../../../services/platform/artifacts/folder-store.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { type ArtifactCache, openArtifactCache } from "../../../services/worker/transfer/artifact-cache.ts";
import { fetchInputs } from "../../../services/worker/transfer/inputs.ts";
import { hashOutputs, putOutputs } from "../../../services/worker/transfer/outputs.ts";
import { openScratch } from "../../../services/worker/transfer/scratch.ts";
import { createManualClock } from "../../support/manual-clock.ts";

const signal = new AbortController().signal;
let folder: string;
let store: ArtifactStore;
let cache: ArtifactCache;
/** What the cache told. */
let taken: boolean[];
let heldBytes: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-transfer-"));
  store = await openFolderStore(join(folder, "store"));
  taken = [];
  cache = await openArtifactCache(join(folder, "cache"), 10, {
    onTake: (isHit) => taken.push(isHit),
    onHeld: (bytes) => (heldBytes = bytes),
  });
  await mkdir(join(folder, "in"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<{ readonly sha256: string; readonly path: string; readonly sizeBytes: number }> {
  const path = join(folder, name);
  await writeFile(path, text);
  return { path, sizeBytes: text.length, sha256: createHash("sha256").update(text).digest("hex") };
}

async function stored(text: string): Promise<string> {
  const { sha256, path } = await file(`to-store-${text}`, text);
  await store.put(sha256, path);
  return sha256;
}

function input(name: string, sha256: string) {
  return { name, sha256, sizeBytes: 3n };
}

describe("fetching inputs", () => {
  it("brings each artifact once, whatever number of inputs it serves", async () => {
    const sha256 = await stored("one");
    const inputs = await fetchInputs(
      { store, cache },
      { inputs: [input("a", sha256), input("b", sha256)], folder: join(folder, "in") },
      signal,
    );
    expect(await readdir(join(folder, "in"))).toHaveLength(1);
    expect(inputs.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(new Set(inputs.map(({ source }) => source?.value)).size).toBe(1);
    expect(await readFile(join(folder, "in", sha256), "utf8")).toBe("one");
  });

  it("needs no store for what was made or fetched here before", async () => {
    const sha256 = await stored("one");
    const wanted = { inputs: [input("a", sha256)], folder: join(folder, "in") };
    await fetchInputs({ store, cache }, wanted, signal);
    await rm(join(folder, "in", sha256));
    await store.delete(sha256);
    await fetchInputs({ store, cache }, wanted, signal);
    expect(await readFile(join(folder, "in", sha256), "utf8")).toBe("one");
    expect([taken, heldBytes]).toEqual([[false, true], 3]);
  });

  it("names every artifact that is missing or corrupt", async () => {
    const good = await stored("one");
    const corrupt = await stored("two");
    await writeFile(join(folder, "store", corrupt.slice(0, 2), corrupt), "owt");
    const missing = "0".repeat(64);
    const inputs = [input("a", good), input("b", corrupt), input("c", missing)];
    const fetching = fetchInputs({ store, cache }, { inputs, folder: join(folder, "in") }, signal);
    await expect(fetching).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT", details: { badInputs: [corrupt, missing] } });
  });
});

describe("the artifact cache", () => {
  it("evicts what was used longest ago, and attempts that use it keep their file", async () => {
    const [one, two, three] = [await file("1", "aaaa"), await file("2", "bbbb"), await file("3", "cccc")];
    await cache.keep(one, one.path);
    await cache.keep(two, two.path);
    const used = join(folder, "used");
    expect(await cache.take(one.sha256, used)).toBe(true);
    await cache.keep(three, three.path);
    expect(await cache.take(two.sha256, join(folder, "x"))).toBe(false);
    expect(await cache.take(one.sha256, join(folder, "y"))).toBe(true);
    expect(await readFile(used, "utf8")).toBe("aaaa");
  });

  it("keeps nothing that is larger than itself", async () => {
    const large = await file("large", "a".repeat(11));
    await cache.keep(large, large.path);
    expect(await cache.take(large.sha256, join(folder, "x"))).toBe(false);
  });
});

describe("storing outputs", () => {
  it("hashes them, and asks a store that does not answer again", async () => {
    const { path, sha256 } = await file("out", "result");
    let tries = 0;
    const flaky: ArtifactStore = {
      ...store,
      put: (name, from, abort) => {
        tries += 1;
        return tries < 3 ? Promise.reject(new FarmError("ARTIFACT_STORE_UNAVAILABLE")) : store.put(name, from, abort);
      },
    };
    const files = await hashOutputs([{ name: "o", path, mediaType: "text/plain", sizeBytes: 0n }], signal);
    expect(files[0]?.artifact).toEqual({ name: "o", sha256, sizeBytes: 6n, mediaType: "text/plain" });
    const clock = createManualClock();
    const putting = putOutputs({ store: flaky, cache, clock, draw: () => 0, retry: { firstMs: 500, mostMs: 2_000 } }, files, signal);
    for (let wait = 0; wait < 2; wait += 1) {
      // Real files settle in their own time; the clock moves only once the store was asked.
      await expect.poll(() => tries).toBe(wait + 1);
      await clock.advance(1_000);
    }
    await putting;
    expect(await store.stat(sha256)).toEqual({ sizeBytes: 6 });
  });

  it("gives up when its attempt stops", async () => {
    const { path } = await file("out", "result");
    const files = await hashOutputs([{ name: "o", path, mediaType: "text/plain", sizeBytes: 0n }], signal);
    const down: ArtifactStore = { ...store, put: () => Promise.reject(new FarmError("ARTIFACT_STORE_UNAVAILABLE")) };
    const target = { store: down, cache, clock: createManualClock(), draw: () => 0, retry: { firstMs: 500, mostMs: 2_000 } };
    const controller = new AbortController();
    const putting = putOutputs(target, files, controller.signal);
    controller.abort();
    await expect(putting).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
  });
});

describe("scratch", () => {
  it("removes at the start what an earlier life left, and at the end what an attempt used", async () => {
    const logger = createLogger({ name: "test", level: "silent" });
    const path = join(folder, "scratch");
    await mkdir(join(path, "a-old"), { recursive: true });
    const scratch = await openScratch(path, logger);
    expect(await readdir(path)).toEqual([]);
    const own = await scratch.open();
    await writeFile(join(own.outputFolder, "half"), "x");
    expect((await stat(own.inputFolder)).isDirectory()).toBe(true);
    await own.close();
    expect(await readdir(path)).toEqual([]);
  });
});

import { mkdtemp, mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkFolder, repairFiles } from "../../../services/cli/models/check-version.ts";
import { storeSource, withLocal } from "../../../services/cli/models/chunk-source.ts";
import { chunksHeld, listNode, partialOf, placeOf, tidyNode } from "../../../services/cli/models/node-folder.ts";
import { evictForRoom, versionsNeeded } from "../../../services/cli/models/pull-plan.ts";
import { type NodePull, type NodePulled, pullToNode } from "../../../services/cli/models/pull-node.ts";
import { type PullOptions, pullVersion } from "../../../services/cli/models/pull-version.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { pinnedReference } from "../../../services/domain/model-reference.ts";
import { bytesOf, modelChunkBytes } from "../../../services/domain/model-version.ts";
import { ModelVersion } from "../../../services/gen/proto/vapfarm/v1/models.ts";
import { openFolderStore } from "../../../services/platform/artifacts/folder-store.ts";
import { readNodeAliases } from "../../../services/platform/models/node-aliases.ts";
import { madeVersion, type MadeVersion, sourceFrom } from "../../support/node-models.ts";
import { demoFolder } from "../../support/pushed-models.ts";
import { shortWrites } from "../../support/short-writes.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "vapfarm-node-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const signal = new AbortController().signal;
const pulling = (version: MadeVersion, change: Partial<PullOptions> = {}): PullOptions => ({
  ...{ root, source: sourceFrom(version).source, signal, parallel: 3, onProgress: () => undefined },
  ...change,
});

async function expectWhole(version: MadeVersion): Promise<void> {
  for (const [path, bytes] of version.contents) expect((await readFile(join(placeOf(root, version), path))).equals(bytes)).toBe(true);
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "OK",
    (thrown: unknown) => (thrown as FarmError).code,
  );

describe("a pull", () => {
  it("makes the files that were pushed, empty ones too, and lists them", async () => {
    const version = madeVersion("cog", { "farm.json": 100, "denoise/1/model.onnx": modelChunkBytes + 5, "denoise/1/empty": 0 });
    const told: number[] = [];
    const pulled = await pullVersion(version, pulling(version, { onProgress: (done) => void told.push(done) }));
    expect([pulled.keptBytes, pulled.writtenBytes, told.at(-1)]).toEqual([0, modelChunkBytes + 105, modelChunkBytes + 105]);
    await expectWhole(version);
    expect((await listNode(root)).map(({ reference, bytes }) => [reference, bytes])).toEqual([
      [pinnedReference("cog", version.version), modelChunkBytes + 105],
    ]);
  });

  it("goes on from whatever lies there: any bytes cut, flipped or added give the same files in the end", async () => {
    const version = madeVersion("cog", { "farm.json": 50, "a/weights": 2 * modelChunkBytes + 1_000 });
    const size = 2 * modelChunkBytes + 1_000;
    const damage = fc.record({ at: fc.nat(size + 500), kind: fc.constantFrom("cut", "flip", "grow", "stranger"), chunks: fc.nat(2) });
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, kind, chunks }) => {
        let left = chunks;
        const { source } = sourceFrom(version, () => {
          if (left === 0) throw new FarmError("ARTIFACT_STORE_UNAVAILABLE");
          left -= 1;
        });
        expect(await codeOf(pullVersion(version, pulling(version, { source, parallel: 1 })))).toBe("ARTIFACT_STORE_UNAVAILABLE");
        const path = join(partialOf(root, version), "a/weights");
        const bytes = await readFile(path);
        if (kind === "cut") await truncate(path, Math.min(at, bytes.length));
        if (kind === "flip" && at < bytes.length) await writeFile(path, Buffer.from(bytes).fill((bytes[at] ?? 0) ^ 1, at, at + 1));
        if (kind === "grow") await writeFile(path, Buffer.concat([bytes, Buffer.alloc(at, 7)]));
        if (kind === "stranger") await writeFile(join(partialOf(root, version), "stranger"), "x");
        await pullVersion(version, pulling(version));
        await expectWhole(version);
        expect(await readdir(placeOf(root, version))).not.toContain("stranger");
        await rm(placeOf(root, version), { recursive: true });
      }),
      { numRuns: 12 },
    );
  });

  it("brings only what is missing", async () => {
    const version = madeVersion("cog", { weights: 3 * modelChunkBytes });
    const [first = "", second = "", third = ""] = version.files[0]?.chunks ?? [];
    const broken = sourceFrom(version, (sha256) => {
      if (sha256 === second) throw new FarmError("ARTIFACT_STORE_UNAVAILABLE");
    });
    await codeOf(pullVersion(version, pulling(version, { source: broken.source, parallel: 1 })));
    expect(broken.asked).toEqual([first, second]);
    const again = sourceFrom(version);
    const pulled = await pullVersion(version, pulling(version, { source: again.source }));
    expect([again.asked.toSorted(), pulled.keptBytes]).toEqual([[second, third].toSorted(), modelChunkBytes]);
    await expectWhole(version);
  });

  it("copies chunks that another version here has, unless they are damaged", async () => {
    const old = madeVersion("cog", { shared: modelChunkBytes + 1, own: 100 });
    await pullVersion(old, pulling(old));
    const next = madeVersion("cog", { shared: 0, own: 200 }, new Map([["shared", old.contents.get("shared") ?? Buffer.alloc(0)]]));
    await writeFile(join(placeOf(root, old), "shared"), "damaged", { flag: "r+" });
    let local = 0;
    const remote = sourceFrom(next);
    const source = withLocal(remote.source, chunksHeld(await listNode(root)), (bytes) => (local += bytes));
    await pullVersion(next, pulling(next, { source }));
    expect([local, remote.asked.length]).toEqual([1, 2]);
    await expectWhole(next);
  });

  it("names a chunk that the store has damaged or lost, and writes nothing of it", async () => {
    const version = madeVersion("cog", { weights: 1_000 });
    const store = await openFolderStore(join(root, "store"));
    const source = storeSource(store, { signal });
    expect(await codeOf(pullVersion(version, pulling(version, { source })))).toBe("MODEL_CHUNK_DAMAGED");
    const path = join(root, "chunk");
    const [[sha256 = "", bytes = Buffer.alloc(0)] = []] = version.chunks;
    await writeFile(path, bytes);
    await store.put(sha256, path);
    await writeFile(join(root, "store", sha256.slice(0, 2), sha256), "damaged");
    const refused = await pullVersion(version, pulling(version, { source })).catch((thrown: unknown) => thrown as FarmError);
    expect([refused instanceof FarmError && refused.code, refused instanceof FarmError && refused.message]).toEqual([
      "MODEL_CHUNK_DAMAGED",
      expect.stringContaining(sha256),
    ]);
    expect((await stat(join(partialOf(root, version), "weights"))).size).toBe(0);
    await store.put(sha256, path);
    await pullVersion(version, pulling(version, { source }));
    await expectWhole(version);
  });

  it("refuses before it writes what the disk has no room for", async () => {
    const version = madeVersion("cog", { weights: 1_000 });
    const { source, asked } = sourceFrom(version);
    const full = pulling(version, { source, freeBytes: () => Promise.resolve(999) });
    expect([await codeOf(pullVersion(version, full)), asked]).toEqual(["MODEL_DISK_FULL", []]);
    await pullVersion(version, pulling(version, { freeBytes: () => Promise.resolve(1_000) }));
    await expectWhole(version);
  });
});

it("a pull and a repair write all of a chunk to a disk that takes little at a time", async () => {
  const version = madeVersion("cog", { weights: 3_000, "farm.json": 100 });
  const disk = await shortWrites(700);
  try {
    await pullVersion(version, pulling(version));
    await expectWhole(version);
    const folder = placeOf(root, version);
    await truncate(join(folder, "weights"), 10);
    const checked = await checkFolder(folder, { signal, onBytes: () => undefined });
    await repairFiles({ ...checked, version }, sourceFrom(version).source, signal);
  } finally {
    disk.restore();
  }
  await expectWhole(version);
});

describe("checking and mending", () => {
  it("finds each bad file, and brings only the chunks that are bad", async () => {
    const version = madeVersion("cog", { weights: 2 * modelChunkBytes, "farm.json": 10, "a/tokenizer": 20, good: 30 });
    await pullVersion(version, pulling(version));
    const folder = placeOf(root, version);
    await writeFile(join(folder, "weights"), "x", { flag: "r+" });
    await rm(join(folder, "a"), { recursive: true });
    await truncate(join(folder, "farm.json"), 3);
    const checked = await checkFolder(folder, { signal, onBytes: () => undefined });
    expect(checked.bad.map(({ path }) => path).toSorted()).toEqual(["a/tokenizer", "farm.json", "weights"]);
    const { source, asked } = sourceFrom(version);
    const pulled = await repairFiles({ ...checked, version }, source, signal);
    expect([pulled, asked.length]).toEqual([modelChunkBytes + 30, 3]);
    await expectWhole(version);
    expect((await checkFolder(folder, { signal, onBytes: () => undefined })).bad).toEqual([]);
    expect(await readdir(folder)).toEqual(expect.arrayContaining([".version.json", "a", "farm.json", "good", "weights"]));
  });

  it("checks a plain folder by what its farm.json says", async () => {
    const checked = await checkFolder(demoFolder, { signal, onBytes: () => undefined });
    expect([checked.reference, checked.bad, checked.version]).toEqual(["demo", [], undefined]);
  });
});

describe("a node", () => {
  const told = (version: MadeVersion, change: Partial<ModelVersion> = {}) => {
    const { name, version: id, digest, files } = version;
    return ModelVersion.create({ name, version: id, digest, ready: true, sizeBytes: BigInt(bytesOf(files)), ...change });
  };
  type Known = readonly (readonly [MadeVersion, Partial<ModelVersion>])[];
  /** A pull from a farm that knows these. */
  const filling = (known: Known, change: Partial<NodePull> = {}): Promise<NodePulled> => {
    const versions = known.map(([version, about]) => told(version, about));
    const chunks = new Map(known.flatMap(([version]) => [...version.chunks]));
    const getFarm = () => Promise.resolve({ farm: { pools: [{ name: "gpu" }] } });
    const found = (reference: string) => known.find(([{ name, version }]) => reference === pinnedReference(name, version))?.[0];
    const getModelVersion = ({ reference = "" }) => {
      const version = found(reference) ?? expect.fail(`${reference} was asked for`);
      const files = version.files.map(({ bytes, ...file }) => ({ ...file, sizeBytes: BigInt(bytes) }));
      return Promise.resolve({ version: told(version), files });
    };
    return pullToNode({
      calls: { listModelVersions: () => Promise.resolve({ versions }), getModelVersion, getFarm } as never,
      ...{ root, references: [], pool: undefined, budgetBytes: undefined, parallel: 2, signal, source: sourceFrom({ chunks }).source },
      onProgress: () => Object.assign(() => undefined, { end: () => undefined }),
      ...change,
    });
  };
  const ref = ({ name, version }: MadeVersion) => pinnedReference(name, version);

  it("keeps what another container began of a version that it was not told to bring, while the farm needs that", async () => {
    const [prod, old, dropped] = [madeVersion("cog", { x: 100 }), madeVersion("cog", { x: 100 }), madeVersion("cog", { x: 100 })];
    for (const half of [old, dropped]) await mkdir(partialOf(root, half), { recursive: true });
    await mkdir(join(root, ".partial", "cog@000000000000"), { recursive: true });
    await filling([[prod, { aliases: ["prod"] }], [old, { liveJobs: 1 }], [dropped, {}]], { references: [ref(prod)] });
    expect(await readdir(join(root, ".partial"))).toEqual([`cog@${old.version}`]);
  });

  it("has nothing to do for a pool that needs nothing, and refuses one that the farm has not", async () => {
    const prod = madeVersion("cog", { x: 100 });
    expect(await filling([[prod, { aliases: ["prod"], pool: "cpu" }]], { pool: "gpu" })).toMatchObject({ outcomes: [], left: [] });
    await expect(filling([], { pool: "gpus" })).rejects.toMatchObject({ code: "POOL_UNKNOWN", message: "the farm has no pool gpus; it has gpu" });
  });

  it("takes of what the farm needs what fits, what aliases name first, and says what it left", async () => {
    const [old, prod, small] = [madeVersion("cog", { x: 60 }), madeVersion("cog", { x: 60 }), madeVersion("cog", { x: 30 })];
    const known: Known = [
      [old, { liveJobs: 1 }],
      [prod, { aliases: ["prod"] }],
      [small, { liveJobs: 1 }],
    ];
    const { outcomes, left } = await filling(known, { budgetBytes: 100 });
    expect([outcomes.map(({ reference }) => reference), left.map(({ version }) => version)]).toEqual([[ref(prod), ref(small)], [old.version]]);
    // What is named must come; what lies here already comes, however little the budget has become.
    await expect(filling(known, { budgetBytes: 100, references: [ref(old)] })).rejects.toMatchObject({ code: "MODEL_BUDGET_EXCEEDED" });
    const again = await filling(known, { budgetBytes: 10, references: [ref(prod)] });
    expect(again.outcomes.map(({ reference }) => reference)).toEqual([ref(prod)]);
    expect((await filling(known, { budgetBytes: 10 })).left).toHaveLength(1);
  });

  it("writes down what aliases mean, and writes nothing where that is what they meant", async () => {
    const [prod, canary] = [madeVersion("cog", { x: 1 }), madeVersion("cog", { x: 1 })];
    expect([...(await readNodeAliases(root))]).toEqual([]);
    const known: Known = [
      [prod, { aliases: ["prod", "best"] }],
      [canary, { aliases: ["canary"] }],
    ];
    await filling(known, { references: [ref(prod)] });
    expect(Object.fromEntries(await readNodeAliases(root))).toEqual({ "cog@prod": prod.version, "cog@best": prod.version, "cog@canary": canary.version });
    const { ino } = await stat(join(root, ".aliases.json"));
    await filling(known);
    expect((await stat(join(root, ".aliases.json"))).ino).toBe(ino);
    await writeFile(join(root, ".aliases.json"), "half of");
    expect([...(await readNodeAliases(root))]).toEqual([]);
  });
});

describe("room on a node", () => {
  const told = (version: MadeVersion, change: Partial<ModelVersion> = {}) => ModelVersion.create({ name: version.name, version: version.version, ready: true, ...change });
  const age = async (version: MadeVersion, seconds: number) => {
    const time = new Date(Date.now() - seconds * 1_000);
    await mkdir(join(root, ".used"), { recursive: true });
    const path = join(root, ".used", `${version.name}@${version.version}`);
    await writeFile(path, "");
    await utimes(path, time, time);
  };

  it("is made of versions that nobody needs, the least recently used first; what is left by a crash goes too", async () => {
    const [a, b, c] = [madeVersion("a", { x: 100 }), madeVersion("b", { x: 100 }), madeVersion("c", { x: 100 })];
    for (const version of [a, b, c]) await pullVersion(version, pulling(version));
    await Promise.all([age(a, 30), age(b, 20), age(c, 10)]);
    const known = [told(a, { aliases: ["prod"] }), told(b), told(c, { useTime: new Date(Date.now() - 60_000) })];
    const question = { root, known, wanted: [], budgetBytes: 250, isDry: true };
    expect((await evictForRoom({ ...question, neededBytes: 0 })).map(({ reference }) => reference)).toEqual([pinnedReference("b", b.version)]);
    expect((await listNode(root)).length).toBe(3);
    await evictForRoom({ ...question, neededBytes: 0, isDry: false });
    expect((await listNode(root)).map(({ name }) => name)).toEqual(["a", "c"]);
    const refused = await evictForRoom({ ...question, neededBytes: 200, isDry: false }).catch((thrown: unknown) => thrown as FarmError);
    expect([refused instanceof FarmError && refused.code, refused instanceof FarmError && refused.message]).toEqual([
      "MODEL_BUDGET_EXCEEDED",
      expect.stringMatching(/50 B are missing; what stays: a:.*alias prod/),
    ]);
    expect((await listNode(root)).map(({ name }) => name)).toEqual(["a", "c"]);
    await mkdir(join(root, ".trash", "half"), { recursive: true });
    await mkdir(partialOf(root, b), { recursive: true });
    await mkdir(partialOf(root, c), { recursive: true });
    await tidyNode(root, [c]);
    expect([(await readdir(join(root, ".partial"))).length, (await readdir(root)).includes(".trash")]).toEqual([1, false]);
  });

  it("is needed by aliases and live jobs of the pool", () => {
    const one = madeVersion("a", { x: 1 });
    const versions = [
      told(one, { aliases: ["prod"], pool: "gpu" }),
      told(one, { liveJobs: 2, pool: "gpu" }),
      told(one, { pool: "gpu" }),
      told(one, { aliases: ["prod"], pool: "cpu" }),
      told(one, { aliases: ["prod"], pool: "gpu", ready: false }),
    ];
    expect([versionsNeeded(versions, "gpu").length, versionsNeeded(versions, undefined).length]).toEqual([2, 3]);
  });
});

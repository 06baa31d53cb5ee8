import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createMediaResolver,
  type FoundMedia,
  type MediaAsk,
  type ResolvedMedia,
} from "../../../services/coordinator/rpc/resolve-media.ts";
import { createSlots } from "../../../services/platform/slots.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import type { AddressFetcher } from "../../../services/platform/fetch/address-fetcher.ts";
import { createMemoryStore } from "../../support/memory-artifact-store.ts";
import { createMemoryMediaStore, type MemoryMediaStore } from "../../support/memory-media-store.ts";
import { inspectPlayed } from "../../support/played-media.ts";

const image = Buffer.from("IMAGE of something");
const sha256 = createHash("sha256").update(image).digest("hex");
let folder: string;
let store: MemoryMediaStore;
let fetched: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-resolve-"));
  store = createMemoryMediaStore();
  fetched = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The outside: some addresses hold media. */
const outside: Readonly<Record<string, Buffer | FarmError>> = {
  "https://media.test/a.png": image,
  "https://media.test/a.txt": Buffer.from("text"),
  "https://media.test/big": Buffer.concat([Buffer.from("CLIP 9"), Buffer.alloc(900)]),
  "https://media.test/big2": Buffer.concat([Buffer.from("CLIP 8"), Buffer.alloc(900)]),
  "https://media.test/away": new FarmError("FETCH_FAILED", { message: "answered with status 404" }),
  "https://media.test/down": new FarmError("ARTIFACT_STORE_UNAVAILABLE"),
};

const fetcher: AddressFetcher = {
  refusalOf: (address) => (address in outside ? undefined : "is below no address that the operator allows"),
  async fetchTo({ address, path, maxBytes }) {
    fetched.push(address);
    const found = outside[address];
    if (!Buffer.isBuffer(found)) throw found ?? new FarmError("FETCH_FAILED");
    if (found.length > maxBytes) throw new FarmError("MEDIA_TOO_LARGE");
    await writeFile(path, found, { flag: "wx" });
  },
};

const artifacts = createMemoryStore();

function resolve(asks: readonly MediaAsk[], signal = new AbortController().signal): Promise<readonly ResolvedMedia[]> {
  const kept = { store, artifacts, inspect: inspectPlayed, inspections: createSlots(2), temporaryFolder: folder };
  const resolver = createMediaResolver({ ...kept, fetcher, fetches: createSlots(1), maxBytes: 1_000, maxBytesOfCall: 1_500 });
  return resolver.resolve(asks, { tenant: "one", signal });
}

const uri = (address: string, field = "render.image"): MediaAsk => ({ kind: "uri", uri: address, field });
const inline = (bytes: Buffer, field = "render.image"): MediaAsk => ({ kind: "inline", bytes, field });

function found(outcome: ResolvedMedia | undefined): FoundMedia {
  if (outcome === undefined || !("upload" in outcome)) throw new TypeError("expected media");
  return outcome;
}

describe("resolving media", () => {
  it.each([
    ["inline", inline(image)],
    ["by address", uri("https://media.test/a.png")],
  ])("tells what media %s are, and stores them only when told to", async (_how, ask) => {
    const [outcome] = await resolve([ask]);
    expect(found(outcome).upload).toMatchObject({ tenant: "one", sha256, sizeBytes: image.length, kind: "image", mediaType: "image/png" });
    expect(store.uploads).toEqual([]);
    await found(outcome).commit();
    expect(store.uploads).toMatchObject([{ tenant: "one", sha256 }]);
    expect(await artifacts.stat(sha256)).toEqual({ sizeBytes: image.length });
    expect(await readdir(folder)).toEqual([]);
  });

  it("does not send bytes that decode to too much on to an upload, which has the same limits", async () => {
    expect(await resolve([inline(Buffer.from("HUGE"))])).toMatchObject([
      { violation: { remedy: expect.stringContaining("shorten or scale") as unknown } },
    ]);
  });

  it("leaves nothing of what is discarded", async () => {
    const [outcome] = await resolve([inline(image)]);
    expect(await readdir(folder)).toHaveLength(1);
    await found(outcome).discard();
    await found(outcome).discard();
    expect(await readdir(folder)).toEqual([]);
    expect(store.uploads).toEqual([]);
  });

  it("fetches equal sources once, stores them once, and names each one's own field", async () => {
    const outcomes = await resolve([
      uri("https://media.test/a.png", "a"),
      uri("https://media.test/a.png", "b"),
      uri("https://media.test/away", "c"),
      uri("https://media.test/away", "d"),
    ]);
    expect(fetched).toEqual(["https://media.test/a.png", "https://media.test/away"]);
    expect(outcomes.slice(2)).toMatchObject([{ violation: { field: "c" } }, { violation: { field: "d" } }]);
    await Promise.all(outcomes.slice(0, 2).map((outcome) => found(outcome).commit()));
    expect(store.uploads).toHaveLength(1);
  });

  it.each([
    [inline(Buffer.from("text")), "MEDIA_NOT_DECODABLE"],
    [inline(Buffer.alloc(0)), "MEDIA_EMPTY"],
    [uri("https://media.test/a.txt"), "MEDIA_NOT_DECODABLE"],
    [uri("https://media.test/away"), "FETCH_FAILED"],
    [uri("https://elsewhere.test/"), "ADDRESS_REFUSED"],
    [inline(Buffer.from("HUGE")), "MEDIA_TOO_LARGE"],
  ])("names the field of a source that is wrong (%#)", async (ask, code) => {
    expect(await resolve([ask])).toMatchObject([{ violation: { code, field: "render.image" } }]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("keeps what the addresses of one call hold under a limit together", async () => {
    const outcomes = await resolve([uri("https://media.test/big", "a"), uri("https://media.test/big2", "b"), inline(image, "c")]);
    expect(outcomes).toMatchObject([
      { upload: { frames: 9 } },
      { violation: { code: "MEDIA_TOO_LARGE", field: "b" } },
      { upload: { sha256 } },
    ]);
  });

  it("throws what is wrong with the farm, and leaves nothing behind", async () => {
    const asks = [inline(image), uri("https://media.test/down"), uri("https://media.test/a.png")];
    await expect(resolve(asks)).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    expect(await readdir(folder)).toEqual([]);
  });

  it("leaves nothing of a caller that went", async () => {
    await expect(resolve([inline(image)], AbortSignal.abort())).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
    expect(await readdir(folder)).toEqual([]);
  });
});

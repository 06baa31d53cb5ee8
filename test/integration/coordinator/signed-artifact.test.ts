/**
 * The route of signed addresses on a real HTTP server, over artifacts in a folder and the store's answer in memory.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ArtifactLink, signLink } from "../../../services/coordinator/http/artifact-link.ts";
import { createFail } from "../../../services/coordinator/http/failure.ts";
import { createSignedArtifactRoute } from "../../../services/coordinator/http/signed-artifact.ts";
import type { ArtifactStore, PresignedLink } from "../../../services/platform/artifacts/artifact-store.ts";
import { openFolderStore } from "../../../services/platform/artifacts/folder-store.ts";
import { createHttpServer, type HttpServer } from "../../../services/platform/http.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { loadServiceMap } from "../../../services/platform/protojson/service-map.ts";
import { createMemoryMediaStore } from "../../support/memory-media-store.ts";

const key = Buffer.alloc(32, 7);
const bytes = Buffer.from(Array.from({ length: 300_000 }, (_none, index) => index % 251));
const sha256 = createHash("sha256").update(bytes).digest("hex");
const now = 1_700_000_000;
const link: ArtifactLink = { jobId: "01234567-89ab-cdef-0123-456789abcdef", position: 0, name: "mp4", sha256, expiresAt: now + 60 };
const store = createMemoryMediaStore();
const read = { opened: 0, ended: 0 };
let folder: string;
let server: HttpServer;
/** What the store of `presigning` was asked for. */
const presigned: (readonly [string, PresignedLink])[] = [];
let presigning: HttpServer;

/** Bytes that nobody can take whole, to see that the read ends when the client goes. */
async function* endless(): AsyncGenerator<Uint8Array> {
  read.opened += 1;
  try {
    for (;;) yield await Promise.resolve(Buffer.alloc(65_536));
  } finally {
    read.ended += 1;
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-signed-"));
  const artifacts = await openFolderStore(join(folder, "artifacts"));
  await writeFile(join(folder, "bytes"), bytes);
  await artifacts.put(sha256, join(folder, "bytes"));
  store.artifacts.set("mp4", { name: "mp4", sha256, sizeBytes: bytes.length, mediaType: "video/mp4" });
  store.artifacts.set("latents", { name: "latents", sha256: "e".repeat(64), sizeBytes: 1e12, mediaType: "application/octet-stream" });
  // Other bytes than its name says.
  const corrupt = "c".repeat(64);
  store.artifacts.set("frames", { name: "frames", sha256: corrupt, sizeBytes: bytes.length, mediaType: "application/zip" });
  const map = loadServiceMap(readFileSync(join(import.meta.dirname, "../../../services/gen/farm.binpb")), "vapfarm.v1.FarmService");
  const get: ArtifactStore["get"] = (hash, range) =>
    hash === corrupt ? artifacts.get(sha256, range) : hash === sha256 ? artifacts.get(hash, range) : Promise.resolve(endless());
  const presignedGet: NonNullable<ArtifactStore["presignedGet"]> = (hash, asked) => {
    presigned.push([hash, asked]);
    return Promise.resolve(`https://s3.example/${hash}`);
  };
  const serve = (served: Pick<ArtifactStore, "get" | "presignedGet">): HttpServer => {
    const route = createSignedArtifactRoute({
      store,
      artifacts: served,
      signingKey: () => Promise.resolve(key),
      now: () => new Date(now * 1000),
      logger: createLogger({ name: "test", level: "silent" }),
      fail: createFail(map),
    });
    return createHttpServer({ address: "127.0.0.1:0", ready: () => Promise.resolve(), metrics: createMetrics(), routes: [route] });
  };
  server = serve({ get });
  presigning = serve({ get, presignedGet });
  await Promise.all([server.start(), presigning.start()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), presigning.stop()]);
  await rm(folder, { recursive: true, force: true });
});

const at = (change: Partial<ArtifactLink> = {}, on = server): string => `http://${on.address()}${signLink({ ...link, ...change }, key)}`;
const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

describe("a signed address", () => {
  it("answers the bytes and what they are", async () => {
    const response = await fetch(at());
    expect(response.status).toBe(200);
    expect(await bytesOf(response)).toEqual(bytes);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "accept-ranges": "bytes",
      "cache-control": "private, max-age=60, immutable",
      "content-disposition": `inline; filename="${link.jobId}-0-mp4.mp4"`,
      "content-length": String(bytes.length),
      "content-type": "video/mp4",
      etag: `"${sha256}"`,
      "x-content-type-options": "nosniff",
    });
  });

  it("answers HEAD without bytes", async () => {
    const response = await fetch(at(), { method: "HEAD" });
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(await bytesOf(response)).toHaveLength(0);
  });

  it.each([
    ["bytes=0-99", 0, 100],
    ["bytes=299999-", 299_999, 300_000],
    ["bytes=-10", 299_990, 300_000],
    ["bytes=100-9999999", 100, 300_000],
  ])("answers the range %s", async (range, start, end) => {
    const response = await fetch(at(), { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/300000`);
    expect(await bytesOf(response)).toEqual(bytes.subarray(start, end));
  });

  it("minds If-Range and If-None-Match", async () => {
    const same = await fetch(at(), { headers: { range: "bytes=0-9", "if-range": `"${sha256}"` } });
    expect([same.status, (await bytesOf(same)).length]).toEqual([206, 10]);
    const other = await fetch(at(), { headers: { range: "bytes=0-9", "if-range": '"other"' } });
    expect([other.status, (await bytesOf(other)).length]).toEqual([200, bytes.length]);
    const known = await fetch(at(), { headers: { "if-none-match": `"x", "${sha256}"` } });
    expect([known.status, (await bytesOf(known)).length]).toEqual([304, 0]);
  });

  it("refuses a range outside the bytes", async () => {
    const response = await fetch(at(), { headers: { range: "bytes=300000-" } });
    expect([response.status, response.headers.get("content-range")]).toEqual([416, "bytes */300000"]);
  });

  it.each([
    ["has expired", () => at({ expiresAt: now }), 403, "LINK_INVALID"],
    ["was altered", () => at().replace("/0/mp4", "/1/mp4"), 403, "LINK_INVALID"],
    ["is not signed", () => at().replace(/&signature=.*/, ""), 403, "LINK_INVALID"],
    ["is of bytes that are not the artifact's any more", () => at({ sha256: "d".repeat(64) }), 404, "ARTIFACT_UNKNOWN"],
  ] as const)("is refused with its reason when it %s", async (...[, address, status, reason]) => {
    const response = await fetch(address());
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ details: expect.arrayContaining([expect.objectContaining({ reason })]) as unknown });
  });

  it("is for reading only", async () => {
    const response = await fetch(at(), { method: "POST", body: "x" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("cuts bytes that do not have their name short instead of ending", async () => {
    await expect(fetch(at({ name: "frames", sha256: "c".repeat(64) })).then(bytesOf)).rejects.toThrow();
  });

  it("stops to read when the client goes, and reads no more than the client takes", async () => {
    const ended = read.ended;
    const client = request(at({ name: "latents", sha256: "e".repeat(64) }), (response) => {
      response.once("readable", () => client.destroy());
    });
    client.on("error", () => undefined);
    client.end();
    await expect.poll(() => read.ended).toBe(ended + 1);
  });
});

describe("a signed address of a store that presigns", () => {
  const get = (address: string, more: RequestInit = {}): Promise<Response> => fetch(address, { redirect: "manual", ...more });

  it("leads on to the store for as long as it lasts itself, and is not kept", async () => {
    presigned.length = 0;
    const response = await get(at({}, presigning), { headers: { range: "bytes=0-9" } });
    expect([response.status, response.headers.get("location")]).toEqual([307, `https://s3.example/${sha256}`]);
    expect(response.headers.get("cache-control")).toBe("private, no-store");
    expect(presigned).toEqual([
      [sha256, { expiresMs: 60_000, fileName: `${link.jobId}-0-mp4.mp4`, mediaType: "video/mp4", isShown: true }],
    ]);
  });

  it("is held to the same rules: nothing is presigned for an address that is refused", async () => {
    presigned.length = 0;
    const refused = [
      at({ expiresAt: now }, presigning),
      at({}, presigning).replace("/0/mp4", "/1/mp4"),
      at({ sha256: "d".repeat(64) }, presigning),
    ];
    for (const address of refused) expect((await get(address)).status).toBeGreaterThanOrEqual(403);
    expect((await get(at({}, presigning), { method: "POST" })).status).toBe(405);
    expect(presigned).toEqual([]);
  });

  it("answers HEAD, what the client has, and the farm's own pages itself", async () => {
    presigned.length = 0;
    const head = await get(at({}, presigning), { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(bytes.length)]);
    expect((await get(at({}, presigning), { headers: { "if-none-match": `"${sha256}"` } })).status).toBe(304);
    const page = await get(`${at({}, presigning)}&via=farm`);
    expect([page.status, (await bytesOf(page)).equals(bytes)]).toEqual([200, true]);
    expect(presigned).toEqual([]);
  });
});

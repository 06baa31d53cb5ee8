/**
 * Artifacts in a JetStream bucket whose server goes and comes back, whose connection breaks, which is full, and which other processes left half.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toFarmError } from "../../services/domain/errors.ts";
import type { OpenStore } from "../../services/platform/artifacts/artifact-store.ts";
import { checked } from "../../services/platform/artifacts/checked.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { type Broker, connectBroker } from "../../services/platform/nats/broker.ts";
import { type ObjectBucket, openObjectBucket } from "../../services/platform/nats/object-bucket.ts";
import { openOnNats } from "../support/artifact-stores.ts";
import { collect } from "../support/collect.ts";
import { sha256Of } from "../support/farm-calls.ts";
import { startTcpProxy, type TcpProxy } from "../support/fault/tcp-proxy.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";

const mebibyte = 1024 * 1024;
const logger = createLogger({ name: "test", level: "silent" });
let nats: TestNats;
let broker: Broker;
let folder: string;
const opened: OpenStore[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-jetstream-"));
  nats = await startTestNats();
  broker = await connectBroker({ url: nats.url, name: "test", logger });
});
afterAll(async () => {
  for (const store of opened) await store.close();
  await broker.close();
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open(address: string, url = nats.url): Promise<OpenStore> {
  const store = await openOnNats(url, address);
  opened.push(store);
  return store;
}

type Held = { readonly path: string; readonly sha256: string; readonly bytes: Buffer };

async function fileOf(length: number): Promise<Held> {
  const bytes = Buffer.alloc(length, randomUUID());
  const sha256 = sha256Of(bytes);
  const path = join(folder, sha256);
  await writeFile(path, bytes);
  return { path, sha256, bytes };
}

async function read(store: OpenStore, sha256: string): Promise<Buffer> {
  return Buffer.concat(await collect(checked(await store.get(sha256), sha256)));
}

/** Chunks of a bucket by the object that they are of. */
async function chunkSubjects(bucket: string): Promise<readonly string[]> {
  const manager = await jetstreamManager(broker.connection);
  const { state } = await manager.streams.info(`OBJ_${bucket}`, { subjects_filter: `$O.${bucket}.C.>` });
  return Object.keys(state.subjects ?? {});
}

function bucketOf(name: string): Promise<ObjectBucket> {
  return openObjectBucket(broker, { name, replicas: undefined, maxBytes: undefined });
}

describe("a bucket", () => {
  it("keeps its artifacts over the server's end, and the store goes on when it is back", async () => {
    const store = await open("jetstream:kept");
    const { sha256, path, bytes } = await fileOf(3 * mebibyte);
    await store.put(sha256, path);
    await nats.halt();
    await expect(store.stat(sha256)).rejects.toMatchObject({ code: "ARTIFACT_STORE_UNAVAILABLE" });
    await nats.resume();
    const other = await open("jetstream:kept");
    expect((await read(other, sha256)).equals(bytes)).toBe(true);
    await expect.poll(async () => store.stat(sha256).catch(() => undefined)).toEqual({ sizeBytes: bytes.length });
    await expect.poll(() => broker.isConnected()).toBe(true);
  });

  it("takes what fits its limits, and says in words what does not", async () => {
    const store = await open("jetstream:bounded?max_bytes=4194304&max_object_bytes=3000000");
    const large = await fileOf(3_000_001);
    const refused = store.put(large.sha256, large.path);
    await expect(refused).rejects.toMatchObject({
      code: "ARTIFACT_TOO_LARGE",
      message: 'the JetStream bucket "bounded" takes artifacts of up to 3000000 bytes, this one has 3000001',
    });
    const [one, two] = [await fileOf(2_900_000), await fileOf(2_900_000)];
    await store.put(one.sha256, one.path);
    await expect(store.put(two.sha256, two.path)).rejects.toMatchObject({
      code: "ARTIFACT_STORE_UNAVAILABLE",
      message: expect.stringContaining("maximum bytes") as string,
    });
    expect(await store.stat(two.sha256)).toBeUndefined();
    expect(await chunkSubjects("bounded")).toHaveLength(1);
    await store.delete(one.sha256);
    await store.put(two.sha256, two.path);
    expect((await read(store, two.sha256)).equals(two.bytes)).toBe(true);
  });

  it("is not used with settings that it does not have", async () => {
    await open("jetstream:settled?max_bytes=10000000");
    await open("jetstream:settled");
    await expect(open("jetstream:settled?max_bytes=20000000")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: 'the bucket "settled" has max_bytes 10000000, not 20000000; change the bucket or the address',
    });
  });

  it("holds no chunks of what was replaced, refused, cancelled or deleted, nor of puts that raced", async () => {
    const [left, right] = [await open("jetstream:tidy"), await open("jetstream:tidy")];
    const { sha256, path } = await fileOf(2 * mebibyte);
    await Promise.all([left, right, left, right].map((store) => store.put(sha256, path)));
    expect(await chunkSubjects("tidy")).toHaveLength(1);
    await expect(left.put("0".repeat(64), path)).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    await Promise.all([left.put(sha256, path), right.delete(sha256)]);
    await left.delete(sha256);
    expect(await chunkSubjects("tidy")).toEqual([]);
    const manager = await jetstreamManager(broker.connection);
    expect((await manager.streams.info("OBJ_tidy")).state.messages).toBe(0);
  });

  it("loses what a killed process left half once that is old, and nothing else", async () => {
    const store = await open("jetstream:swept");
    const { sha256, path, bytes } = await fileOf(mebibyte);
    await store.put(sha256, path);
    broker.publish("$O.swept.C.HALF", Buffer.from("a chunk of an object that has no name yet"));
    await broker.flush(5_000);
    const bucket = await bucketOf("swept");
    expect(await bucket.sweep(3_600_000)).toBe(0);
    expect(await chunkSubjects("swept")).toHaveLength(2);
    expect(await bucket.sweep(0)).toBe(1);
    expect((await read(store, sha256)).equals(bytes)).toBe(true);
  });

  it("is corrupt where chunks are missing, never shorter", async () => {
    const store = await open("jetstream:damaged");
    const { sha256, path } = await fileOf(mebibyte);
    await store.put(sha256, path);
    const manager = await jetstreamManager(broker.connection);
    const { state } = await manager.streams.info("OBJ_damaged");
    await manager.streams.deleteMessage("OBJ_damaged", state.first_seq + 3);
    await expect(collect(await store.get(sha256))).rejects.toMatchObject({ code: "ARTIFACT_CORRUPT" });
    await store.put(sha256, path);
    expect(sha256Of(await read(store, sha256))).toBe(sha256);
  });
});

describe("a connection that breaks", () => {
  it("leaves nothing of the put that it broke, and the next one is right", async () => {
    const proxy: TcpProxy = await startTcpProxy({ port: Number(new URL(nats.url).port) });
    try {
      const store = await open("jetstream:broken", `nats://127.0.0.1:${proxy.port}`);
      const { sha256, path, bytes } = await fileOf(30 * mebibyte);
      const leaving = new AbortController();
      const put = store.put(sha256, path, leaving.signal);
      await expect.poll(async () => (await chunkSubjects("broken")).length).toBe(1);
      proxy.hold("up", "down");
      leaving.abort();
      await expect(put).rejects.toMatchObject({ code: "STAGE_CANCELLED" });
      expect(await (await bucketOf("broken")).find(sha256)).toBeUndefined();
      proxy.cut();
      proxy.pass();
      // As a worker does: a store that does not answer is asked again.
      const outcome = (): Promise<string> =>
        store.put(sha256, path).then(
          () => "stored",
          (thrown: unknown) => toFarmError(thrown).code,
        );
      await expect.poll(outcome, { timeout: 40_000 }).toBe("stored");
      expect((await read(store, sha256)).equals(bytes)).toBe(true);
    } finally {
      await proxy.stop();
    }
  });
});

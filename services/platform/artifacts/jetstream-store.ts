/**
 * Artifacts in an object bucket of JetStream, for farms whose artifacts are small: latents, checkpoints, short clips.
 *
 * It refuses what is larger than `maxObjectBytes`: puts of hundreds of MB into replicated streams fail in ways that the server does not
 * promise to tell (spec: jetstream §4.3). Puts go two at a time, each chunk waits for its acknowledgement, and those of one
 * name one after another. The store has a connection of its own: megabytes must not delay the beats that keep leases.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { isSha256 } from "../../domain/ids.ts";
import type { Broker } from "../nats/broker.ts";
import { type HeldObject, type ObjectBucket, openObjectBucket } from "../nats/object-bucket.ts";
import { createSlots, type Slots } from "../slots.ts";
import { checkName } from "./artifact-name.ts";
import type { ArtifactStat, ByteRange, OpenStore } from "./artifact-store.ts";
import { bounded, cancelled } from "./bounded.ts";
import { emptyBytes } from "./empty-bytes.ts";
import type { JetStreamAddress } from "./store-address.ts";

const putsAtATime = 2;
const readBytes = 128 * 1024;
const callMs = 20_000;
const putMs = 600_000;
const deleteMs = 4_000;
/** No put takes so long: what is older and has no name was left by a process that was killed. */
const leftoverMs = 24 * 3600 * 1000;

export type JetStreamOptions = {
  /** The store's own; closed with it. */
  readonly broker: Broker;
  /** Whether leftovers of killed processes are removed; one kind of process suffices. */
  readonly sweeps: boolean;
};

/** Opens the bucket, and makes it where it is not there. */
export async function openJetStreamStore(address: JetStreamAddress, { broker, sweeps }: JetStreamOptions): Promise<OpenStore> {
  const bucket = await inStore(() => openObjectBucket(broker, { ...address, name: address.bucket }));
  if (sweeps) await inStore(() => bucket.sweep(leftoverMs));
  const puts = createSlots(putsAtATime);
  const lines = new Map<string, { readonly slots: Slots; users: number }>();
  return {
    backend: "jetstream",
    mostBytes: address.maxObjectBytes,
    put: (sha256, path, signal) => {
      checkName(sha256);
      const work = (): Promise<void> => puts.use(signal, () => putFile(bucket, { sha256, path, address }, signal));
      return inLine(lines, sha256, (line) => line.use(signal, work));
    },
    get: (sha256, range, signal) => inStore(() => open(bucket, { sha256: checkName(sha256), range, signal })),
    async stat(sha256) {
      const found = await inStore(() => bounded({ ms: callMs, what: "a stat" }, () => bucket.find(checkName(sha256))));
      return found === undefined ? undefined : { sizeBytes: found.sizeBytes };
    },
    delete: (sha256) => inStore(() => bounded({ ms: deleteMs, what: "a delete" }, () => bucket.delete(checkName(sha256)))),
    list: () => listed(bucket),
    close: () => broker.close(),
  };
}

async function* listed(bucket: ObjectBucket): AsyncGenerator<ArtifactStat & { readonly sha256: string }> {
  const names = await inStore(() => bounded({ ms: putMs, what: "a list" }, () => bucket.list()));
  for (const { name, sizeBytes } of names) if (isSha256(name)) yield { sha256: name, sizeBytes };
}

/** One line for each name that is being put. */
async function inLine<T>(
  lines: Map<string, { readonly slots: Slots; users: number }>,
  name: string,
  work: (line: Slots) => Promise<T>,
): Promise<T> {
  const line = lines.get(name) ?? { slots: createSlots(1), users: 0 };
  lines.set(name, line);
  line.users += 1;
  try {
    return await work(line.slots);
  } finally {
    line.users -= 1;
    if (line.users === 0) lines.delete(name);
  }
}

type PutFile = { readonly sha256: string; readonly path: string; readonly address: JetStreamAddress };

async function putFile(bucket: ObjectBucket, file: PutFile, signal: AbortSignal | undefined): Promise<void> {
  const { sha256, path, address } = file;
  await inStore(async () => {
    const { size } = await stat(path);
    if (size > address.maxObjectBytes) {
      const limit = `the JetStream bucket "${address.bucket}" takes artifacts of up to ${address.maxObjectBytes} bytes`;
      throw new FarmError("ARTIFACT_TOO_LARGE", { message: `${limit}, this one has ${size}`, details: { sha256, sizeBytes: size } });
    }
    // A caller that goes does not wait for the acknowledgement of a chunk.
    await bounded({ ms: putMs, what: "a put", signal }, (ending) => putUntilThere(bucket, file, ending));
  });
}

async function putUntilThere(bucket: ObjectBucket, { sha256, path }: PutFile, signal: AbortSignal): Promise<void> {
  for (;;) {
    const outcome = await bucket.put(sha256, named(path, sha256, signal));
    // The other put had the same name, so the same bytes; unless what was quicker was a delete.
    if (outcome === "stored" || (await bucket.find(sha256)) !== undefined) return;
  }
}

/** A file's bytes; an error instead of their end when they do not have the name, before the object becomes visible. */
async function* named(path: string, sha256: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: readBytes }) as AsyncIterable<Buffer>) {
    if (signal.aborted) throw cancelled();
    hash.update(piece);
    yield piece;
  }
  if (signal.aborted) throw cancelled();
  const found = hash.digest("hex");
  if (found !== sha256) {
    throw new FarmError("ARTIFACT_CORRUPT", { message: `the bytes hash to ${found}, not to the announced ${sha256}` });
  }
}

type Reading = { readonly sha256: string; readonly range: ByteRange | undefined; readonly signal: AbortSignal | undefined };

async function open(bucket: ObjectBucket, reading: Reading): Promise<AsyncIterable<Uint8Array>> {
  const { sha256, range, signal } = reading;
  const found = await bounded({ ms: callMs, what: "a get", signal }, () => bucket.find(sha256));
  if (found === undefined) throw new FarmError("ARTIFACT_MISSING");
  const start = range?.start ?? 0;
  const end = Math.min(range?.end ?? found.sizeBytes, found.sizeBytes);
  return end <= start ? emptyBytes() : read(bucket, { reading, found, start, end });
}

type Span = { readonly reading: Reading; readonly found: HeldObject; readonly start: number; readonly end: number };

/** An object that is replaced while it is read goes on in the new one, which has the same bytes. */
async function* read(bucket: ObjectBucket, { reading, found, start, end }: Span): AsyncGenerator<Uint8Array> {
  let { id } = found;
  let at = start;
  for (;;) {
    let passed = 0;
    for await (const chunk of chunksUntil(bucket, id, reading.signal)) {
      const piece = chunk.subarray(Math.max(0, at - passed), Math.max(0, end - passed));
      passed += chunk.length;
      at += piece.length;
      if (piece.length > 0) yield piece;
      if (at === end) return;
    }
    const again = await inStore(() => bounded({ ms: callMs, what: "a get", signal: reading.signal }, () => bucket.find(reading.sha256)));
    if (again === undefined) throw new FarmError("ARTIFACT_MISSING", { message: "the artifact was deleted while it was read" });
    if (again.id === id || again.sizeBytes !== found.sizeBytes) {
      throw new FarmError("ARTIFACT_CORRUPT", { message: "chunks of the artifact are missing", details: { sha256: reading.sha256 } });
    }
    ({ id } = again);
  }
}

async function* chunksUntil(bucket: ObjectBucket, id: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const chunks = bucket.chunks(id);
  try {
    for (;;) {
      const next = await inStore(() => bounded({ ms: callMs, what: "a get", signal }, () => chunks.next()));
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not waited for: a batch that is on its way ends by itself.
    void chunks.return(undefined).catch(() => undefined);
  }
}

/** The broker's failures are the store's. */
async function inStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
    if (error.code !== "BROKER_UNAVAILABLE" && error.code !== "DEADLINE_PASSED") throw error;
    throw new FarmError("ARTIFACT_STORE_UNAVAILABLE", { message: error.message, cause: error });
  }
}

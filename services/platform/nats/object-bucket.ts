/**
 * A bucket of JetStream's object store (ADR-20): named objects in chunks of 128 KiB, in the form that NATS' own tools read.
 *
 * Invariants: an object is visible once its last chunk is stored, and a put that fails takes its chunks back; of two puts of one name one
 * comes first and the other sees it (the name's expected last sequence), so that no chunks are left behind; a delete removes exactly the
 * object that it saw. What a killed process left half is removed by `sweep`. The client's own `get` hangs when an object goes while it is
 * read, and knows no ranges: chunks are read here in small batches, from whichever replica answers, else from the leader.
 */
import { JetStreamApiError, type JetStreamManager, jetstreamManager, StorageType, type StoredMsg } from "@nats-io/jetstream";
import { type ObjectInfo, type ObjectStore, Objm } from "@nats-io/obj";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { withDeadline } from "../deadline.ts";
import type { Broker } from "./broker.ts";

export type BucketSettings = {
  readonly name: string;
  /** Undefined: 1 for a new bucket, else as the bucket has it. */
  readonly replicas: number | undefined;
  /** Bytes that the bucket may take up; undefined: no bound for a new one, else as it has it. */
  readonly maxBytes: number | undefined;
};

export type HeldObject = {
  /** Of its chunks; another put has another one. */
  readonly id: string;
  readonly revision: number;
  readonly sizeBytes: number;
};

export type ObjectBucket = {
  /** Undefined when there is none. */
  find(name: string): Promise<HeldObject | undefined>;
  /** Stores or replaces; `already stored` when another put of the name was quicker. An error of `bytes` leaves nothing. */
  put(name: string, bytes: AsyncIterable<Uint8Array>): Promise<"stored" | "already stored">;
  /** Its chunks in order; ends early when they are not there (any more). */
  chunks(id: string): AsyncGenerator<Uint8Array>;
  /** Idempotent. */
  delete(name: string): Promise<void>;
  /** All at once: names and sizes are small. */
  list(): Promise<readonly { readonly name: string; readonly sizeBytes: number }[]>;
  /** Removes chunks of no object whose last one is older; tells of how many objects. */
  sweep(olderThanMs: number): Promise<number>;
};

const wrongLastSequence = 10071;
const noMessageStatus = 404;
const publishMs = 10_000;
const chunksAtATime = 16;
const batchMs = 10_000;
const mostRaces = 5;

type Opened = { readonly settings: BucketSettings; readonly store: ObjectStore; readonly manager: JetStreamManager };

/** Opens the bucket, and makes it where it is not there: files, so that it survives the server. CONFIG_INVALID when it is another one. */
export async function openObjectBucket(broker: Broker, settings: BucketSettings): Promise<ObjectBucket> {
  const manager = await unavailable(jetstreamManager(broker.connection, { checkAPI: false }));
  const store = await unavailable(
    new Objm(broker.connection).create(settings.name, {
      description: "artifacts of vapfarm",
      storage: StorageType.File,
      replicas: settings.replicas ?? 1,
      max_bytes: settings.maxBytes ?? -1,
    }),
  );
  requireSettings(settings, (await unavailable(store.status())).streamInfo.config);
  const opened: Opened = { settings, store, manager };
  return {
    find: (name) => find(opened, name),
    put: (name, bytes) => put(opened, name, bytes),
    chunks: (id) => chunksOf(opened, id),
    delete: (name) => remove(opened, name),
    list: async () => (await unavailable(store.list())).map(({ name, size }) => ({ name, sizeBytes: size })),
    sweep: (olderThanMs) => sweep(opened, olderThanMs),
  };
}

type Config = { readonly storage: string; readonly num_replicas: number; readonly max_bytes: number };

function requireSettings({ name, replicas, maxBytes }: BucketSettings, found: Config): void {
  const faults = [
    found.storage === StorageType.File ? [] : ["is kept in memory and would not survive its server"],
    replicas === undefined || replicas === found.num_replicas ? [] : [`has ${found.num_replicas} replicas, not ${replicas}`],
    maxBytes === undefined || maxBytes === found.max_bytes ? [] : [`has max_bytes ${found.max_bytes}, not ${maxBytes}`],
  ].flat();
  if (faults.length === 0) return;
  throw new FarmError("CONFIG_INVALID", { message: `the bucket "${name}" ${faults.join(" and ")}; change the bucket or the address` });
}

async function find({ store }: Opened, name: string): Promise<HeldObject | undefined> {
  const info = await unavailable(store.info(name));
  return info === null || info.deleted ? undefined : { id: info.nuid, revision: info.revision, sizeBytes: info.size };
}

async function put({ store }: Opened, name: string, bytes: AsyncIterable<Uint8Array>): Promise<"stored" | "already stored"> {
  const before: ObjectInfo | null = await unavailable(store.info(name));
  const source = remembering(bytes);
  try {
    await store.put({ name }, ReadableStream.from(source.bytes), { timeout: publishMs, previousRevision: before?.revision ?? 0 });
    return "stored";
  } catch (thrown) {
    if (source.failure() !== undefined) throw source.failure();
    if (isApiError(thrown, wrongLastSequence)) return "already stored";
    throw toFarmError(thrown, "BROKER_UNAVAILABLE");
  }
}

/** Taking chunks back may fail too: why the bytes ended is what the caller must hear. */
function remembering(bytes: AsyncIterable<Uint8Array>): { readonly bytes: AsyncIterable<Uint8Array>; readonly failure: () => unknown } {
  let failure: unknown;
  async function* passed(): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes;
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    }
  }
  return { bytes: passed(), failure: () => failure };
}

async function* chunksOf(opened: Opened, id: string): AsyncGenerator<Uint8Array> {
  let sequence = 1;
  for (;;) {
    const found = await batchFrom(opened, id, sequence);
    for (const { data } of found) yield data;
    const last = found.at(-1);
    if (last === undefined) return;
    sequence = last.seq + 1;
  }
}

/** Up to `chunksAtATime`; none: there are no more. A replica that lags is not believed. */
async function batchFrom(opened: Opened, id: string, sequence: number): Promise<readonly StoredMsg[]> {
  const { manager, settings } = opened;
  const subject = chunkSubject(settings.name, id);
  const found = await directBatch(opened, subject, sequence);
  if (found.length > 0) return found;
  // The leader's request takes what the direct one takes; the client's type does not say so.
  const query = { seq: sequence, next_by_subj: subject };
  const next = await unavailable(manager.streams.getMessage(streamOf(settings.name), query));
  return next === null ? [] : [next];
}

async function directBatch({ manager, settings }: Opened, subject: string, sequence: number): Promise<readonly StoredMsg[]> {
  const found: StoredMsg[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  // With a callback the client ends its subscription by itself, which it does not for an iterator.
  const asked = await unavailable(
    manager.direct.getBatch(streamOf(settings.name), {
      seq: sequence,
      next_by_subj: subject,
      batch: chunksAtATime,
      callback: (done, message) => {
        if (done === null) found.push(message);
        else if (done.err === undefined || isNoneFound(done.err)) resolve(undefined);
        else reject(toFarmError(done.err, "BROKER_UNAVAILABLE"));
      },
    }),
  );
  try {
    await withDeadline(promise, { ms: batchMs, code: "BROKER_UNAVAILABLE", what: "reading chunks" });
    return found;
  } finally {
    asked.stop();
  }
}

/** The name goes first, and only in the revision that was seen: an object that was put meanwhile stays. */
async function remove(opened: Opened, name: string): Promise<void> {
  const { manager, settings } = opened;
  const stream = streamOf(settings.name);
  for (let races = 0; races < mostRaces; races += 1) {
    const info = await unavailable(opened.store.info(name));
    if (info === null) return;
    await unavailable(manager.streams.purge(stream, { filter: metaSubject(settings.name, name), seq: info.revision + 1 }));
    await unavailable(manager.streams.purge(stream, { filter: chunkSubject(settings.name, info.nuid) }));
  }
}

async function sweep({ store, manager, settings }: Opened, olderThanMs: number): Promise<number> {
  const stream = streamOf(settings.name);
  const { state } = await unavailable(manager.streams.info(stream, { subjects_filter: chunkSubject(settings.name, ">") }));
  // Listed after the chunks: what was finished in between is known.
  const known = new Set((await unavailable(store.list())).map(({ nuid }) => chunkSubject(settings.name, nuid)));
  let swept = 0;
  for (const subject of Object.keys(state.subjects ?? {})) {
    if (known.has(subject)) continue;
    const last = await unavailable(manager.streams.getMessage(stream, { last_by_subj: subject }));
    if (last === null || Date.now() - last.time.getTime() < olderThanMs) continue;
    await unavailable(manager.streams.purge(stream, { filter: subject }));
    swept += 1;
  }
  return swept;
}

function streamOf(bucket: string): string {
  return `OBJ_${bucket}`;
}

function chunkSubject(bucket: string, id: string): string {
  return `$O.${bucket}.C.${id}`;
}

function metaSubject(bucket: string, name: string): string {
  return `$O.${bucket}.M.${Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_")}`;
}

/** The client calls an empty batch an error. */
function isNoneFound(thrown: Error): boolean {
  return "code" in thrown && thrown.code === noMessageStatus;
}

function isApiError(thrown: unknown, code: number): boolean {
  return thrown instanceof JetStreamApiError && thrown.code === code;
}

async function unavailable<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (thrown) {
    throw toFarmError(thrown, "BROKER_UNAVAILABLE");
  }
}

/**
 * BeginModelPush, UploadModelChunk and FinishModelPush: a version of a model comes in, chunk by chunk.
 *
 * Through the coordinator, because that is what who has only the farm's address can reach; it needs no key of the artifact store. Order
 * (design §4.12): the rows of a version and of its chunks stand before any bytes do, so nothing of a push is collected, however long it takes,
 * and another coordinator goes on with it. What is said to be stored is looked up in the artifact store: chunks that were lost are asked for again.
 */
import { createHash, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { refuseAny, violation } from "../../domain/field-rules.ts";
import { isSha256 } from "../../domain/ids.ts";
import {
  bytesOf,
  chunksOf,
  fileViolations,
  modelChunkBytes,
  type VersionFile,
  versionDigest,
  versionOf,
} from "../../domain/model-version.ts";
import type * as wire from "../../gen/proto/vapfarm/v1/models.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { type HeldManifest, isMetrics, parseHeldManifest } from "../../platform/models/repository.ts";
import { shapesOfEngines } from "../dispatch/shapes.ts";
import type { ModelStore, VersionName, VersionToPush } from "../store/store-contract.ts";
import type { Call } from "./method.ts";
import { filesFromProto, type PoolsOfModels, versionNameRules, versionToProto } from "./model-version-mapping.ts";
import type { Slots } from "../../platform/slots.ts";
import { openPart } from "./upload-file.ts";
import { readUpload } from "./upload-messages.ts";

/** What pushing works with. */
export type PushDependencies = {
  readonly store: Pick<ModelStore, "beginPush" | "chunksLost" | "chunkBytes" | "chunkStored" | "finishPush" | "listVersions">;
  readonly artifacts: Pick<ArtifactStore, "put" | "stat">;
  readonly pools: PoolsOfModels;
  /** Chunks received at a time. */
  readonly chunks: Slots;
  /** Exists. */
  readonly temporaryFolder: string;
  /** The longest wait for the caller's next message. */
  readonly idleMs: number;
};

const manifestName = "farm.json";
const statsAtATime = 16;

/** The handler of BeginModelPush. */
export function createBeginModelPush({ store, artifacts, pools }: PushDependencies) {
  return async ({ files: asked, farmJson }: wire.BeginModelPushRequest, call: Call): Promise<wire.BeginModelPushResponse> => {
    const files = filesFromProto(asked);
    refuseAny(fileViolations(files));
    const version = versionToPush(files, farmJson);
    const { stored, missing } = await store.beginPush(version, call.caller.tenant);
    const lost = await lostOf(artifacts, version, { stored, signal: call.signal });
    if (lost.length > 0) await store.chunksLost(lost);
    return { version: await toldVersion({ store, pools }, version), missingChunks: [...missing, ...lost] };
  };
}

function versionToPush(files: readonly VersionFile[], farmJson: string): VersionToPush {
  const manifest = parseHeldManifest(farmJson, "that is pushed");
  requireWhole(files, manifest, farmJson);
  const digest = versionDigest(files, sha256);
  const chunks = new Map(files.flatMap(chunksOf).map((chunk) => [chunk.sha256, chunk.bytes]));
  const digests = Object.fromEntries(Object.values(manifest.engines).map((engine) => [engine.name, engine.digest]));
  return {
    ...{ name: manifest.name, version: versionOf(digest), digest, label: manifest.version, weights: manifest.weights },
    kind: isMetrics(manifest) ? "metrics" : "render",
    ...{ files: files.toSorted((left, right) => (left.path < right.path ? -1 : 1)), farmJson, sizeBytes: bytesOf(files) },
    shapes: [...new Set(shapesOfEngines(digests))],
    chunks: [...chunks].map(([chunk, bytes]) => ({ sha256: chunk, bytes })),
  };
}

/** farm.json is the file that is listed, and every file that it names is listed as it names it. */
function requireWhole(files: readonly VersionFile[], manifest: HeldManifest, farmJson: string): void {
  const listed = new Map(files.map((file) => [file.path, file]));
  const wrong = (reason: string): never => {
    throw new FarmError("MODEL_INVALID", { message: `model ${manifest.name}: ${reason}` });
  };
  if (listed.get(manifestName)?.sha256 !== sha256(new TextEncoder().encode(farmJson)))
    wrong(`${manifestName} is not the file that is listed`);
  for (const file of Object.values(manifest.engines).flatMap((engine) => engine.files)) {
    const found = listed.get(file.path);
    if (found?.sha256 !== file.sha256 || found.bytes !== file.bytes) {
      wrong(found === undefined ? `${file.path} is missing` : `${file.path} is not what ${manifestName} says`);
    }
  }
  if (!isMetrics(manifest) && !listed.has(manifest.tokenizer)) wrong(`${manifest.tokenizer} is missing`);
}

/** Those of the stored chunks that the artifact store does not have, or not whole. */
async function lostOf(
  artifacts: Pick<ArtifactStore, "stat">,
  { chunks }: VersionToPush,
  { stored, signal }: { readonly stored: readonly string[]; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const bytes = new Map(chunks.map((chunk) => [chunk.sha256, chunk.bytes]));
  const lost: string[] = [];
  const left = stored.values();
  const look = async (): Promise<void> => {
    for (const chunk of left) {
      signal.throwIfAborted();
      if ((await artifacts.stat(chunk))?.sizeBytes !== bytes.get(chunk)) lost.push(chunk);
    }
  };
  await Promise.all(Array.from({ length: statsAtATime }, look));
  return lost;
}

/** The handler of UploadModelChunk. */
export function createUploadModelChunk(dependencies: PushDependencies) {
  return (messages: AsyncIterable<wire.UploadModelChunkRequest>, call: Call): Promise<wire.UploadModelChunkResponse> =>
    dependencies.chunks.useNow("UPLOADS_BUSY", async () => {
      const { header, chunks } = await readUpload(messages, dependencies.idleMs);
      refuseAny([
        ...versionNameRules("header", header),
        ...(isSha256(header.sha256) ? [] : [violation("header.sha256", "is no SHA-256", "name the chunk")]),
      ]);
      const expected = await dependencies.store.chunkBytes(header, header.sha256);
      if (expected === undefined) throw chunkUnknown(header, header.sha256);
      const path = join(dependencies.temporaryFolder, `chunk-${randomUUID()}`);
      try {
        await receive(path, chunks, { sha256: header.sha256, bytes: expected });
        await dependencies.artifacts.put(header.sha256, path, call.signal);
        await dependencies.store.chunkStored(header.sha256);
        return { sizeBytes: BigInt(expected) };
      } finally {
        await rm(path, { force: true });
      }
    });
}

/** That the version has no such chunk. */
export function chunkUnknown({ name, version }: VersionName, chunk: string): FarmError {
  return new FarmError("MODEL_VERSION_UNKNOWN", { message: `version ${version} of model ${name} has no chunk ${chunk}, or is not known` });
}

type Chunks = Awaited<ReturnType<typeof readUpload>>["chunks"];

async function receive(path: string, chunks: Chunks, expected: { readonly sha256: string; readonly bytes: number }): Promise<void> {
  const file = await openPart(path);
  try {
    for (let chunk = await chunks.next(); chunk !== undefined; chunk = await chunks.next()) {
      if (file.sizeBytes() + chunk.length > modelChunkBytes) throw mismatch(`more than ${modelChunkBytes} bytes arrived`);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  if (file.sizeBytes() !== expected.bytes) throw mismatch(`${file.sizeBytes()} bytes arrived, the chunk has ${expected.bytes}`);
  const hash = file.sha256();
  if (hash !== expected.sha256) throw mismatch(`the bytes hash to ${hash}, not to the announced ${expected.sha256}`);
}

function mismatch(message: string): FarmError {
  return new FarmError("UPLOAD_CHECKSUM_MISMATCH", { message });
}

/** The handler of FinishModelPush. */
export function createFinishModelPush({ store, pools }: PushDependencies) {
  return async (named: wire.FinishModelPushRequest, { caller }: Call): Promise<wire.FinishModelPushResponse> => {
    refuseAny(versionNameRules("", named));
    const missing = await store.finishPush(named, caller.tenant);
    if (missing === undefined)
      throw new FarmError("MODEL_VERSION_UNKNOWN", { message: `no push of ${named.name}:${named.version} was begun` });
    if (missing > 0)
      throw new FarmError("MODEL_PUSH_INCOMPLETE", { message: `${missing} chunks of ${named.name}:${named.version} are missing` });
    return { version: await toldVersion({ store, pools }, named) };
  };
}

async function toldVersion({ store, pools }: Pick<PushDependencies, "store" | "pools">, { name, version }: VersionName) {
  const view = (await store.listVersions(name)).find((each) => each.version === version);
  return view === undefined ? undefined : versionToProto(view, pools);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

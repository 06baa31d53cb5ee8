/**
 * Answers of a scripted farm about versions of models: one version of one small file, and whatever is pushed.
 */
import { createHash } from "node:crypto";
import { versionDigest, versionOf } from "../../services/domain/model-version.ts";
import {
  type BeginModelPushRequest,
  ModelVersion,
  SetModelAliasResponse,
  type SetModelAliasRequest,
  type UploadModelChunkRequest,
} from "../../services/gen/proto/vapfarm/v1/models.ts";
import type { Handlers } from "./scripted-farm.ts";

const bytes = Buffer.from('{"format": 2}');
const sha256 = (of: Uint8Array): string => createHash("sha256").update(of).digest("hex");
const file = { path: "farm.json", bytes: bytes.length, sha256: sha256(bytes), chunks: [sha256(bytes)] };
const digest = versionDigest([file], sha256);
const version = ModelVersion.create({
  name: "demo",
  version: versionOf(digest),
  digest,
  kind: "render",
  sizeBytes: 13n,
  ready: true,
  aliases: ["prod"],
});

/** The answers. */
export function modelHandlers(): Handlers {
  return {
    beginModelPush: ({ files }: BeginModelPushRequest) => ({ version, missingChunks: files.flatMap(({ chunks }) => chunks).slice(0, 2) }),
    async uploadModelChunk(messages: AsyncIterable<UploadModelChunkRequest>) {
      let sizeBytes = 0n;
      for await (const { part } of messages) if (part?.$case === "chunk") sizeBytes += BigInt(part.value.length);
      return { sizeBytes };
    },
    finishModelPush: () => ({ version }),
    listModelVersions: () => ({ versions: [version] }),
    getModelVersion: () => ({ version, files: [{ path: file.path, sizeBytes: 13n, sha256: file.sha256, chunks: file.chunks }] }),
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async *downloadModelChunk() {
      yield { chunk: bytes };
    },
    setModelAlias: (request: SetModelAliasRequest) => SetModelAliasResponse.create({ alias: request }),
    listModelAliases: () => ({ aliases: [], moves: [] }),
    removeModelVersions: () => ({ versions: [{ name: "demo", version: version.version, sizeBytes: 13n, keptBy: "alias prod" }] }),
  };
}

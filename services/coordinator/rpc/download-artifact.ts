/**
 * DownloadArtifact: an artifact of one of the caller's renders, or a range of it, in chunks of 256 KiB.
 *
 * Authorized through the job and never by knowing a hash. The stream's back-pressure reaches the store: nothing is read that the
 * caller does not take. A whole download is hashed on the way: bytes that do not have their name end it with ARTIFACT_CORRUPT.
 */
import { maxInt64, numberRule, refuseAny } from "../../domain/field-rules.ts";
import { type DownloadArtifactRequest, DownloadArtifactResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore, ByteRange } from "../../platform/artifacts/artifact-store.ts";
import { checked } from "../../platform/artifacts/checked.ts";
import type { ArtifactView } from "../store/store-contract.ts";
import { inChunks } from "./chunks.ts";
import { type ArtifactLookup, findArtifact } from "./find-artifact.ts";
import { artifactToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";

const chunkBytes = 256 * 1024;

/** What DownloadArtifact works with. */
export type DownloadDependencies = {
  readonly store: ArtifactLookup;
  readonly artifacts: Pick<ArtifactStore, "get">;
};

/** The handler of DownloadArtifact. */
export function createDownloadArtifact({ store, artifacts }: DownloadDependencies) {
  return async function* (request: DownloadArtifactRequest, { caller }: Call): AsyncGenerator<DownloadArtifactResponse> {
    const { jobId, name, renderPosition, offsetBytes, lengthBytes } = request;
    refuseAny([
      ...numberRule("offset_bytes", { value: offsetBytes, min: 0, max: maxInt64 }),
      ...numberRule("length_bytes", { value: lengthBytes, min: 0, max: maxInt64 }),
    ]);
    const artifact = await findArtifact(store, { jobId, position: renderPosition, name }, caller);
    const range = rangeOf(request, artifact);
    const bytes = await artifacts.get(artifact.sha256, range);
    yield DownloadArtifactResponse.create({ artifact: artifactToProto(artifact) });
    const chunks = inChunks(bytes, chunkBytes);
    for await (const chunk of range === undefined ? checked(chunks, artifact.sha256) : chunks) {
      yield DownloadArtifactResponse.create({ chunk });
    }
  };
}

/** Undefined: all of it. */
function rangeOf({ offsetBytes, lengthBytes }: DownloadArtifactRequest, { sizeBytes }: ArtifactView): ByteRange | undefined {
  const size = BigInt(sizeBytes);
  refuseAny(numberRule("offset_bytes", { value: offsetBytes, min: 0, max: size }));
  const end = lengthBytes === 0n || offsetBytes + lengthBytes > size ? size : offsetBytes + lengthBytes;
  return offsetBytes === 0n && end === size ? undefined : { start: Number(offsetBytes), end: Number(end) };
}

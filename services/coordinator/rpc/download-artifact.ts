/**
 * DownloadArtifact: an artifact of one of the caller's jobs, in chunks of 256 KiB, hashed on the way.
 *
 * Authorized through the job and never by knowing a hash. The stream's back-pressure reaches the store: nothing is read that the
 * caller does not take. Bytes that do not have their name end the stream with ARTIFACT_CORRUPT.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import { isArtifactName, isJobId } from "../../domain/ids.ts";
import { type DownloadArtifactRequest, DownloadArtifactResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { ArtifactView, JobStore, MediaStore } from "../store/store-contract.ts";
import { inChunks } from "./chunks.ts";
import { artifactToProto } from "./job-mapping.ts";
import { jobOfCaller } from "./jobs.ts";
import type { Call } from "./method.ts";

const chunkBytes = 256 * 1024;

/** What DownloadArtifact works with. */
export type DownloadDependencies = {
  readonly store: Pick<MediaStore, "artifactOfJob"> & Pick<JobStore, "getJob">;
  readonly artifacts: Pick<ArtifactStore, "get">;
};

/** The handler of DownloadArtifact. */
export function createDownloadArtifact({ store, artifacts }: DownloadDependencies) {
  return async function* (request: DownloadArtifactRequest, call: Call): AsyncGenerator<DownloadArtifactResponse> {
    const artifact = await find(store, request, call);
    if (artifact === undefined) throw await explainAbsence(store, request, call);
    const bytes = await artifacts.get(artifact.sha256);
    yield DownloadArtifactResponse.create({ artifact: artifactToProto(artifact) });
    yield* checkedChunks(bytes, artifact);
  };
}

/** What has no artifact's form is not looked up. */
async function find(store: DownloadDependencies["store"], { jobId, name }: DownloadArtifactRequest, { caller }: Call) {
  if (!isJobId(jobId) || !isArtifactName(name)) return undefined;
  return await store.artifactOfJob(caller.tenant, jobId, name);
}

async function explainAbsence(store: Pick<JobStore, "getJob">, request: DownloadArtifactRequest, call: Call): Promise<FarmError> {
  const job = await jobOfCaller(store, request.jobId, call);
  const names = job.artifacts.map(({ name }) => name).join(", ");
  const has = names === "" ? `it is ${job.state} and has no artifacts` : `it has: ${names}`;
  return new FarmError("ARTIFACT_UNKNOWN", { message: `job ${job.jobId} has no artifact "${request.name.slice(0, 80)}"; ${has}` });
}

async function* checkedChunks(bytes: AsyncIterable<Uint8Array>, { sha256 }: ArtifactView): AsyncGenerator<DownloadArtifactResponse> {
  const hash = createHash("sha256");
  for await (const chunk of inChunks(bytes, chunkBytes)) {
    hash.update(chunk);
    yield DownloadArtifactResponse.create({ chunk });
  }
  if (hash.digest("hex") !== sha256) throw new FarmError("ARTIFACT_CORRUPT", { details: { sha256 } });
}

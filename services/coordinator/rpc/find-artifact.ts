/**
 * An artifact as a caller names it: job, position, name; never by knowing a hash.
 */
import { FarmError, type FieldViolation } from "../../domain/errors.ts";
import { isArtifactName, isJobId } from "../../domain/ids.ts";
import type { ArtifactName, ArtifactView, JobStore, MediaStore, TenantScope } from "../store/store-contract.ts";
import type { Caller } from "./caller.ts";

/** What it takes to find one and to say why there is none. */
export type ArtifactLookup = Pick<MediaStore, "artifactOfRender"> & Pick<JobStore, "getRender">;

const maxPosition = 2 ** 31 - 1;

/** The artifact of a render that the caller may see; throws what is wrong with the name. */
export async function findArtifact(store: ArtifactLookup, artifact: ArtifactName, caller: Caller): Promise<ArtifactView> {
  const scope: TenantScope = caller.role === "admin" ? undefined : caller.tenant;
  const { jobId, position, name } = artifact;
  const isPosition = Number.isInteger(position) && position >= 0 && position <= maxPosition;
  const render = isJobId(jobId) && isPosition ? await store.getRender(scope, jobId, position) : undefined;
  if (render === undefined) throw renderUnknown(artifact);
  const found = isArtifactName(name) ? await store.artifactOfRender(scope, artifact) : undefined;
  if (found !== undefined) return found;
  const names = [...render.artifacts, ...render.inputs].map((one) => one.name).join(", ");
  const has = names === "" ? "and has no artifacts" : `and has: ${names}`;
  const reason = `render ${position} of job ${jobId} has no artifact "${name.slice(0, 80)}"; it is ${render.state} ${has}`;
  throw new FarmError("ARTIFACT_UNKNOWN", {
    message: reason,
    details: { fields: [{ field: "name", reason, remedy: "choose one of the render's artifacts" }] },
  });
}

function renderUnknown({ jobId, position }: ArtifactName): FarmError {
  const isFirst = position === 0;
  const field: FieldViolation = isFirst
    ? { field: "job_id", reason: `no job "${jobId.slice(0, 80)}" of this tenant`, remedy: "check the job id" }
    : { field: "render_position", reason: `no render ${position} of job "${jobId.slice(0, 80)}"`, remedy: "check job id and position" };
  return new FarmError("JOB_UNKNOWN", { message: field.reason, details: { fields: [field] } });
}

/**
 * An artifact as a caller names it: job, position, name; never by knowing a hash.
 */
import { FarmError } from "../../domain/errors.ts";
import { refuseAny } from "../../domain/field-rules.ts";
import { isArtifactName, isJobId } from "../../domain/ids.ts";
import type { ArtifactName, ArtifactView, JobStore, MediaStore } from "../store/store-contract.ts";
import { type Caller, scopeOf } from "./caller.ts";
import { explainNoRender, positionRule } from "./jobs.ts";

/** What it takes to find one and to say why there is none. */
export type ArtifactLookup = Pick<MediaStore, "artifactOfRender"> & Pick<JobStore, "getRender" | "getJob">;

/** The artifact of a render that the caller may see; throws what is wrong with the name. */
export async function findArtifact(store: ArtifactLookup, artifact: ArtifactName, caller: Caller): Promise<ArtifactView> {
  const { jobId, position, name } = artifact;
  refuseAny(positionRule("render_position", position));
  const scope = scopeOf(caller);
  const render = isJobId(jobId) ? await store.getRender(scope, jobId, position) : undefined;
  if (render === undefined) throw await explainNoRender(store, { jobId, position, field: "render_position" }, { caller });
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

/**
 * A version as the farm tells it, checked as far as a node needs it.
 */
import type { FarmCalls } from "../../client/calls.ts";
import { present } from "../../client/farm-client.ts";
import { FarmError } from "../../domain/errors.ts";
import { pinnedReference } from "../../domain/model-reference.ts";
import { fileViolations, type VersionFile, versionDigest, versionOf } from "../../domain/model-version.ts";
import type { GetModelVersionResponse, ModelVersion } from "../../gen/proto/vapfarm/v1/models.ts";
import { sha256Of } from "./file-chunks.ts";
import type { VersionOnDisk } from "./node-folder.ts";

/** Asks for it; PROTOCOL_UNSUPPORTED where its files are not those of its digest. */
export async function versionToPull(calls: Pick<FarmCalls, "getModelVersion">, reference: string): Promise<VersionOnDisk & { readonly told: ModelVersion }> {
  const answer: GetModelVersionResponse = await calls.getModelVersion({ reference });
  const told = present(answer.version, "version");
  const files = answer.files.map(({ path, sizeBytes, sha256, chunks }) => ({ path, bytes: Number(sizeBytes), sha256, chunks }));
  requireSound(told, files);
  return { name: told.name, version: told.version, digest: told.digest, files, told };
}

/** What is written to a node comes from the farm's word: its files stay in their folder, and are those of the digest. */
function requireSound({ name, version, digest }: ModelVersion, files: readonly VersionFile[]): void {
  const [wrong] = fileViolations(files);
  const isOwn = versionOf(digest) === version && versionDigest(files, sha256Of) === digest;
  if (wrong === undefined && isOwn) return;
  const reason = wrong === undefined ? "its files are not those of its digest" : `${wrong.field} ${wrong.reason}`;
  throw new FarmError("PROTOCOL_UNSUPPORTED", { message: `what the farm says of ${pinnedReference(name, version)} is not sound: ${reason}` });
}

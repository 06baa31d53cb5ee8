/**
 * Address of an artifact store → the store.
 */
import { isAbsolute } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { ArtifactStore } from "./artifact-store.ts";
import { openFolderStore } from "./folder-store.ts";

/** Opens `folder:/absolute/path`; other schemes are CONFIG_INVALID. */
export async function openArtifactStore(address: string): Promise<ArtifactStore> {
  const [scheme, ...rest] = address.split(":");
  const path = rest.join(":");
  if (scheme === "folder" && isAbsolute(path)) return openFolderStore(path);
  throw new FarmError("CONFIG_INVALID", { message: `"${address}" is no artifact store; use folder:/absolute/path` });
}

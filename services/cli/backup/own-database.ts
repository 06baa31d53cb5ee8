/**
 * Whether a data folder has a database of its own.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { DataLayout } from "../data-folder.ts";

/** Throws CONFIG_INVALID where there is none; `remedy` says what to do. */
export async function requireOwnDatabase({ postgres }: DataLayout, remedy: string): Promise<void> {
  const isThere = await access(join(postgres, "PG_VERSION")).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  throw new FarmError("CONFIG_INVALID", { message: `there is no database of this farm's own in ${postgres}`, details: { remedy } });
}

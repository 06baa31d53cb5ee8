/**
 * What a collection finds, put there by a test.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pool } from "../../services/platform/database/pool.ts";
import type { CoordinatorFarm } from "./coordinator-farm.ts";
import { sha256Of } from "./farm-calls.ts";

/** Does it at the first call only. */
export function once(work: () => Promise<unknown>): () => Promise<unknown> {
  let done: Promise<unknown> | undefined;
  return () => (done ??= work());
}

/** Puts bytes into the farm's store that no row names. */
export async function storeBytes({ artifacts, artifactsFolder }: CoordinatorFarm, bytes: Buffer): Promise<void> {
  const sha256 = sha256Of(bytes);
  const path = join(artifactsFolder, "..", sha256);
  await writeFile(path, bytes);
  await artifacts.put(sha256, path);
  await rm(path, { force: true });
}

/** The row of an artifact of 36 bytes that nothing needs; `condemnedAt`: SQL. */
export async function plantArtifact(pool: Pool, sha256: string, condemnedAt: string): Promise<void> {
  await pool.query(
    `insert into artifact (sha256, size_bytes, media_type, is_stored, announced_at, condemned_at)
     values ($1, 36, 'text/plain', true, clock_timestamp() - interval '3 days', ${condemnedAt})`,
    [sha256],
  );
}

/**
 * What a database takes for stored against what the artifact store holds.
 */
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { RecoveringDatabase, StoredArtifact } from "../../platform/database/recover.ts";
import { mapBounded } from "../batch/bounded.ts";

export type Comparison = {
  readonly checked: number;
  /** Not there, or of another size. */
  readonly missing: readonly string[];
};

/** Bytes without a row: of the lost time, or left by a crash. */
export type Orphan = StoredArtifact;

const asksAtATime = 32;
const pageSize = 2_000;

type Removing = {
  readonly database: Pick<RecoveringDatabase, "removeOrphan">;
  readonly store: ArtifactStore;
  readonly signal: AbortSignal;
};

/** Deletes them, but for those that have a row by now; returns what was deleted. */
export async function deleteOrphans({ database, store, signal }: Removing, orphans: readonly Orphan[]): Promise<readonly Orphan[]> {
  const deleted: Orphan[] = [];
  for (const orphan of orphans) {
    if (signal.aborted) break;
    if (await database.removeOrphan(orphan, () => store.delete(orphan.sha256))) deleted.push(orphan);
  }
  return deleted;
}

type Sides = { readonly database: Pick<RecoveringDatabase, "storedArtifacts" | "withoutRow">; readonly store: ArtifactStore };

/** Looks for every row's bytes: their size, not their hash. */
export async function compareStore({ database, store }: Sides, signal: AbortSignal): Promise<Comparison> {
  const missing: string[] = [];
  let checked = 0;
  for await (const page of database.storedArtifacts()) {
    const held = await mapBounded(page, asksAtATime, async ({ sha256, sizeBytes }) => {
      signal.throwIfAborted();
      return (await store.stat(sha256))?.sizeBytes === sizeBytes;
    });
    missing.push(...page.filter((_artifact, index) => held[index] !== true).map(({ sha256 }) => sha256));
    checked += page.length;
  }
  return { checked, missing };
}

/** What the store holds without a row; undefined when it cannot say what it holds. */
export async function findOrphans({ database, store }: Sides, signal: AbortSignal): Promise<readonly Orphan[] | undefined> {
  if (store.list === undefined) return undefined;
  const orphans: Orphan[] = [];
  let page: Orphan[] = [];
  const look = async (): Promise<void> => {
    const unknown = new Set(await database.withoutRow(page.map(({ sha256 }) => sha256)));
    orphans.push(...page.filter(({ sha256 }) => unknown.has(sha256)));
    page = [];
  };
  for await (const held of store.list()) {
    signal.throwIfAborted();
    if (page.push(held) >= pageSize) await look();
  }
  await look();
  return orphans;
}

/**
 * Versions of models, aliases and what keeps them.
 *
 * Invariants: a version's rows stand before its bytes do, and its files never change; whoever pins a job to a version holds it against removal
 * within the same transaction (migration 0020), so that nothing live ever names a version that is gone.
 */
import type { VersionFile } from "../../domain/model-version.ts";
import { pinnedReference } from "../../domain/model-reference.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { callLongFunction } from "./long-call.ts";
import type { ModelStore, ServedVersions, VersionFate, VersionView } from "./model-contract.ts";
import {
  aliasMovesStatement,
  beginPushStatement,
  chunkBytesStatement,
  chunksLostStatement,
  chunkStoredStatement,
  farmJsonsStatement,
  finishPushStatement,
  listAliasesStatement,
  listVersionsStatement,
  moveAliasStatement,
  removeVersionsStatement,
  servedVersionsStatement,
  versionFilesStatement,
} from "./sql/models.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";

type VersionRow = Pick<VersionView, "name" | "version" | "digest" | "label" | "kind" | "weights" | "aliases" | "workers"> & {
  readonly size_bytes: number;
  readonly is_ready: boolean;
  readonly pushed_by: string;
  readonly pushed_at: Date | null;
  readonly live_jobs: number;
  readonly used_at: Date | null;
};

type AliasRow = {
  readonly name: string;
  readonly alias: string;
  readonly version: string;
  readonly moved_by: string;
  readonly moved_at: Date;
};
type MoveRow = Omit<AliasRow, "version"> & { readonly from_version: string | null; readonly to_version: string | null };
type FarmJsonRow = { readonly name: string; readonly version: string; readonly farm_json: string };
type FateRow = Omit<VersionFate, "keptBy"> & { readonly keptBy: string | null };

/** The part of the store that versions of models go through. */
export function createModels(context: StoreContext): ModelStore {
  return { ...pushing(context), ...naming(context) };
}

function pushing({ pool }: StoreContext) {
  return {
    beginPush: (version, by) => callLongFunction(pool, beginPushStatement, [toPayload(version), by]),
    async chunkBytes({ name, version }, sha256) {
      const [row] = await runStatement<{ readonly bytes: number }>(pool, chunkBytesStatement, [name, version, sha256]);
      return row?.bytes;
    },
    async chunkStored(sha256) {
      await runStatement(pool, chunkStoredStatement, [sha256]);
    },
    async chunksLost(sha256s) {
      await runStatement(pool, chunksLostStatement, [[...sha256s]]);
    },
    async finishPush({ name, version }, by) {
      return (await callFunction<number | null>(pool, finishPushStatement, [name, version, by])) ?? undefined;
    },
    async versionFiles({ name, version }) {
      const [row] = await runStatement<{ readonly files: readonly VersionFile[] }>(pool, versionFilesStatement, [name, version]);
      return row?.files;
    },
    async removeVersions({ name, keepMs, isDry }) {
      const rows = await callLongFunction<readonly FateRow[]>(pool, removeVersionsStatement, [name ?? null, keepMs, isDry]);
      return rows.map((row) => ({ ...row, keptBy: row.keptBy ?? undefined }));
    },
  } satisfies Partial<ModelStore>;
}

function naming({ pool }: StoreContext) {
  return {
    servedVersions: () => callFunction<ServedVersions>(pool, servedVersionsStatement, []),
    async farmJsons(versions) {
      const values = [versions.map(({ name }) => name), versions.map(({ version }) => version)];
      const rows = await runStatement<FarmJsonRow>(pool, farmJsonsStatement, values);
      return new Map(rows.map((row) => [pinnedReference(row.name, row.version), row.farm_json]));
    },
    listVersions: async (name) => (await runStatement<VersionRow>(pool, listVersionsStatement, [name ?? null])).map(versionFromRow),
    moveAlias: ({ name, alias, version }, by) => callFunction<boolean>(pool, moveAliasStatement, [name, alias, version ?? null, by]),
    async listAliases(name) {
      const rows = await runStatement<AliasRow>(pool, listAliasesStatement, [name ?? null]);
      return rows.map(({ moved_by: movedBy, moved_at: movedAt, ...row }) => ({ ...row, movedBy, movedAt }));
    },
    async aliasMoves(name, limit) {
      const rows = await runStatement<MoveRow>(pool, aliasMovesStatement, [name ?? null, limit]);
      return rows.map((row) => ({
        ...{ name: row.name, alias: row.alias, movedBy: row.moved_by, movedAt: row.moved_at },
        ...{ fromVersion: row.from_version ?? undefined, toVersion: row.to_version ?? undefined },
      }));
    },
  } satisfies Partial<ModelStore>;
}

function versionFromRow(row: VersionRow): VersionView {
  const { size_bytes: sizeBytes, is_ready: isReady, pushed_by: pushedBy, live_jobs: liveJobs, ...rest } = row;
  const { name, version, digest, label, kind, weights, aliases, workers } = rest;
  const times = { pushedAt: row.pushed_at ?? undefined, usedAt: row.used_at ?? undefined };
  return { name, version, digest, label, kind, weights, aliases, workers, sizeBytes, isReady, pushedBy, liveJobs, ...times };
}

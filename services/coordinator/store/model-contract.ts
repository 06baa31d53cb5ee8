/**
 * What the store keeps of versions of models; their bytes are chunks in the artifact store.
 */
import type { VersionFile } from "../../domain/model-version.ts";

/** Names a version. */
export type VersionName = { readonly name: string; readonly version: string };

/** A version that is to be pushed. */
export type VersionToPush = VersionName & {
  readonly digest: string;
  /** Of the export. */
  readonly label: string;
  readonly kind: "render" | "metrics";
  readonly weights: string;
  readonly files: readonly VersionFile[];
  readonly farmJson: string;
  readonly sizeBytes: number;
  /** What a worker that holds it can run. */
  readonly shapes: readonly string[];
  /** Each once. */
  readonly chunks: readonly { readonly sha256: string; readonly bytes: number }[];
};

export type VersionView = VersionName &
  Pick<VersionToPush, "digest" | "label" | "kind" | "weights" | "sizeBytes"> & {
    readonly isReady: boolean;
    readonly aliases: readonly string[];
    /** Queued and running jobs that are pinned to it. */
    readonly liveJobs: number;
    /** Live workers that hold it. */
    readonly workers: number;
    readonly pushedBy: string;
    readonly pushedAt: Date | undefined;
    /** When a job was last pinned to it. */
    readonly usedAt: Date | undefined;
  };

export type AliasView = VersionName & { readonly alias: string; readonly movedBy: string; readonly movedAt: Date };

/** A version that is undefined: the alias was made, or taken away. */
export type AliasMove = {
  readonly name: string;
  readonly alias: string;
  readonly fromVersion: string | undefined;
  readonly toVersion: string | undefined;
  readonly movedBy: string;
  readonly movedAt: Date;
};

/** What is ready, and what names it: as it is now. */
export type ServedVersions = {
  readonly versions: readonly VersionName[];
  readonly aliases: readonly (VersionName & { readonly alias: string })[];
};

export type VersionFate = VersionName & {
  readonly sizeBytes: number;
  /** Why it stays; undefined: it was removed, or would be. */
  readonly keptBy: string | undefined;
};

export type RemoveVersions = {
  /** Undefined: of every model. */
  readonly name: string | undefined;
  /** Those touched within it are kept. */
  readonly keepMs: number;
  readonly isDry: boolean;
};

/** Versions and aliases; every chunk of a version that is known is kept from collection. */
export type ModelStore = {
  /** Stores the version's row and its chunks' as pending, or goes on with a push; `stored`: what is said to be there. */
  beginPush(version: VersionToPush, by: string): Promise<{ readonly stored: readonly string[]; readonly missing: readonly string[] }>;
  /** Whether the chunk is part of the version, and how many bytes it has. */
  chunkBytes(version: VersionName, sha256: string): Promise<number | undefined>;
  /** Its bytes are in the artifact store. */
  chunkStored(sha256: string): Promise<void>;
  /** Their bytes are not in the artifact store, whatever was said. */
  chunksLost(sha256s: readonly string[]): Promise<void>;
  /** How many chunks are missing; 0: it is ready. Undefined: no such push. */
  finishPush(version: VersionName, by: string): Promise<number | undefined>;
  servedVersions(): Promise<ServedVersions>;
  /** The text of farm.json of versions, by `<name>:<version>`. */
  farmJsons(versions: readonly VersionName[]): Promise<ReadonlyMap<string, string>>;
  /** By name, the newest first; undefined: of every model. */
  listVersions(name: string | undefined): Promise<readonly VersionView[]>;
  versionFiles(version: VersionName): Promise<readonly VersionFile[] | undefined>;
  /** `version` undefined: takes it away. False: no such version that is ready, or no such alias. */
  moveAlias(alias: { readonly name: string; readonly alias: string; readonly version: string | undefined }, by: string): Promise<boolean>;
  listAliases(name: string | undefined): Promise<readonly AliasView[]>;
  /** The newest first. */
  aliasMoves(name: string | undefined, limit: number): Promise<readonly AliasMove[]>;
  /** Those that no alias and no live job names. */
  removeVersions(ask: RemoveVersions): Promise<readonly VersionFate[]>;
};

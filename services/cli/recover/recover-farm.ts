/**
 * Makes a farm fit to go on after its database went back in time: compares the artifact store, then changes the database in one transaction.
 */
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { OpenStore } from "../../platform/artifacts/artifact-store.ts";
import type { Environment } from "../../platform/config.ts";
import { requireMigrations } from "../../platform/database/pending-migrations.ts";
import { openRecovering, type RecoveringDatabase, type Recovery } from "../../platform/database/recover.ts";
import { openArtifacts } from "../open-artifacts.ts";
import { compareStore, deleteOrphans, findOrphans } from "./compare-store.ts";

export type RecoverRequest = {
  readonly url: string;
  readonly artifacts: string;
  /** Holds what the store is opened with. */
  readonly environment: Environment;
  readonly projectFolder: string;
  /** Otherwise it is a trial: what would be done, and nothing is. */
  readonly isMeant: boolean;
  readonly acceptsLosses: boolean;
  readonly deletesOrphans: boolean;
  readonly signal: AbortSignal;
  readonly onNote: (text: string) => void;
};

/** What was done, or would be. */
export type RecoverOutcome = Recovery & {
  readonly isDone: boolean;
  /** So much is missing that it is done only with `acceptsLosses`. */
  readonly isRefused: boolean;
  /** Of the artifact store. */
  readonly backend: string;
  readonly checked: number;
  /** Undefined when the store cannot say what it holds. */
  readonly orphans: { readonly count: number; readonly bytes: number; readonly areDeleted: boolean } | undefined;
};

/** Of what should be there: when more is missing, the store is probably not this farm's. */
const mostMissing = 0.5;

const undeleteHint =
  "in a bucket with versions take the delete markers away first (deploy/RUNBOOK.md); if it is the right store, repeat with --accept-losses";

/** Throws FARM_IN_USE, DATABASE_SCHEMA_OLD, RECOVERY_REFUSED; then nothing was changed. */
export async function recoverFarm(request: RecoverRequest): Promise<RecoverOutcome> {
  await requireMigrations({ url: request.url, folder: join(request.projectFolder, "prisma", "migrations") });
  const store = await openArtifacts(request.artifacts, { environment: request.environment, name: "vapfarm", logLevel: "warn" });
  try {
    const database = await openRecovering(request.url);
    try {
      await database.requireAlone();
      return await recoverFrom({ ...request, database, store });
    } finally {
      await database.close();
    }
  } finally {
    await store.close();
  }
}

type Recovering = RecoverRequest & {
  readonly database: RecoveringDatabase;
  readonly store: OpenStore;
};

async function recoverFrom(request: Recovering): Promise<RecoverOutcome> {
  const { database, store, isMeant, signal, onNote } = request;
  onNote("comparing the artifact store with the database");
  const { checked, missing } = await compareStore(request, signal);
  const isRefused = !request.acceptsLosses && missing.length > checked * mostMissing;
  if (isMeant && isRefused) {
    throw new FarmError("RECOVERY_REFUSED", {
      message: `${missing.length} of ${checked} artifacts are missing in ${request.artifacts}`,
      details: {
        remedy: `check VAPFARM_ARTIFACTS; ${store.backend === "s3" ? undeleteHint : "if it is the right store, repeat with --accept-losses"}`,
      },
    });
  }
  const orphans = await findOrphans(request, signal);
  signal.throwIfAborted();
  // Comparing may have taken long.
  await database.requireAlone();
  const recovery = await database.recover(missing, { isTrial: !isMeant });
  const areDeleted = isMeant && request.deletesOrphans;
  const counted = orphans && areDeleted ? await deleteOrphans(request, orphans) : orphans;
  const bytes = counted?.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? 0;
  return {
    ...recovery,
    isDone: isMeant,
    isRefused,
    backend: store.backend,
    checked,
    orphans: counted && { count: counted.length, bytes, areDeleted },
  };
}

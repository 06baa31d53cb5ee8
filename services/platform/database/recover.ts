/**
 * Recovering a database that went back in time (design §4.11): after a restore, or a failover that lost something.
 *
 * Invariants: nothing is changed in the database while a coordinator is connected; what is changed is one transaction (vf_recover), which a trial
 * runs too and rolls back, so that it tells the truth; it may be run again.
 */
import pg from "pg";
import { z } from "zod";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { retryTable } from "../../domain/retry.ts";

/** A row that takes its bytes for stored. */
export type StoredArtifact = { readonly sha256: string; readonly sizeBytes: number };

const recoverySchema = z.object({
  epoch: z.number(),
  sessions: z.number(),
  attempts: z.number(),
  /** Rows whose bytes the store lacks; of them checkpoints, and uploads that were not whole. */
  missing: z.number(),
  checkpoints: z.number(),
  partialUploads: z.number(),
  tasksAgain: z.number(),
  /** Rows of the event log that are copied to JetStream anew. */
  events: z.number(),
  /** Finds of the sweep: each one is a bug. */
  repaired: z.number(),
  losses: z.object({
    uploadCount: z.number(),
    resultCount: z.number(),
    uploads: z.array(z.object({ tenant: z.string(), sha256: z.string(), jobs: z.array(z.string()) })),
    results: z.array(z.object({ job: z.string(), position: z.number(), artifact: z.string() })),
    modelCount: z.number(),
    /** Versions of models that lack chunks. */
    models: z.array(z.object({ name: z.string(), version: z.string(), chunks: z.number() })),
  }),
});

/** What recovering did, or on a trial would do. */
export type Recovery = z.output<typeof recoverySchema>;

export type RecoveringDatabase = {
  /** Throws FARM_IN_USE while coordinators are connected. */
  requireAlone(): Promise<void>;
  /** Every row that takes its bytes for stored, a page at a time. */
  storedArtifacts(): AsyncGenerator<readonly StoredArtifact[]>;
  /** Of hashes those that have no row. */
  withoutRow(hashes: readonly string[]): Promise<readonly string[]>;
  recover(missing: readonly string[], options: { readonly isTrial: boolean }): Promise<Recovery>;
  /** Runs `remove` while nobody can announce the artifact; false, and it is not run, when it has a row by now. */
  removeOrphan(artifact: StoredArtifact, remove: () => Promise<void>): Promise<boolean>;
  close(): Promise<void>;
};

const pageSize = 2_000;

/** Opens the one connection that recovering uses; DATABASE_UNAVAILABLE when Postgres does not answer. */
export async function openRecovering(url: string): Promise<RecoveringDatabase> {
  const client = new pg.Client({ connectionString: url, application_name: "vapfarm-recover", connectionTimeoutMillis: 10_000 });
  const asked = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      throw toFarmError(thrown, thrown instanceof pg.DatabaseError ? "INTERNAL" : "DATABASE_UNAVAILABLE");
    }
  };
  await asked(() => client.connect());
  return {
    requireAlone: () => asked(() => requireAlone(client)),
    storedArtifacts: () => pagesOf(client),
    withoutRow: (hashes) => asked(() => withoutRow(client, hashes)),
    recover: (missing, { isTrial }) => asked(() => recover(client, missing, isTrial)),
    removeOrphan: (artifact, remove) => asked(() => removeOrphan(client, artifact, remove)),
    close: () => client.end(),
  };
}

async function requireAlone(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ connections: number }>(
    `select count(*)::integer as connections from pg_stat_activity
     where datname = current_database() and application_name like 'vapfarm-coordinator%'`,
  );
  const connections = rows[0]?.connections ?? 0;
  if (connections === 0) return;
  throw new FarmError("FARM_IN_USE", { message: `coordinators are connected to the database (${connections} connections)` });
}

async function* pagesOf(client: pg.Client): AsyncGenerator<readonly StoredArtifact[]> {
  let after = "";
  for (;;) {
    const { rows } = await client.query<{ sha256: string; size: string }>(
      "select sha256, size_bytes as size from artifact where is_stored and sha256 > $1 order by sha256 limit $2",
      [after, pageSize],
    );
    if (rows.length > 0) yield rows.map(({ sha256, size }) => ({ sha256, sizeBytes: Number(size) }));
    if (rows.length < pageSize) return;
    after = rows.at(-1)?.sha256 ?? "";
  }
}

async function withoutRow(client: pg.Client, hashes: readonly string[]): Promise<readonly string[]> {
  const { rows } = await client.query<{ sha256: string }>("select sha256 from artifact where sha256 = any ($1)", [[...hashes]]);
  const known = new Set(rows.map(({ sha256 }) => sha256));
  return hashes.filter((sha256) => !known.has(sha256));
}

/**
 * Whoever puts bytes announces their row before, and waits here for the row that is not committed: whatever coordinators were started meanwhile, bytes
 * are put after these were deleted, or the announcement came first and nothing is deleted.
 */
async function removeOrphan(client: pg.Client, { sha256, sizeBytes }: StoredArtifact, remove: () => Promise<void>): Promise<boolean> {
  await client.query("begin");
  try {
    const { rowCount } = await client.query(
      "insert into artifact (sha256, size_bytes, media_type) values ($1, $2, 'application/octet-stream') on conflict do nothing",
      [sha256, sizeBytes],
    );
    if (rowCount === 0) return false;
    await remove();
    return true;
  } finally {
    await client.query("rollback");
  }
}

async function recover(client: pg.Client, missing: readonly string[], isTrial: boolean): Promise<Recovery> {
  await client.query("begin");
  try {
    const { rows } = await client.query<{ result: unknown }>("select vf_recover($1, $2) as result", [
      [...missing],
      JSON.stringify(retryTable),
    ]);
    const recovery = recoverySchema.parse(rows[0]?.result);
    await client.query(isTrial ? "rollback" : "commit");
    return recovery;
  } catch (thrown) {
    await client.query("rollback");
    throw thrown;
  }
}

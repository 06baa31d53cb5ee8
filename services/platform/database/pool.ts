/**
 * Connections to Postgres: pools with limits on every wait, and the one place that retries.
 *
 * A statement that lost a serialization or deadlock race (40001, 40P01) changed nothing and is run again
 * here, nowhere else. A lost connection is not: whether it committed is unknown, and callers know how to ask again. Where one connection fell
 * silent, the others of its age are taken to have, too: else each would cost its own wait, one after another.
 */
import pg from "pg";
import type { FarmError } from "../../domain/errors.ts";
import { toFarmError } from "../../domain/errors.ts";
import { pause } from "../deadline.ts";

export type Pool = pg.Pool;
export type Connection = pg.PoolClient;

export type PoolOptions = {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly connections: number;
  readonly statementTimeoutMs?: number;
};

/** A statement that Postgres plans once per connection, by its name. */
export type NamedStatement = { readonly name: string; readonly text: string };

const tries = 6;

/** Opens a pool; no connection is made before the first query. */
export function openPool(options: PoolOptions): Pool {
  const timeoutMs = options.statementTimeoutMs ?? 5_000;
  // The server's limit comes first; this one is for a server that does not answer at all.
  const silenceMs = timeoutMs + 2_000;
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.connections,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: timeoutMs,
    query_timeout: silenceMs,
    lock_timeout: timeoutMs,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  // An idle connection that breaks is replaced at the next query, which reports what is wrong.
  pool.on("error", () => undefined);
  breakSilent(pool, silenceMs);
  return pool;
}

/** By the message of pg's own error, which has no code. */
function isSilence(thrown: unknown): thrown is Error {
  return thrown instanceof Error && thrown.message === "Query read timeout";
}

/** Breaks every connection that was there when one fell silent; the pool replaces what is broken. */
function breakSilent(pool: Pool, silenceMs: number): void {
  const openedAtMs = new Map<Connection, number>();
  const busy = new Set<Connection>();
  pool.on("connect", (connection) => openedAtMs.set(connection, performance.now()));
  pool.on("remove", (connection) => openedAtMs.delete(connection));
  pool.on("acquire", (connection) => busy.add(connection));
  pool.on("release", (error: unknown, connection) => {
    busy.delete(connection);
    if (!isSilence(error)) return;
    const sinceMs = performance.now() - silenceMs;
    for (const [other, atMs] of openedAtMs) {
      if (other === connection || atMs > sinceMs) continue;
      // An idle one must be gone before the next query asks for it, not a moment later; the pool listens to it.
      if (!busy.has(other)) other.emit("error", error);
      other.connection.stream.destroy();
    }
  });
}

/** The SQLSTATE of an error from Postgres, "" for anything else. */
export function sqlState(thrown: unknown): string {
  return thrown instanceof pg.DatabaseError ? (thrown.code ?? "") : "";
}

const isLostRace = (thrown: unknown): boolean => sqlState(thrown) === "40001" || sqlState(thrown) === "40P01";

/** 08 connection, 53 resources, 57 operator; without a state: the socket failed. */
function toDatabaseError(thrown: unknown): FarmError {
  const state = sqlState(thrown);
  // Raised by the triggers that guard the moves of tasks and attempts.
  if (state === "VF001") return toFarmError(thrown, "TRANSITION_ILLEGAL");
  // Raised where a job would be pinned to a version of a model that was removed.
  if (state === "VF020") return toFarmError(thrown, "MODEL_VERSION_GONE");
  const isUnavailable = state === "" ? !(thrown instanceof TypeError) : /^(08|53|57)/.test(state) || state === "55P03";
  return toFarmError(thrown, isUnavailable ? "DATABASE_UNAVAILABLE" : "INTERNAL");
}

/** Runs work that is safe to run again as a whole after a lost race; other failures become FarmErrors. */
export async function retryLostRaces<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (!isLostRace(thrown) || attempt >= tries) throw toDatabaseError(thrown);
      await pause(Math.random() * 5 * 2 ** attempt);
    }
  }
}

/** Runs one named statement in a transaction of its own. */
export async function runStatement<Row extends pg.QueryResultRow>(
  pool: Pool,
  statement: NamedStatement,
  values: readonly unknown[],
): Promise<readonly Row[]> {
  return await retryLostRaces(async () => (await pool.query<Row>({ ...statement, values: [...values] })).rows);
}

const ignore = (): void => undefined;

async function isRolledBack(connection: Connection): Promise<boolean> {
  return connection.query("rollback").then(
    () => true,
    () => false,
  );
}

/** Runs work in one transaction, rolled back when it throws. */
export async function inTransaction<T>(pool: Pool, work: (connection: Connection) => Promise<T>): Promise<T> {
  return await retryLostRaces(async () => {
    const connection = await pool.connect();
    // One that breaks between two statements fails the next; without a listener its event would end the process.
    connection.on("error", ignore);
    try {
      await connection.query("begin");
      const result = await work(connection);
      await connection.query("commit");
      connection.release();
      return result;
    } catch (thrown) {
      connection.release(isSilence(thrown) ? thrown : !(await isRolledBack(connection)));
      throw thrown;
    } finally {
      connection.off("error", ignore);
    }
  });
}

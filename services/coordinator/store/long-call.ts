/**
 * Calls of functions that may touch every task of a thousand renders: with more time than a pool gives to a statement.
 */
import { FarmError } from "../../domain/errors.ts";
import { type Connection, inTransaction, type NamedStatement, type Pool } from "../../platform/database/pool.ts";

const timeoutMs = 30_000;

/** The one value that a function's statement returns; run again as a whole after a lost race. */
export async function callLongFunction<T>(pool: Pool, statement: NamedStatement, values: readonly unknown[]): Promise<T> {
  return await inTransaction(pool, async (connection) => {
    return await callWithin(connection, statement, values);
  });
}

/** The same in a transaction that the caller has begun. */
export async function callWithin<T>(connection: Connection, statement: NamedStatement, values: readonly unknown[]): Promise<T> {
  await connection.query(`set local statement_timeout = ${timeoutMs}`);
  // The server's limit comes first; this one is for a server that does not answer at all.
  const query = { ...statement, values: [...values], query_timeout: timeoutMs + 2_000 };
  const { rows } = await connection.query<{ readonly result: T }>(query);
  const [row] = rows;
  if (row === undefined) throw new FarmError("INTERNAL", { message: `${statement.name} returned no row` });
  return row.result;
}

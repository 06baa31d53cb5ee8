/**
 * Suites: imported in one transaction, found by id, by its beginning or by name.
 *
 * Invariant: what a suite is made of stays uploaded as long as it is (`suite_upload`).
 */
import type { SuiteRow } from "../../domain/suite-rules.ts";
import { type Connection, inTransaction, runStatement } from "../../platform/database/pool.ts";
import type { MissingClip, NewestCursor, Page, SuiteOutcome, SuiteStore, SuiteToStore, SuiteView } from "./bench-contract.ts";
import { callWithin } from "./long-call.ts";
import {
  addSuiteRowsStatement,
  beginSuiteStatement,
  findSuitesStatement,
  finishSuiteStatement,
  listSuitesStatement,
  suiteRowsStatement,
} from "./sql/suites.ts";
import { type StoreContext, toPayload } from "./store-context.ts";
import { FarmError } from "../../domain/errors.ts";

/** Of one import. */
const mostFaults = 200;

type SuiteDbRow = {
  readonly id: string;
  readonly name: string;
  readonly row_count: number;
  readonly kinds: SuiteView["kinds"];
  readonly created_at: Date;
  readonly created_at_us: string;
};

/** A row of suite_row. */
export type SuiteRowDbRow = {
  readonly position: number;
  readonly line: number;
  readonly target_sha256: string;
  readonly reference_sha256s: readonly string[];
  readonly caption: string;
  readonly reference_captions: readonly string[];
  readonly kind: string;
  readonly seed: string;
  readonly target_path: string;
  readonly reference_paths: readonly string[];
};

/** The part of the store that keeps suites. */
export function createSuites({ pool }: StoreContext): SuiteStore {
  const findSuites: SuiteStore["findSuites"] = async (tenant, named, limit) =>
    (await runStatement<SuiteDbRow>(pool, findSuitesStatement, [tenant, named, limit])).map(suiteFromRow);
  return {
    findSuites,
    async importSuite(suite) {
      const imported = await inTransaction(pool, (connection) => importWithin(connection, suite));
      if (imported.kind === "invalid") return { kind: "invalid", missing: await missingClips(suite, imported.missing) };
      const [found] = await findSuites(suite.tenant, suite.suiteId, 1);
      if (found === undefined) throw new FarmError("INTERNAL", { message: `suite ${suite.suiteId} is gone` });
      return { kind: imported.kind, suite: found } satisfies SuiteOutcome;
    },
    async listSuites({ tenant, after, limit }) {
      const values = [tenant, after?.createdAtUs ?? null, after?.id ?? null, limit + 1];
      return pageOf(await runStatement<SuiteDbRow>(pool, listSuitesStatement, values), limit, suiteFromRow);
    },
    async suiteRows(tenant, suiteId, positions) {
      return (await runStatement<SuiteRowDbRow>(pool, suiteRowsStatement, [tenant, suiteId, positions])).map(suiteRowFromRow);
    },
  };
}

type Imported = { readonly kind: "stored" | "existed" } | { readonly kind: "invalid"; readonly missing: readonly string[] };

async function importWithin(connection: Connection, suite: SuiteToStore): Promise<Imported> {
  const { tenant, suiteId, name, rowCount, kinds } = suite;
  const { rows } = await connection.query({ ...beginSuiteStatement, values: [tenant, suiteId, name, rowCount, toPayload(kinds)] });
  if (rows.length === 0) return { kind: "existed" };
  for await (const part of suite.parts()) {
    await callWithin(connection, addSuiteRowsStatement, [tenant, suiteId, toPayload(part.map(rowToPayload))]);
  }
  const missing = await callWithin<readonly string[]>(connection, finishSuiteStatement, [tenant, suiteId]);
  if (missing.length === 0) return { kind: "stored" };
  // Ends what the transaction has done; the commit that follows then has nothing to commit.
  await connection.query("rollback and chain");
  return { kind: "invalid", missing };
}

/** JSON has no integers of 64 bits. */
function rowToPayload({ seed, ...row }: SuiteRow): object {
  return { ...row, seed: seed.toString() };
}

/** The first fields that name uploads which are missing. */
async function missingClips({ parts }: SuiteToStore, missing: readonly string[]): Promise<readonly MissingClip[]> {
  const gone = new Set(missing);
  const found: MissingClip[] = [];
  for await (const part of parts()) {
    for (const { position, line, targetSha256, referenceSha256s } of part) {
      const named = [
        ["target_sha256", targetSha256] as const,
        ...referenceSha256s.map((sha256, index) => [`reference_sha256s[${index}]`, sha256] as const),
      ];
      found.push(...named.filter(([, sha256]) => gone.has(sha256)).map(([field, sha256]) => ({ position, line, field, sha256 })));
    }
    if (found.length >= mostFaults) break;
  }
  return found.slice(0, mostFaults);
}

function suiteFromRow({ id, name, row_count: rowCount, kinds, created_at: createdAt }: SuiteDbRow): SuiteView {
  return { suiteId: id, name, rowCount, kinds, createdAt };
}

/** A row as it was imported. */
export function suiteRowFromRow(row: SuiteRowDbRow): SuiteRow {
  return {
    position: row.position,
    line: row.line,
    targetSha256: row.target_sha256,
    referenceSha256s: row.reference_sha256s,
    caption: row.caption,
    referenceCaptions: row.reference_captions,
    kind: row.kind,
    seed: BigInt(row.seed),
    targetPath: row.target_path,
    referencePaths: row.reference_paths,
  };
}

type Listed = { readonly id: string; readonly created_at_us: string };

/** A page of rows of which one more than `limit` was asked for. */
export function pageOf<Row extends Listed, T>(rows: readonly Row[], limit: number, view: (row: Row) => T): Page<T> {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const next: NewestCursor | undefined =
    rows.length > limit && last !== undefined ? { createdAtUs: last.created_at_us, id: last.id } : undefined;
  return { found: page.map(view), next };
}

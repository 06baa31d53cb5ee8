/**
 * What others measured and voted, kept as it came.
 */
import { inTransaction, runStatement } from "../../platform/database/pool.ts";
import { type ImportedResultsView, type ImportedSummary, type ImportStore, mostNames, type StoredVote } from "./bench-contract.ts";
import {
  addVotesStatement,
  countVoteNamesStatement,
  dropVotesStatement,
  getResultsStatement,
  importResultsStatement,
  listResultsStatement,
  listVotesStatement,
  lockOwnerStatement,
} from "./sql/bench-imports.ts";
import { type StoreContext, toPayload } from "./store-context.ts";

type ResultsRow = { readonly name: string; readonly sha256: string; readonly imported_at: Date; readonly summary: ImportedSummary };

/** The part of the store that keeps imports. */
export function createBenchImports({ pool }: StoreContext): ImportStore {
  return {
    importResults: (tenant, { name, sha256, summary, text }) =>
      inTransaction(pool, async (connection) => {
        await connection.query({ ...lockOwnerStatement, values: [tenant] });
        const values = [tenant, name, sha256, text, toPayload(summary), mostNames];
        const { rows } = await connection.query<ResultsRow>({ ...importResultsStatement, values });
        return rows[0] === undefined ? undefined : resultsFromRow(rows[0]);
      }),
    async listResults(tenant) {
      return (await runStatement<ResultsRow>(pool, listResultsStatement, [tenant])).map(resultsFromRow);
    },
    async getResults(tenant, name) {
      const [row] = await runStatement<ResultsRow & { readonly body: string }>(pool, getResultsStatement, [tenant, name]);
      return row === undefined ? undefined : { ...resultsFromRow(row), text: row.body };
    },
    importVotes: (tenant, name, votes) =>
      inTransaction(pool, async (connection) => {
        await connection.query({ ...lockOwnerStatement, values: [tenant] });
        const { rowCount } = await connection.query({ ...dropVotesStatement, values: [tenant, name] });
        const { rows } = await connection.query<{ readonly count: number }>({ ...countVoteNamesStatement, values: [tenant] });
        if (rowCount === 0 && (rows[0]?.count ?? 0) >= mostNames) return "full";
        await connection.query({ ...addVotesStatement, values: [tenant, name, toPayload(votes)] });
        return "stored";
      }),
    listVotes: (tenant, name) => runStatement<StoredVote>(pool, listVotesStatement, [tenant, name]),
  };
}

function resultsFromRow({ name, sha256, imported_at: importedAt, summary }: ResultsRow): ImportedResultsView {
  return { name, sha256, importedAt, summary };
}

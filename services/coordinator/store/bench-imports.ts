/**
 * What others measured and voted, kept as it came.
 */
import { FarmError } from "../../domain/errors.ts";
import { inTransaction, runStatement } from "../../platform/database/pool.ts";
import type { ImportedResultsView, ImportedSummary, ImportStore, StoredVote } from "./bench-contract.ts";
import {
  addVotesStatement,
  dropVotesStatement,
  getResultsStatement,
  importResultsStatement,
  listResultsStatement,
  listVotesStatement,
} from "./sql/bench-imports.ts";
import { type StoreContext, toPayload } from "./store-context.ts";

type ResultsRow = { readonly name: string; readonly sha256: string; readonly imported_at: Date; readonly summary: ImportedSummary };

/** The part of the store that keeps imports. */
export function createBenchImports({ pool }: StoreContext): ImportStore {
  return {
    async importResults(tenant, { name, sha256, summary, text }) {
      const values = [tenant, name, sha256, text, toPayload(summary)];
      const [row] = await runStatement<ResultsRow>(pool, importResultsStatement, values);
      if (row === undefined) throw new FarmError("INTERNAL", { message: "the import returned no row" });
      return resultsFromRow(row);
    },
    async listResults(tenant) {
      return (await runStatement<ResultsRow>(pool, listResultsStatement, [tenant])).map(resultsFromRow);
    },
    async getResults(tenant, name) {
      const [row] = await runStatement<ResultsRow & { readonly body: string }>(pool, getResultsStatement, [tenant, name]);
      return row === undefined ? undefined : { ...resultsFromRow(row), text: row.body };
    },
    importVotes: (tenant, name, votes) =>
      inTransaction(pool, async (connection) => {
        await connection.query({ ...dropVotesStatement, values: [tenant, name] });
        await connection.query({ ...addVotesStatement, values: [tenant, name, toPayload(votes)] });
      }),
    listVotes: (tenant, name) => runStatement<StoredVote>(pool, listVotesStatement, [tenant, name]),
  };
}

function resultsFromRow({ name, sha256, imported_at: importedAt, summary }: ResultsRow): ImportedResultsView {
  return { name, sha256, importedAt, summary };
}

/**
 * A suite of any number of rows, sent as a stream: the header, then rows in messages that a farm takes.
 *
 * Rows that are wrong are an expected outcome, told with the answer; nothing was stored then.
 */
import { type ImportSuiteRequest, type ImportSuiteResponse, type SuiteHeader, SuiteRow } from "../gen/proto/vapfarm/v1/bench.ts";
import type { CallControl, FarmCalls } from "./calls.ts";

/** A suite to be; its rows are gone through once for each try. */
export type SuiteToImport = { readonly header: SuiteHeader; readonly rows: Iterable<SuiteRow> };

const rowsOfMessage = 500;
/** A message of 4 MiB is the farm's limit. */
const bytesOfMessage = 2 * 1024 ** 2;

/** Sends the suite; the answer has the suite, or the faults. */
export function importSuite(
  calls: Pick<FarmCalls, "importSuite">,
  suite: SuiteToImport,
  control: CallControl = {},
): Promise<ImportSuiteResponse> {
  return calls.importSuite(messages(suite), control);
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* messages({ header, rows }: SuiteToImport): AsyncGenerator<ImportSuiteRequest> {
  yield { part: { $case: "header", value: header } };
  let [some, bytes]: [SuiteRow[], number] = [[], 0];
  for (const row of rows) {
    const size = SuiteRow.encode(row).finish().length;
    if (some.length > 0 && (some.length === rowsOfMessage || bytes + size > bytesOfMessage)) {
      yield { part: { $case: "rows", value: { rows: some } } };
      [some, bytes] = [[], 0];
    }
    some.push(row);
    bytes += size;
  }
  if (some.length > 0) yield { part: { $case: "rows", value: { rows: some } } };
}

/**
 * ListSuites and GetSuite; and finding the one suite that a request means.
 */
import { FarmError } from "../../domain/errors.ts";
import { numberRule, pageSizeRule, refusalOf, refuseAny } from "../../domain/field-rules.ts";
import {
  type GetSuiteRequest,
  type GetSuiteResponse,
  type ListSuitesRequest,
  type ListSuitesResponse,
  Suite,
  SuiteRow,
} from "../../gen/proto/vapfarm/v1/bench.ts";
import type { NewestCursor, Page, SuiteStore, SuiteView } from "../store/store-contract.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { badToken, type PageQuestion, pageTokenOf, readPageToken } from "./page-token.ts";
import { suiteRowToProto, suiteToProto } from "./suite-mapping.ts";

const defaultPageSize = 100;
const maxRowLimit = 1_000;
const maxPosition = 2 ** 31 - 1;
/** Told of a name that means several. */
const mostCandidates = 5;

/** The handler of ListSuites. */
export function createListSuites(store: Pick<SuiteStore, "listSuites">) {
  return async ({ pageSize, pageToken }: ListSuitesRequest, { caller: { tenant } }: Call): Promise<ListSuitesResponse> => {
    refuseAny(pageSizeRule(pageSize));
    const question: PageQuestion = ["ListSuites", tenant];
    const after = newestCursorOf(pageToken, question);
    const ask = { after, limit: pageSize === 0 ? defaultPageSize : pageSize };
    const page = await fittingPage(
      (limit) => store.listSuites({ tenant, ...ask, limit }),
      ask.limit,
      (suite) => Suite.encode(suiteToProto(suite)).finish().length,
    );
    return { suites: page.found.map(suiteToProto), nextPageToken: newestToken(page.next, question) };
  };
}

/** The handler of GetSuite. */
export function createGetSuite(store: Pick<SuiteStore, "findSuites" | "suiteRows">) {
  return async ({ suite: named, firstRow, rowLimit }: GetSuiteRequest, { caller: { tenant } }: Call): Promise<GetSuiteResponse> => {
    refuseAny([
      ...numberRule("first_row", { value: firstRow, min: 0, max: maxPosition }),
      ...numberRule("row_limit", { value: rowLimit, min: 0, max: maxRowLimit }),
    ]);
    const suite = await suiteOf(store, tenant, named);
    const count = Math.max(0, Math.min(rowLimit, suite.rowCount - firstRow));
    const positions = Array.from({ length: count }, (_, index) => firstRow + index);
    const rows = count === 0 ? [] : (await store.suiteRows(tenant, suite.suiteId, positions)).map(suiteRowToProto);
    return {
      suite: suiteToProto(suite),
      rows: rows.slice(0, fittingCount(rows.map((row) => SuiteRow.encode(row).finish().length))),
    };
  };
}

/** The tenant's suite of that id, that begin of an id, or that name; SUITE_UNKNOWN, or SUITE_AMBIGUOUS with the candidates. */
export async function suiteOf(store: Pick<SuiteStore, "findSuites">, tenant: string, named: string): Promise<SuiteView> {
  // What Postgres could not read is no suite's name.
  const isName = named !== "" && named.length <= 100 && named.isWellFormed() && !named.includes("\0");
  const found = isName ? await store.findSuites(tenant, named, mostCandidates + 1) : [];
  const [only, ...others] = found;
  const shown = named.slice(0, 80);
  if (only === undefined) {
    const field = { field: "suite", reason: `there is no suite "${shown}"`, remedy: "list the suites and choose one of them" };
    throw new FarmError("SUITE_UNKNOWN", { message: field.reason, details: { fields: [field], resource: shown } });
  }
  if (others.length === 0) return only;
  const candidates = found.slice(0, mostCandidates).map(({ suiteId, name, rowCount }) => `${suiteId} ("${name}", ${rowCount} rows)`);
  const more = found.length > mostCandidates ? " and others" : "";
  const field = {
    field: "suite",
    reason: `"${shown}" may be ${candidates.join(" or ")}${more}`,
    remedy: "name one of them by its id, or more digits of it",
  };
  throw new FarmError("SUITE_AMBIGUOUS", { message: field.reason, details: { fields: [field] } });
}

/** Where a page of a list, the newest first, begins. */
export function newestCursorOf(token: string, question: PageQuestion): NewestCursor | undefined {
  if (token === "") return undefined;
  const cursor = readPageToken(token, question);
  const [createdAtUs, id] = Array.isArray(cursor) ? (cursor as readonly unknown[]) : [];
  if (typeof createdAtUs === "string" && /^\d{1,18}$/.test(createdAtUs) && typeof id === "string") return { createdAtUs, id };
  throw refusalOf([badToken()]);
}

/** The token of the next page; empty: there is none. */
export function newestToken(next: NewestCursor | undefined, question: PageQuestion): string {
  return next === undefined ? "" : pageTokenOf([next.createdAtUs, next.id], question);
}

/** A page that fits into a message: where that of one does not, a shorter one is read. */
export async function fittingPage<T>(
  read: (limit: number) => Promise<Page<T>>,
  most: number,
  sizeOf: (one: T) => number,
): Promise<Page<T>> {
  for (let limit = most; ;) {
    const page = await read(limit);
    const fitting = fittingCount(page.found.map(sizeOf));
    if (fitting === page.found.length) return page;
    limit = fitting;
  }
}

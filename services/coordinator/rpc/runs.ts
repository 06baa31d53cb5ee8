/**
 * GetRun, ListRuns and ListRunItems; and finding the one run that a request means.
 */
import { FarmError } from "../../domain/errors.ts";
import { pageSizeRule, refusalOf, refuseAny } from "../../domain/field-rules.ts";
import {
  type GetRunRequest,
  type GetRunResponse,
  type ListRunItemsRequest,
  type ListRunItemsResponse,
  type ListRunsRequest,
  type ListRunsResponse,
  Run,
  RunItem,
} from "../../gen/proto/vapfarm/v1/bench.ts";
import type { RunStore, RunView, SuiteStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { badToken, type PageQuestion, pageTokenOf, readPageToken } from "./page-token.ts";
import { runItemToProto, runToProto, setScoreToProto } from "./run-mapping.ts";
import { finalScoresOf, setScoresOf } from "./set-scores.ts";
import { fittingPage, newestCursorOf, newestToken, suiteOf } from "./suites.ts";

const defaultPageSize = 100;
/** Read at a time: each may have 10 scores of 20,000 values. */
const mostWithSeries = 25;
/** Told of an id that means several. */
const mostCandidates = 5;

/** The handler of GetRun. */
export function createGetRun(store: Pick<RunStore, "findRuns" | "clipScores" | "storeSetScores">) {
  return async ({ runId, withoutScores }: GetRunRequest, call: Call): Promise<GetRunResponse> => {
    const run = await runOf(store, runId, call);
    if (withoutScores) return { run: runToProto(run), setScores: [], finalScores: undefined };
    const scores = setScoresOf(run, await store.clipScores(run.runId));
    if (run.endedAt !== undefined) await store.storeSetScores({ runId: run.runId, endedAt: run.endedAt }, scores);
    return { run: runToProto(run), setScores: scores.map(setScoreToProto), finalScores: finalScoresOf(scores) };
  };
}

/** The handler of ListRuns. */
export function createListRuns(store: Pick<RunStore, "listRuns"> & Pick<SuiteStore, "findSuites">) {
  return async (request: ListRunsRequest, { caller: { tenant } }: Call): Promise<ListRunsResponse> => {
    const { suite: named, pageSize, pageToken } = request;
    refuseAny(pageSizeRule(pageSize));
    const suiteId = named === "" ? undefined : (await suiteOf(store, tenant, named)).suiteId;
    const question: PageQuestion = ["ListRuns", tenant, suiteId ?? null];
    const after = newestCursorOf(pageToken, question);
    const page = await fittingPage(
      (limit) => store.listRuns({ tenant, suiteId, after, limit }),
      pageSize === 0 ? defaultPageSize : pageSize,
      (run) => Run.encode(runToProto(run)).finish().length,
    );
    return { runs: page.found.map(runToProto), nextPageToken: newestToken(page.next, question) };
  };
}

/** The handler of ListRunItems. */
export function createListRunItems(store: Pick<RunStore, "findRuns" | "listRunItems">) {
  return async (request: ListRunItemsRequest, call: Call): Promise<ListRunItemsResponse> => {
    const { withSeries, pageSize, pageToken } = request;
    refuseAny(pageSizeRule(pageSize));
    const run = await runOf(store, request.runId, call);
    const question: PageQuestion = ["ListRunItems", run.runId, withSeries];
    const afterPosition = positionOf(pageToken, question);
    const asked = pageSize === 0 ? defaultPageSize : pageSize;
    const limit = withSeries ? Math.min(asked, mostWithSeries) : asked;
    const found = await store.listRunItems({ runId: run.runId, afterPosition, limit: limit + 1, withSeries });
    const page = found.slice(0, limit).map((item) => runItemToProto(item, run.metrics));
    const items = page.slice(0, fittingCount(page.map((item) => RunItem.encode(item).finish().length)));
    const last = items.at(-1);
    const hasMore = last !== undefined && items.length < found.length;
    return { items, nextPageToken: hasMore ? pageTokenOf(last.renderPosition, question) : "" };
  };
}

function positionOf(token: string, question: PageQuestion): number | undefined {
  if (token === "") return undefined;
  const cursor = readPageToken(token, question);
  if (typeof cursor === "number" && Number.isInteger(cursor) && cursor >= 0) return cursor;
  throw refusalOf([badToken()]);
}

/** The caller's run whose id begins so; RUN_UNKNOWN, or RUN_AMBIGUOUS with the candidates. */
async function runOf(store: Pick<RunStore, "findRuns">, named: string, { caller }: Pick<Call, "caller">): Promise<RunView> {
  const isBegin = /^[0-9a-f-]{8,36}$/.test(named);
  const found = isBegin ? await store.findRuns(scopeOf(caller), named, mostCandidates + 1) : [];
  const [only, ...others] = found;
  if (only === undefined) throw runUnknown(named);
  if (others.length === 0) return only;
  const candidates = found.slice(0, mostCandidates).map(({ runId, label }) => `${runId} ("${label}")`);
  const more = found.length > mostCandidates ? " and others" : "";
  const field = { field: "run_id", reason: `"${named}" may be ${candidates.join(" or ")}${more}`, remedy: "give more of the run's id" };
  throw new FarmError("RUN_AMBIGUOUS", { message: field.reason, details: { fields: [field] } });
}

/** That a run is not there, or not one that the caller may see: which of the two is not told. */
export function runUnknown(named: string): FarmError {
  const shown = named.slice(0, 80);
  const field = { field: "run_id", reason: `there is no run "${shown}", or none that the caller may see`, remedy: "check the run's id" };
  return new FarmError("RUN_UNKNOWN", { details: { fields: [field], resource: shown } });
}

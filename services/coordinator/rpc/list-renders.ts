/**
 * ListRenders: the renders of a job, page by page.
 */
import { pageSizeRule, refusalOf, refuseAny } from "../../domain/field-rules.ts";
import { type ListRendersRequest, type ListRendersResponse, Render } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { JobStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { renderSummaryToProto } from "./job-mapping.ts";
import { jobUnknown, requireJobId } from "./jobs.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { badToken, type PageQuestion, pageTokenOf, readPageToken } from "./page-token.ts";
import { jobStates, namesOf } from "./wire-names.ts";

const defaultPageSize = 100;

/** The handler of ListRenders. */
export function createListRenders(store: Pick<JobStore, "listRenders">) {
  return async (request: ListRendersRequest, { caller }: Call): Promise<ListRendersResponse> => {
    const { jobId, pageSize, pageToken } = request;
    const states = namesOf(jobStates, "states", request.states);
    refuseAny([...states.violations, ...pageSizeRule(pageSize)]);
    requireJobId(jobId);
    const scope = scopeOf(caller);
    const question: PageQuestion = ["ListRenders", scope ?? null, jobId, [...request.states].sort()];
    const afterPosition = positionOf(pageToken, question);
    const limit = pageSize === 0 ? defaultPageSize : pageSize;
    const found = await store.listRenders({ scope, jobId, states: states.named, afterPosition, limit: limit + 1 });
    if (found === undefined) throw jobUnknown(jobId);
    const asked = found.slice(0, limit).map(renderSummaryToProto);
    const renders = asked.slice(0, fittingCount(asked.map((render) => Render.encode(render).finish().length)));
    const last = renders.at(-1);
    const hasMore = last !== undefined && renders.length < found.length;
    return { renders, nextPageToken: hasMore ? pageTokenOf(last.position, question) : "" };
  };
}

function positionOf(token: string, question: PageQuestion): number | undefined {
  if (token === "") return undefined;
  const position = readPageToken(token, question);
  if (typeof position !== "number" || !Number.isSafeInteger(position) || position < 0) throw refusalOf([badToken()]);
  return position;
}

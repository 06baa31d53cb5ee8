/**
 * GetJob, GetRender and ListEvents: reads of one job.
 */
import { maskRule, maxInt64, numberRule, pageSizeRule, refuseAny } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import {
  type GetJobRequest,
  type GetJobResponse,
  type GetRenderRequest,
  type GetRenderResponse,
  Job,
  JobEvent,
  type ListEventsRequest,
  type ListEventsResponse,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type { JobStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { eventToProto, jobToProto, renderToProto } from "./job-mapping.ts";
import { explainNoRender, jobOfCaller, positionRule } from "./jobs.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { jobMask } from "./read-mask.ts";

const defaultPageSize = 100;
/** Events are numbered by a 32-bit integer. */
const maxEventNumber = 2n ** 31n - 1n;

/** The handler of GetJob. */
export function createGetJob(store: Pick<JobStore, "getJob">) {
  return async ({ jobId, readMask }: GetJobRequest, call: Call): Promise<GetJobResponse> => {
    const mask = jobMask(readMask);
    refuseAny(maskRule("read_mask", mask.paths, mask.known));
    return { job: mask.apply(jobToProto(await jobOfCaller(store, jobId, call))) };
  };
}

/** The handler of GetRender. */
export function createGetRender(store: Pick<JobStore, "getRender" | "getJob">) {
  return async ({ jobId, position }: GetRenderRequest, call: Call): Promise<GetRenderResponse> => {
    refuseAny(positionRule("position", position));
    const render = isJobId(jobId) ? await store.getRender(scopeOf(call.caller), jobId, position) : undefined;
    if (render === undefined) throw await explainNoRender(store, { jobId, position }, call);
    return { render: renderToProto(render) };
  };
}

/** The handler of ListEvents. */
export function createListEvents(store: Pick<JobStore, "getJob" | "listEvents">) {
  return async (request: ListEventsRequest, call: Call): Promise<ListEventsResponse> => {
    const { afterEventNumber, pageSize } = request;
    refuseAny([...numberRule("after_event_number", { value: afterEventNumber, min: 0n, max: maxInt64 }), ...pageSizeRule(pageSize)]);
    const job = await jobOfCaller(store, request.jobId, call);
    if (afterEventNumber > maxEventNumber) return { events: [], hasMore: false };
    const limit = pageSize === 0 ? defaultPageSize : pageSize;
    const found = (await store.listEvents(job.jobId, Number(afterEventNumber), limit + 1)).map(eventToProto);
    const asked = found.slice(0, limit);
    const events = asked.slice(0, fittingCount(asked.map((event) => JobEvent.encode(event).finish().length)));
    return { events, hasMore: events.length < found.length };
  };
}

/** Bytes of a job in a message. */
export function sizeOfJob(job: Job): number {
  return Job.encode(job).finish().length;
}

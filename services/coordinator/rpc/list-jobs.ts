/**
 * ListJobs: filters, order and page tokens.
 */
import {
  idempotencyKeyRule,
  maskRule,
  maxNameCharacters,
  nameRule,
  pageSizeRule,
  refusalOf,
  refuseAny,
  textRule,
  timeRule,
  unknownValue,
  violation,
  type Violations,
} from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import type { Choice } from "../../domain/render-request.ts";
import type { ListJobsRequest, ListJobsResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { JobClass, JobCursor, JobListAsk, JobOrder, JobStore, TenantScope } from "../store/store-contract.ts";
import { requestedScope } from "./caller.ts";
import { jobSummaryToProto } from "./job-mapping.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { badToken, type PageQuestion, pageTokenOf, readPageToken } from "./page-token.ts";
import { sizeOfJob } from "./read-jobs.ts";
import { jobMask } from "./read-mask.ts";
import { choiceOf, jobClasses, jobStates, namesOf } from "./wire-names.ts";

const defaultPageSize = 50;
const defaultOrder: JobOrder = { by: "create_time", descending: true };

/** The handler of ListJobs. */
export function createListJobs(store: Pick<JobStore, "listJobs">) {
  return async (request: ListJobsRequest, { caller }: Call): Promise<ListJobsResponse> => {
    const read = readRequest(request);
    refuseAny(read.violations);
    const scope = requestedScope(caller, request.tenant);
    const question = questionOf(request, scope);
    const after = cursorOf(request.pageToken, question, read.order);
    const page = await fittingPage(store, { scope, filter: read.filter, order: read.order, after, limit: read.limit });
    const mask = jobMask(request.readMask);
    const nextPageToken = page.next === undefined ? "" : pageTokenOf([page.next.value, page.next.jobId], question);
    return { jobs: page.jobs.map((job) => mask.apply(job)), nextPageToken };
  };
}

function readRequest(request: ListJobsRequest) {
  const states = namesOf(jobStates, "states", request.states);
  const jobClass = choiceOf(jobClasses, request.jobClass);
  const order = request.orderBy === "" ? defaultOrder : orderOf(request.orderBy);
  const { createdAfter, createdBefore, model, idempotencyKey, pageSize } = request;
  const filter: JobListAsk["filter"] = {
    states: states.named,
    jobClass: classOf(jobClass),
    model: model === "" ? undefined : model,
    createdAfter,
    createdBefore,
    idempotencyKey: idempotencyKey === "" ? undefined : idempotencyKey,
  };
  const violations: Violations = [...fieldViolations(request, jobClass, order), ...states.violations];
  return { filter, violations, order: order ?? defaultOrder, limit: pageSize === 0 ? defaultPageSize : pageSize };
}

function fieldViolations(request: ListJobsRequest, jobClass: Choice<JobClass>, order: JobOrder | undefined): Violations {
  const mask = jobMask(request.readMask);
  const orders = "give `create_time`, `end_time` or `priority`, and ` desc` after it for the other direction";
  return [
    ...nameRule("tenant", request.tenant),
    ...(jobClass === "unrecognized" ? [unknownValue("job_class")] : []),
    ...textRule("model", request.model, maxNameCharacters),
    ...timeRule("created_after", request.createdAfter),
    ...timeRule("created_before", request.createdBefore),
    ...(order === undefined ? [violation("order_by", "is no order of this list", orders)] : []),
    ...pageSizeRule(request.pageSize),
    ...maskRule("read_mask", mask.paths, mask.known),
    ...idempotencyKeyRule("idempotency_key", request.idempotencyKey),
  ];
}

function classOf(choice: Choice<JobClass>): JobClass | undefined {
  return choice === "production" || choice === "benchmark" ? choice : undefined;
}

function orderOf(text: string): JobOrder | undefined {
  const [, by, descending] = /^(create_time|end_time|priority)( +desc)?$/.exec(text) ?? [];
  if (by !== "create_time" && by !== "end_time" && by !== "priority") return undefined;
  return { by, descending: descending !== undefined };
}

/** Everything but the token itself and what changes only how much of an answer is shown. */
function questionOf(request: ListJobsRequest, scope: TenantScope): PageQuestion {
  const { states, jobClass, model, createdAfter, createdBefore, orderBy, idempotencyKey } = request;
  const times = [createdAfter, createdBefore].map((time) => time?.getTime() ?? null);
  return ["ListJobs", scope ?? null, [...states].sort(), jobClass, model, times, orderBy, idempotencyKey];
}

function cursorOf(token: string, question: PageQuestion, order: JobOrder): JobCursor | undefined {
  if (token === "") return undefined;
  const cursor = readPageToken(token, question);
  const [value, jobId] = Array.isArray(cursor) ? (cursor as readonly unknown[]) : [];
  if (typeof jobId !== "string" || !isJobId(jobId)) throw refusalOf([badToken()]);
  if (value === null && order.by === "end_time") return { value, jobId };
  const pattern = order.by === "priority" ? /^-?\d{1,3}$/ : /^-?\d{1,18}$/;
  if (typeof value !== "string" || !pattern.test(value)) throw refusalOf([badToken()]);
  return { value, jobId };
}

/** A page that fits into a message: where the texts of one that was read do not, a shorter one is read. */
async function fittingPage(store: Pick<JobStore, "listJobs">, ask: JobListAsk) {
  for (let { limit } = ask; ;) {
    const page = await store.listJobs({ ...ask, limit });
    const jobs = page.jobs.map(jobSummaryToProto);
    const fitting = fittingCount(jobs.map(sizeOfJob));
    if (fitting === jobs.length) return { jobs, next: page.next };
    limit = fitting;
  }
}

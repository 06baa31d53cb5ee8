/**
 * Which trace a render has, and the spans of it that others name before they are told (docs/decisions/0026).
 *
 * Pure. A render has a trace of its own, by its job and position. A job of one render whose caller traces goes on in the caller's trace; a
 * batch does not, because its renders are traces of their own: theirs link to the submit, which stands in the caller's.
 */
import { parseTraceparent, type TraceContext } from "../../platform/tracing/trace-context.ts";
import { isWithinShare, spanIdOf, traceIdOf } from "../../platform/tracing/trace-ids.ts";
import type { TraceOwner } from "../store/store-contract.ts";

/** No render has it. */
const positionOfSubmit = -1;

type Job = Pick<TraceOwner, "jobId" | "renders" | "traceparent">;

/** The span of a render as a whole. */
export function renderContextOf(owner: TraceOwner, share: number): TraceContext {
  const { jobId, position, renders, traceparent } = owner;
  const spanId = spanIdOf("render", jobId, String(position));
  const caller = renders === 1 ? parseTraceparent(traceparent) : undefined;
  if (caller !== undefined) return { ...caller, spanId };
  return own(traceIdOf(jobId, position), spanId, share);
}

/** The span of the job's submit. */
export function submitContextOf({ jobId, renders, traceparent }: Job, share: number): TraceContext {
  const spanId = spanIdOf("submit", jobId);
  const caller = parseTraceparent(traceparent);
  if (caller !== undefined) return { ...caller, spanId };
  return own(traceIdOf(jobId, renders === 1 ? 0 : positionOfSubmit), spanId, share);
}

/** The span of an attempt, in the trace of the render that its task was first for. */
export function attemptContextOf(owner: TraceOwner, attemptId: string, share: number): TraceContext {
  return { ...renderContextOf(owner, share), spanId: spanIdOf("attempt", attemptId) };
}

function own(traceId: string, spanId: string, share: number): TraceContext {
  return { traceId, spanId, isSampled: isWithinShare(traceId, share) };
}

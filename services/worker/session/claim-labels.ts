/**
 * What log lines and spans of an attempt are found by: the same four names in agent, runtime and coordinator.
 */
import type { TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { parseTraceparent } from "../../platform/tracing/trace-context.ts";
import type { SpanAttributes } from "../../platform/tracing/tracer.ts";

export type ClaimLabels = Readonly<Record<string, string>> & { readonly attemptId: string; readonly taskId: string };

/** For log lines; `jobId` is the first of those that the attempt serves, `traceId` is there where the farm traces. */
export function labelsOf({ attemptId, taskId, jobIds, traceparent }: TaskClaim): ClaimLabels {
  const [jobId] = jobIds;
  const traceId = parseTraceparent(traceparent)?.traceId;
  return {
    ...(traceId === undefined ? {} : { traceId }),
    ...(jobId === undefined ? {} : { jobId }),
    taskId: taskId.toString(),
    attemptId,
  };
}

/** For spans. */
export function spanAttributesOf({ attemptId, attemptNumber, taskId, jobIds, stage, model }: TaskClaim): SpanAttributes {
  return {
    "vapfarm.job": jobIds[0],
    "vapfarm.task": taskId.toString(),
    "vapfarm.attempt": attemptId,
    "vapfarm.attempt.number": attemptNumber,
    "vapfarm.stage": stage,
    "vapfarm.model": model,
  };
}

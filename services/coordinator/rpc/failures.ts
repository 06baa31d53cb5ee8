/**
 * ListFailures and RetryTask: dead letters, looked at and tried anew.
 */
import { errorTable, FarmError, isErrorCode } from "../../domain/errors.ts";
import { nameRule, pageSizeRule, refusalOf, refuseAny, textRule } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import type { ListFailuresRequest, ListFailuresResponse, RetryTaskRequest, RetryTaskResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FailedAttempt, FailedTask } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { Aftermath, AttemptView, DeadLetterView, FailureCursor, FailureStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { jobUnknown } from "./jobs.ts";
import { fittingCount } from "./message-size.ts";
import type { Call } from "./method.ts";
import { badToken, type PageQuestion, pageTokenOf, readPageToken } from "./page-token.ts";
import { goneUpload, poolGone } from "./steer-jobs.ts";

const defaultPageSize = 20;
/** What one page reads of log tails is bounded; the next page goes on. */
const mostOnPage = 100;

/** The handler of ListFailures. */
export function createListFailures(store: Pick<FailureStore, "listFailures">) {
  return async (request: ListFailuresRequest, { caller }: Call): Promise<ListFailuresResponse> => {
    const { jobId, pool, code, stage, pageSize, pageToken } = request;
    refuseAny([...nameRule("pool", pool), ...textRule("code", code, 64), ...textRule("stage", stage, 64), ...pageSizeRule(pageSize)]);
    if (jobId !== "" && !isJobId(jobId)) throw jobUnknown(jobId);
    const scope = scopeOf(caller);
    const question: PageQuestion = ["ListFailures", scope ?? null, jobId, pool, code, stage];
    const limit = pageSize === 0 ? defaultPageSize : Math.min(pageSize, mostOnPage);
    const filter = { jobId: given(jobId), pool: given(pool), code: given(code), stage: given(stage) };
    const found = await store.listFailures({ scope, ...filter, after: cursorOf(pageToken, question), limit });
    const all = found.failures.map(failedTaskToProto);
    const failures = all.slice(0, fittingCount(all.map((failure) => FailedTask.encode(failure).finish().length)));
    const last = found.failures[failures.length - 1];
    const cut = failures.length === all.length ? found.next : last;
    return { failures, nextPageToken: cut === undefined ? "" : pageTokenOf([cut.endedMicros, cut.taskId], question) };
  };
}

function given(text: string): string | undefined {
  return text === "" ? undefined : text;
}

function cursorOf(token: string, question: PageQuestion): FailureCursor | undefined {
  if (token === "") return undefined;
  const cursor = readPageToken(token, question);
  const [endedMicros, taskId] = Array.isArray(cursor) ? (cursor as readonly unknown[]) : [];
  if (typeof endedMicros === "string" && /^-?\d{1,18}$/.test(endedMicros) && Number.isSafeInteger(taskId))
    return { endedMicros, taskId: Number(taskId) };
  throw refusalOf([badToken()]);
}

/** What retrying a task works with; `onCommitted` is called after the commit. */
export type RetryTaskDependencies = {
  readonly store: Pick<FailureStore, "retryTask">;
  readonly onCommitted: (aftermath: Aftermath) => void;
};

/** The handler of RetryTask. */
export function createRetryTask({ store, onCommitted }: RetryTaskDependencies) {
  return async ({ taskId }: RetryTaskRequest, { caller }: Call): Promise<RetryTaskResponse> => {
    const isNamed = taskId > 0n && taskId <= BigInt(Number.MAX_SAFE_INTEGER);
    const outcome = isNamed ? await store.retryTask(scopeOf(caller), Number(taskId)) : undefined;
    switch (outcome?.kind) {
      case undefined:
        throw new FarmError("TASK_UNKNOWN", {
          message: `there is no task ${taskId}, or none that the caller may see`,
          details: { resource: `${taskId}` },
        });
      case "invalid":
        throw refusalOf(outcome.missing.map(goneUpload));
      case "pool_gone":
        throw poolGone(outcome.pool);
      case "nothing":
        return { retriedRenders: 0, leftRenders: 0, jobIds: [] };
      case "retried":
        for (const aftermath of outcome.aftermaths) onCommitted(aftermath);
        return { retriedRenders: outcome.renders, leftRenders: outcome.left, jobIds: [...outcome.jobIds] };
    }
  };
}

function failedTaskToProto(letter: DeadLetterView): FailedTask {
  const { taskId, tenant, stage, pool, model, code, message, endedAt, attempts, renders, renderCount } = letter;
  return FailedTask.create({
    taskId: BigInt(taskId),
    tenant,
    stage,
    pool,
    model,
    code,
    message,
    remedy: isErrorCode(code) ? errorTable[code].remedy : "",
    endTime: endedAt,
    attempts: attempts.map(attemptToProto),
    renders: renders.map((render) => ({ ...render })),
    renderCount,
  });
}

function attemptToProto({
  number,
  workerId,
  workerName,
  state,
  code,
  errorClass,
  message,
  startedAt,
  endedAt,
  logTail,
}: AttemptView): FailedAttempt {
  return FailedAttempt.create({
    number,
    workerId,
    workerName,
    outcome: state,
    code,
    errorClass,
    message,
    startTime: startedAt,
    endTime: endedAt,
    logTail,
  });
}

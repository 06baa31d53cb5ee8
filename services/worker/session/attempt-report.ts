/**
 * How an attempt's end is told to the coordinator.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { AttemptReport, ClaimInput, ProducedArtifact } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import { stopMessages, type StopReason } from "./attempt-words.ts";

/** Where an attempt's time went, in ms; device time is the runtime's count, or the wall time of the run where it died before it could tell. */
export type AttemptTimes = {
  readonly fetchMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly deviceMs: number;
  readonly finishMs: number;
};

/** The report of an attempt whose outputs are in the store. */
export function successReport(
  attemptId: string,
  made: { readonly result: StageResult; readonly outputs: readonly ProducedArtifact[] },
  times: AttemptTimes,
): AttemptReport {
  const { provider, profile, warnings, score } = made.result;
  const value = { outputs: [...made.outputs], provider, profile, warnings, score };
  return { attemptId, outcome: { $case: "success", value }, ...times };
}

export type AttemptEnd = {
  readonly thrown: unknown;
  readonly stopped: StopReason | undefined;
  readonly hung: boolean;
  readonly inputs: readonly ClaimInput[];
};

/** The report of an attempt that failed, or that stopped for a reason that is not its own. */
export function failureReport(attemptId: string, end: AttemptEnd, times: AttemptTimes): AttemptReport {
  const error = errorOf(end);
  const value = {
    code: error.code,
    message: error.message,
    // An outage is told as a failure with a cause known from outside, which costs the task nothing.
    abandoned: end.stopped !== undefined && end.stopped !== "outage",
    badInputSha256: badInputsOf(error, end.inputs),
    logTail: end.stopped === undefined ? logTailOf(end.thrown) : "",
  };
  return { attemptId, outcome: { $case: "failure", value }, ...times };
}

function errorOf({ thrown, stopped, hung }: AttemptEnd): FarmError {
  if (stopped === "outage") return new FarmError("OUTAGE_LIMIT_REACHED", { message: stopMessages.outage });
  if (stopped !== undefined) return new FarmError("STAGE_CANCELLED", { message: stopMessages[stopped] });
  if (hung) return new FarmError("STAGE_HUNG", { cause: thrown });
  return toFarmError(thrown);
}

/** What the runtime wrote while it had the run. */
function logTailOf(thrown: unknown): string {
  const logTail = thrown instanceof FarmError ? thrown.details["logTail"] : undefined;
  return typeof logTail === "string" ? logTail : "";
}

/** Those that could not be fetched, or the one that the runtime names. */
function badInputsOf({ details, row }: FarmError, inputs: readonly ClaimInput[]): string[] {
  const { badInputs, input } = details;
  if (Array.isArray(badInputs)) return badInputs.filter((hash): hash is string => typeof hash === "string");
  if (row.errorClass !== "artifact") return [];
  return inputs.filter(({ name }) => name === input).map(({ sha256 }) => sha256);
}

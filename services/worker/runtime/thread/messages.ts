/**
 * What the gRPC server's thread and the inference thread say to each other.
 *
 * One run at a time: after `run` the thread answers with any number of `progress` and `checkpoint`, then exactly one `done` or `failed`.
 */
import { type ErrorCode, type ErrorDetails, FarmError } from "../../../domain/errors.ts";
import type { StageCheckpoint, StageProgress, StageResult, StageRun } from "../stage-run.ts";

export type ToThread = { readonly kind: "run"; readonly run: StageRun } | { readonly kind: "cancel" } | { readonly kind: "stop" };

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly failure: Failure }
  | { readonly kind: "progress"; readonly progress: StageProgress }
  | { readonly kind: "checkpoint"; readonly checkpoint: StageCheckpoint }
  | { readonly kind: "done"; readonly result: StageResult }
  | { readonly kind: "failed"; readonly failure: Failure };

/** A FarmError as plain data: class instances do not survive the way between threads. */
export type Failure = { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails };

/** Takes an error apart for the way. */
export function failureOf(error: FarmError): Failure {
  return { code: error.code, message: error.message, details: structuredFacts(error.details) };
}

/** Puts it together again. */
export function errorOf({ code, message, details }: Failure): FarmError {
  return new FarmError(code, { message, details });
}

/** Details that can be cloned; JSON leaves out what cannot. */
function structuredFacts(details: ErrorDetails): ErrorDetails {
  const plain = JSON.stringify(details, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return JSON.parse(plain) as ErrorDetails;
}

/**
 * What the gRPC server's thread and the inference thread say to each other.
 *
 * Runs are told in the order in which they run, one after the other; each has a number. Of each the thread says `started`, any number of
 * `progress` and `checkpoint`, then exactly one `computed` or `failed`; one that was cancelled before it started only `failed`.
 */
import { type ErrorCode, type ErrorDetails, FarmError } from "../../../domain/errors.ts";
import type { ComputedStage, StageCheckpoint, StageProgress, StageRun } from "../stage-run.ts";

export type ToThread =
  | { readonly kind: "run"; readonly number: number; readonly run: StageRun }
  | { readonly kind: "cancel"; readonly number: number }
  | { readonly kind: "stop"; readonly number: number };

export type FromThread = { readonly kind: "ready" } | { readonly kind: "refused"; readonly failure: Failure } | OfRun;

/** What is said of one run. */
export type OfRun = { readonly number: number } & (
  | { readonly kind: "started"; readonly idleMs: number | undefined }
  | { readonly kind: "progress"; readonly progress: StageProgress }
  | { readonly kind: "checkpoint"; readonly checkpoint: StageCheckpoint }
  | { readonly kind: "computed"; readonly stage: ComputedStage }
  | { readonly kind: "failed"; readonly failure: Failure }
);

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

/** Those of the views' buffers that can change hands instead of being copied: each view must be all of its own. */
export function wholeBuffers(views: readonly Uint8Array[]): ArrayBuffer[] {
  return views.flatMap(({ buffer, byteLength }) => (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : []));
}

/** Details that can be cloned; JSON leaves out what cannot. */
function structuredFacts(details: ErrorDetails): ErrorDetails {
  const plain = JSON.stringify(details, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return JSON.parse(plain) as ErrorDetails;
}

/**
 * What becomes of a task after a failure: budgets and back-off for each class of error (design §4.7).
 *
 * Invariants: classes are counted apart, so that five lost connections do not use up what is meant for
 * crashes; every class that a task itself may cause has a budget, so nothing is tried for ever. The
 * database decides with the same table (`retryTable`), given to it with each call.
 */
import type { ErrorClass, ErrorCode } from "./errors.ts";

export type RetryRule = {
  /** The failure that ends the task; undefined: never. */
  readonly failures: number | undefined;
  /** Wait before the next try by number of failures; the last one stays. */
  readonly delaysMs: readonly number[];
  /** Whether another worker is preferred for the next try. */
  readonly avoidsWorker: boolean;
  /** Code of a task that used up its budget; its last failure's when undefined. */
  readonly exhaustedCode?: ErrorCode;
  /** So many losses of a worker that had only been promised the task are not counted: it was lost with another's. */
  readonly spared?: number;
  /** How long the worker gets no work for what failed, by number of such failures; the last one stays. */
  readonly quarantineMs?: readonly number[];
};

export type RetryDecision =
  { readonly kind: "fail"; readonly code: ErrorCode | undefined } | { readonly kind: "retry"; readonly delayMs: number };

const secondMs = 1_000;

/** 1 s, 2 s, 4 s … 60 s. */
function doublingMs(count: number): readonly number[] {
  return Array.from({ length: count }, (_unused, index) => Math.min(60 * secondMs, secondMs * 2 ** index));
}

/** 10 s, 20 s … an hour: a worker where an engine does not work is tried again, but ever less often. */
const quarantineMs: readonly number[] = Array.from({ length: 10 }, (_unused, index) =>
  Math.min(3_600 * secondMs, 10 * secondMs * 2 ** index),
);

export const retryTable: Readonly<Record<ErrorClass, RetryRule>> = {
  input: { failures: 1, delaysMs: [], avoidsWorker: false },
  transient: { failures: 5, delaysMs: doublingMs(7), avoidsWorker: false },
  // Each one raises what the task needs above what that worker has; it fails at once where no worker has more.
  capacity: { failures: 4, delaysMs: [secondMs], avoidsWorker: true },
  engine: { failures: 3, delaysMs: [secondMs], avoidsWorker: true, quarantineMs },
  // The producer runs again; the task waits for it, not for a timer.
  artifact: { failures: 3, delaysMs: [], avoidsWorker: false },
  // Only with a cause that was seen from outside of the worker; what it merely names counts as `worker` (vf_class_of).
  infrastructure: { failures: undefined, delaysMs: doublingMs(7), avoidsWorker: false },
  unexplained: { failures: 3, delaysMs: [], avoidsWorker: true, exhaustedCode: "SUSPECTED_POISON", spared: 3 },
  worker: { failures: 5, delaysMs: doublingMs(7), avoidsWorker: true },
};

/**
 * The decision after a failure.
 * `failures`: of this class so far, this one included. `jitter`: a draw from [0, 1); at most halves the wait.
 */
export function decideRetry(errorClass: ErrorClass, failures: number, jitter: number): RetryDecision {
  const rule = retryTable[errorClass];
  if (rule.failures !== undefined && failures >= rule.failures) return { kind: "fail", code: rule.exhaustedCode };
  const delayMs = rule.delaysMs[Math.min(failures, rule.delaysMs.length) - 1] ?? 0;
  return { kind: "retry", delayMs: delayMs * (1 - jitter / 2) };
}

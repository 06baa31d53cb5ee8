import fc from "fast-check";
import { expect, test } from "vitest";
import type { ErrorClass } from "../../../services/domain/errors.ts";
import { decideRetry, retryTable } from "../../../services/domain/retry.ts";

const classes = Object.keys(retryTable) as ErrorClass[];

test("transient failures wait 1, 2, 4 and 8 seconds, and the fifth ends the task", () => {
  const decisions = [1, 2, 3, 4, 5].map((failures) => decideRetry("transient", failures, 0));
  expect(decisions).toEqual([
    { kind: "retry", delayMs: 1_000 },
    { kind: "retry", delayMs: 2_000 },
    { kind: "retry", delayMs: 4_000 },
    { kind: "retry", delayMs: 8_000 },
    { kind: "fail", code: undefined },
  ]);
});

test("bad input ends the task at once", () => {
  expect(decideRetry("input", 1, 0.5)).toEqual({ kind: "fail", code: undefined });
});

test("the third unexplained end is suspected poison, those before are tried again at once", () => {
  expect([1, 2, 3].map((failures) => decideRetry("unexplained", failures, 0.5))).toEqual([
    { kind: "retry", delayMs: 0 },
    { kind: "retry", delayMs: 0 },
    { kind: "fail", code: "SUSPECTED_POISON" },
  ]);
});

test("failures of the infrastructure are free, and wait a minute at most", () => {
  expect(decideRetry("infrastructure", 1_000, 0)).toEqual({ kind: "retry", delayMs: 60_000 });
});

test("every class but infrastructure ends after a bounded number of failures, and waits between half and all of its back-off", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...classes),
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (errorClass, failures, jitter) => {
        const decision = decideRetry(errorClass, failures, jitter);
        const whole = decideRetry(errorClass, failures, 0);
        if (decision.kind === "fail" || whole.kind === "fail") {
          expect(errorClass).not.toBe("infrastructure");
          expect(failures).toBeGreaterThanOrEqual(retryTable[errorClass].failures ?? Infinity);
          return;
        }
        expect(errorClass === "infrastructure" || failures < 5).toBe(true);
        expect(decision.delayMs).toBeGreaterThanOrEqual(whole.delayMs / 2);
        expect(decision.delayMs).toBeLessThanOrEqual(whole.delayMs);
        expect(whole.delayMs).toBeLessThanOrEqual(60_000);
      },
    ),
  );
});

test("the classes that point at a worker prefer another one", () => {
  expect(classes.filter((errorClass) => retryTable[errorClass].avoidsWorker).sort()).toEqual([
    "capacity",
    "engine",
    "unexplained",
    "worker",
  ]);
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { errorTable, isErrorCode } from "../../../services/domain/errors.ts";
import type { AttemptLevelName, AttemptPhase } from "../../../services/worker/session/attempt-words.ts";
import { askAheadAtMs, type Estimate, surelyMs, withSample } from "../../../services/worker/session/ahead.ts";
import { backOffMs } from "../../../services/worker/session/back-off.ts";
import { drainTimes } from "../../../services/worker/session/drain.ts";
import { advanced, sentRun, stallLimitMs } from "../../../services/worker/session/hang.ts";
import { createIdleGap } from "../../../services/worker/session/idle-gap.ts";
import { beatEveryMs, renewed, standingOf } from "../../../services/worker/session/lease-clock.ts";
import { responseTo } from "../../../services/worker/session/level-response.ts";
import { responseToRefusal } from "../../../services/worker/session/refusal-response.ts";
import { cancelGraceMs, p99Ms, withStep } from "../../../services/worker/session/step-times.ts";
import { chooseTurn, type TurnFacts } from "../../../services/worker/session/turn.ts";

describe("a drain", () => {
  it.each([
    { what: "waits for what runs, then for what it stopped", leaveMs: 0, waitMs: 30_000, settleMs: 10_000 },
    { what: "needs no more for a run that leaves in time", leaveMs: 10_000, waitMs: 30_000, settleMs: 10_000 },
    { what: "asks a run with long steps earlier", leaveMs: 21_000, waitMs: 19_000, settleMs: 21_000 },
    { what: "asks at once where that is not enough", leaveMs: 90_000, waitMs: 0, settleMs: 40_000 },
  ])("$what", ({ leaveMs, waitMs, settleMs }) => {
    expect(drainTimes({ drainMs: 30_000, settleMs: 10_000, leaveAtOnce: false }, leaveMs)).toEqual({ waitMs, settleMs });
  });

  it("that is to be quick waits for nothing, and gives all its time to what it stopped", () => {
    expect(drainTimes({ drainMs: 30_000, settleMs: 10_000, leaveAtOnce: true }, 0)).toEqual({ waitMs: 0, settleMs: 40_000 });
  });
});

describe("the lease clock", () => {
  it("counts from the sending of the newest answered request, in whatever order the answers come", () => {
    const later = renewed(undefined, 2_000, 15_000);
    expect(renewed(later, 1_000, 15_000)).toEqual({ renewedAtMs: 2_000, leaseMs: 15_000 });
    expect(renewed(later, 3_000, 15_000)).toEqual({ renewedAtMs: 3_000, leaseMs: 15_000 });
  });

  it.each([
    [16_999, "current"],
    [17_000, "lapsed"],
    [601_999, "lapsed"],
    [602_000, "outage_limit_reached"],
  ] as const)("at %i ms is %s", (nowMs, standing) => {
    expect(standingOf({ renewedAtMs: 2_000, leaseMs: 15_000 }, nowMs, 600_000)).toBe(standing);
  });
});

describe("the beat", () => {
  it.each([
    ["before there is a lease", undefined, 3_000],
    ["under the farm's lease", 15_000, 3_000],
    ["under a long lease", 60_000, 3_000],
    ["under a short lease: five times in it", 5_000, 1_000],
  ])("%s", (...[, leaseMs, everyMs]) => {
    expect(beatEveryMs(leaseMs === undefined ? undefined : { renewedAtMs: 0, leaseMs }, 3_000)).toBe(everyMs);
  });
});

describe("the stall limit", () => {
  const limits = { stallMs: 30_000, loadMs: 600_000, unknownStepMs: 120_000 };

  it.each([
    ["load", 0, 0, 600_000],
    ["denoise", 100, 0, 30_000],
    ["denoise", 20_000, 0, 100_000],
    ["denoise", 0, 20_000, 100_000],
    ["denoise", 0, 0, 120_000],
  ])("in %s with steps of %i ms (expected %i) is %i ms", (...[phase, stepMs, expectedStepMs, limitMs]) => {
    expect(stallLimitMs({ phase, counter: 1n, stepMs, movedAtMs: 0 }, expectedStepMs, limits)).toBe(limitMs);
  });

  it("is not put off by messages whose counter stands still", () => {
    const first = advanced(sentRun(0), { phase: "denoise", counter: 1n, stepMs: 5 }, 10);
    expect(advanced(first, { phase: "denoise", counter: 1n, stepMs: 5 }, 99)).toEqual(first);
    expect(advanced(first, { phase: "denoise", counter: 2n, stepMs: 5 }, 99).movedAtMs).toBe(99);
  });
});

describe("the grace of a cancelled run", () => {
  it("is twice the 99th percentile of its steps, and never under five seconds", () => {
    expect(cancelGraceMs([])).toBe(5_000);
    expect(cancelGraceMs([100, 200])).toBe(5_000);
    expect(cancelGraceMs([...Array.from({ length: 99 }, () => 3_000), 60_000])).toBe(6_000);
    expect(p99Ms([7])).toBe(7);
  });

  it("forgets old steps", () => {
    const times = Array.from({ length: 600 }, (_, index) => index).reduce<readonly number[]>(withStep, []);
    expect(times).toHaveLength(512);
    expect(times.at(-1)).toBe(599);
  });
});

describe("back-off", () => {
  it("grows to its most and keeps at least half of it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, draw) => {
        const full = Math.min(1_000, 100 * 2 ** Math.min(30, failures - 1));
        const ms = backOffMs(failures, { firstMs: 100, mostMs: 1_000 }, draw);
        expect(ms).toBeLessThanOrEqual(full);
        expect(ms).toBeGreaterThanOrEqual(full / 2);
      }),
    );
  });
});

describe("a level", () => {
  const phases = ["fetch", "compute", "finish"] as const satisfies readonly AttemptPhase[];
  const expected: Readonly<Record<AttemptLevelName, readonly (string | undefined)[]>> = {
    wanted: [undefined, undefined, undefined],
    unwanted: ["unwanted", "unwanted", undefined],
    preempt: ["preempt", "preempt", undefined],
    drain: ["drain", "drain", undefined],
    revoked: ["revoked", "revoked", "revoked"],
  };

  it.each(Object.entries(expected))("of %s stops fetch, compute, finish as %j", (level, reasons) => {
    expect(phases.map((phase) => responseTo(level as AttemptLevelName, phase))).toEqual(reasons);
  });
});

describe("a refusal", () => {
  it.each([
    ["SESSION_SUPERSEDED", "end_worker"],
    ["PROTOCOL_UNSUPPORTED", "end_worker"],
    ["POOL_PROFILE_MISMATCH", "end_worker"],
    ["POOL_UNKNOWN", "end_worker"],
    ["SESSION_ENDED", "new_session"],
    ["SEQUENCE_STALE", "new_session"],
    ["EPOCH_MISMATCH", "new_session_and_epoch"],
    ["DATABASE_UNAVAILABLE", "retry"],
  ])("with %s means %s", (code, response) => {
    expect(responseToRefusal(code)).toBe(response);
    expect(isErrorCode(code) ? errorTable[code].remedy : "").not.toBe("");
  });

  it("with a code of a newer coordinator is tried again", () => {
    expect(responseToRefusal("NEVER_HEARD_OF")).toBe("retry");
  });
});

describe("the next turn", () => {
  const idle: TurnFacts = {
    nowMs: 0,
    opened: true,
    draining: false,
    leaving: false,
    runtimeReady: true,
    slotFree: true,
    finishing: 0,
    askWanted: false,
    pollDueAtMs: 100,
    aheadDueAtMs: undefined,
    waitingReports: 0,
  };

  const ask = { kind: "next", freeSlots: 1, aheadSlots: 0, leaving: false } as const;
  const askAhead = { ...ask, freeSlots: 0, aheadSlots: 1 } as const;
  const sayOnly = { ...ask, freeSlots: 0 } as const;

  it.each([
    ["waits for the poll when there is nothing to say", {}, { kind: "wait", untilMs: 100 }],
    ["asks when the poll is due", { nowMs: 100 }, ask],
    ["asks when woken", { askWanted: true }, ask],
    ["lets reports ride on a next when the slot is free", { waitingReports: 1 }, ask],
    ["reports alone while it computes", { waitingReports: 1, slotFree: false, askWanted: true }, { kind: "report" }],
    ["reports alone while it drains", { waitingReports: 1, draining: true }, { kind: "report" }],
    ["opens a session before it reports", { waitingReports: 1, slotFree: false, opened: false }, sayOnly],
    ["asks for nothing while two finish", { finishing: 2, askWanted: true }, { kind: "wait", untilMs: undefined }],
    ["asks for nothing while the runtime is down", { runtimeReady: false, askWanted: true }, { kind: "wait", untilMs: undefined }],
    ["says a last word", { leaving: true, draining: true }, { ...sayOnly, leaving: true }],
    ["waits while it computes until a reservation is due", { slotFree: false, aheadDueAtMs: 50 }, { kind: "wait", untilMs: 50 }],
    ["asks ahead when it is due, poll or not", { slotFree: false, aheadDueAtMs: -1, pollDueAtMs: 0 }, askAhead],
    ["lets reports ride on an ask ahead", { slotFree: false, aheadDueAtMs: 0, waitingReports: 1 }, askAhead],
    ["asks ahead for nothing while it drains", { slotFree: false, aheadDueAtMs: 0, draining: true }, { kind: "wait", untilMs: undefined }],
    ["asks ahead for nothing while the runtime is down", { slotFree: false, aheadDueAtMs: 0, runtimeReady: false }, { kind: "wait" }],
  ] as const)("%s", (_, facts, turn) => {
    expect(chooseTurn({ ...idle, ...facts })).toMatchObject(turn);
  });
});

describe("asking ahead", () => {
  const steady = { meanMs: 100, deviationMs: 5 };

  it("is due when what is left is what asking and fetching surely take", () => {
    expect(askAheadAtMs({ nowMs: 1_000, leftMs: 5_000, ask: steady, fetch: { meanMs: 700, deviationMs: 20 } })).toBe(5_100);
    expect(askAheadAtMs({ nowMs: 1_000, leftMs: 0, ask: steady, fetch: steady })).toBeLessThan(1_000);
    const none = { meanMs: 0, deviationMs: 0 };
    expect(askAheadAtMs({ nowMs: 1_000, leftMs: 5_000, ask: none, fetch: none })).toBe(5_900);
  });

  it("waits while nobody knows how long the run takes", () => {
    expect(askAheadAtMs({ nowMs: 1_000, leftMs: undefined, ask: steady, fetch: steady })).toBeUndefined();
  });

  it("is early enough for all but the rarest of the times that were measured", () => {
    const times = fc.array(fc.double({ min: 80, max: 120, noNaN: true }), { minLength: 30, maxLength: 100 });
    fc.assert(
      fc.property(times, (measured) => {
        const estimate = measured.reduce<Estimate | undefined>(withSample, undefined);
        expect(surelyMs(estimate)).toBeGreaterThanOrEqual(measured.at(-1) ?? 0);
        expect(surelyMs(estimate)).toBeLessThan(400);
      }),
    );
  });

  it("forgets a single slow case", () => {
    const slow = [10, 10, 10, 2_000].reduce<Estimate | undefined>(withSample, undefined);
    const later = Array.from({ length: 40 }, () => 10).reduce<Estimate | undefined>(withSample, slow);
    expect(surelyMs(slow)).toBeGreaterThan(1_000);
    expect(surelyMs(later)).toBeLessThan(40);
  });
});

describe("the idle gap", () => {
  it("is counted between two computes, unless there was nothing to do between them", () => {
    const gaps: number[] = [];
    const gap = createIdleGap((ms) => gaps.push(ms));
    gap.computeStarted(undefined);
    gap.computeStarted(3);
    gap.nothingToDo();
    gap.computeStarted(5_000);
    gap.computeStarted(4);
    expect(gaps).toEqual([3, 4]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assumedCostMs,
  type CheckpointPace,
  hasCheckpoints,
  isCheckpointDue,
  type KeptPoint,
} from "../../../services/domain/vap/checkpoint-pace.ts";

const pace: CheckpointPace = { everySteps: 5, everyMs: 30_000, mostShare: 0.01 };
const kept: KeptPoint = { step: 10, atMs: 1_000, costMs: 10 };

describe("a checkpoint", () => {
  it.each([
    { what: "after every k steps", change: {}, step: 15, nowMs: 3_000, due: true },
    { what: "not before k steps", change: {}, step: 14, nowMs: 3_000, due: false },
    { what: "after s seconds, however few the steps", change: {}, step: 11, nowMs: 31_000, due: true },
    { what: "not without a step, however long it took", change: {}, step: 10, nowMs: 900_000, due: false },
    { what: "not within 100 times what the last one cost", change: {}, step: 30, nowMs: 1_999, due: false },
    { what: "as soon as 100 times that have passed", change: {}, step: 30, nowMs: 2_000, due: true },
    { what: "by steps alone", change: { everyMs: 0 }, step: 14, nowMs: 900_000, due: false },
    { what: "by time alone", change: { everySteps: 0 }, step: 99, nowMs: 30_999, due: false },
    { what: "at any cost where no share is set", change: { mostShare: 0 }, step: 15, nowMs: 1_001, due: true },
    { what: "never when both are off", change: { everySteps: 0, everyMs: 0 }, step: 99, nowMs: 900_000, due: false },
  ])("is due $what", ({ change, step, nowMs, due }) => {
    expect(isCheckpointDue({ ...pace, ...change }, kept, { step, nowMs })).toBe(due);
  });

  it("is off only when neither steps nor time ask for it", () => {
    expect([5, 0].flatMap((everySteps) => [30, 0].map((everyMs) => hasCheckpoints({ ...pace, everySteps, everyMs })))).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe("all checkpoints of a run", () => {
  it("take less than 1 % of its time, whatever a step and a checkpoint of it take", () => {
    const times = fc.record({ stepMs: fc.double({ min: 0.1, max: 20_000, noNaN: true }), bytes: fc.nat(40_000_000), steps: fc.nat(400) });
    fc.assert(
      fc.property(times, ({ stepMs, bytes, steps }) => {
        const costMs = assumedCostMs(bytes);
        let [nowMs, spentMs] = [0, 0];
        let last: KeptPoint = { step: 0, atMs: 0, costMs };
        for (let step = 1; step <= steps; step += 1) {
          nowMs += stepMs;
          if (!isCheckpointDue(pace, last, { step, nowMs })) continue;
          nowMs += costMs;
          spentMs += costMs;
          last = { step, atMs: nowMs, costMs };
        }
        expect(spentMs).toBeLessThanOrEqual(nowMs / 100);
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { webhookWaitMs, webhookWaitsMs } from "../../../services/domain/webhook-schedule.ts";

describe("the schedule of webhooks", () => {
  it("waits longer each time, and ends", () => {
    expect(webhookWaitsMs.map((_waitMs, index) => webhookWaitMs(index + 1, 0.5))).toEqual([
      5_000, 30_000, 120_000, 600_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
    ]);
    expect(webhookWaitMs(webhookWaitsMs.length + 1, 0.5)).toBeUndefined();
  });

  it("draws each wait within a tenth either way", () => {
    const tries = fc.integer({ min: 1, max: webhookWaitsMs.length });
    fc.assert(
      fc.property(tries, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failed, draw) => {
        const middleMs = webhookWaitMs(failed, 0.5) ?? 0;
        const waitMs = webhookWaitMs(failed, draw) ?? 0;
        expect(Math.abs(waitMs - middleMs)).toBeLessThanOrEqual(middleMs / 10 + 1);
      }),
    );
  });
});

import { describe, expect, it } from "vitest";
import type { ScalingRule } from "../../../services/domain/scaling.ts";
import { type DayFigures, type DayOptions, liveDay } from "../../support/scaling/day.ts";

const rule: ScalingRule = {
  min: 0,
  max: 60,
  targetWaitMs: 120_000,
  downAfterMs: 300_000,
  idleMs: 600_000,
  loadMs: 120_000,
  probeMs: 3_600_000,
};
const hour = 3_600;
/** Nothing at night, the most in the afternoon. */
const rate = (second: number): number => 0.6 * Math.max(0, Math.sin((Math.PI * (second / hour - 6)) / 18));
const day: Omit<DayOptions, "seed"> = {
  rule,
  rate: (second) => (second < 6 * hour ? 0 : rate(second)),
  bursts: [
    { second: 11 * hour, tasks: 500 },
    { second: 20 * hour, tasks: 200 },
  ],
  meanTaskS: 30,
  loadS: [60, 150],
  spotHours: 6,
};
/** Twice the load time, which is longer than the target. */
const horizonS = 2 * 127.5;

function print(name: string, { tasks, waitS, gpuHours, busyHours, changes, reversals, most, lost }: DayFigures): void {
  const waits = `waits p50 ${waitS.p50} s, p95 ${waitS.p95} s, most ${waitS.most} s`;
  const fleet = `${gpuHours.toFixed(0)} GPU hours of ${busyHours.toFixed(0)} needed, at most ${most} workers`;
  process.stdout.write(
    `${name}: ${tasks} tasks, ${waits}; ${fleet}, ${changes} changes, ${reversals} taken back, ${lost} nodes reclaimed\n`,
  );
}

describe.each([1, 2, 3])("a day of load, bursts and reclaimed nodes (seed %i)", (seed) => {
  const scaled = liveDay({ ...day, seed });
  print(`scaled, seed ${seed}`, scaled);

  it("is waited for no longer than a worker that is worth its start takes, and half of it less than the target", () => {
    expect(scaled.waitS.p95).toBeLessThan(horizonS);
    expect(scaled.waitS.p50).toBeLessThan(rule.targetWaitMs / 1000);
    expect(scaled.waitS.most).toBeLessThan(2 * horizonS);
  });

  it("costs little more than its tasks compute, and less than half of a fleet that waits all day for as little", () => {
    expect(scaled.gpuHours).toBeLessThan(1.15 * scaled.busyHours);
    const fixed = liveDay({ ...day, seed, fixed: 22 });
    print(`fixed at 22, seed ${seed}`, fixed);
    expect(fixed.waitS.p95).toBeGreaterThan(scaled.waitS.p95 / 2);
    expect(scaled.gpuHours).toBeLessThan(fixed.gpuHours / 2);
  });

  it("does not flap, and never takes a worker that runs something", () => {
    expect(scaled.changes).toBeLessThan(150);
    expect(scaled.reversals).toBeLessThan(5);
    expect(scaled.interrupted).toBe(0);
    expect(scaled.lost).toBeGreaterThan(10);
  });
});

describe("a day with workers that start at once", () => {
  const scaled = liveDay({ ...day, seed: 7, loadS: [5, 15], rule: { ...rule, targetWaitMs: 60_000, loadMs: 10_000 } });
  print("quick starts", scaled);

  it("is waited for about as long as the target says", () => {
    expect(scaled.waitS.p95).toBeLessThan(66);
  });
});

describe("a steady load", () => {
  const steady = liveDay({ ...day, seed: 5, rate: () => 0.4, bursts: [] });
  print("steady", steady);

  it("leaves the pool as it is, but for what chance brings", () => {
    expect(steady.changes).toBeLessThan(100);
    expect(steady.steadyWaitS.p95).toBeLessThan(horizonS);
    expect(steady.gpuHours).toBeLessThan(1.2 * steady.busyHours);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideExpansion, type ExpandingPool, filledBy, type WaitingLine } from "../../../services/domain/expansion.ts";

const line = (jobId: string, change: Partial<WaitingLine> = {}): WaitingLine => ({
  jobId,
  tenant: "a",
  jobClass: "production",
  priority: 0,
  createdAt: 1,
  renders: 1,
  ...change,
});
const pool = (lines: readonly WaitingLine[], open: ExpandingPool["open"] = []): ExpandingPool => ({ pool: "p", open, lines });
const chosen = (lines: readonly WaitingLine[], open: ExpandingPool["open"], most: number) =>
  decideExpansion([pool(lines, open)], 1_000, most).map(({ jobId, renders }) => [jobId, renders]);

describe("what is expanded next", () => {
  it("is of the better class, then of the higher priority, then of the older job", () => {
    const full = [{ tenant: "x", jobClass: "production" as const, renders: 200 }, { tenant: "x", jobClass: "benchmark" as const, renders: 200 }]; // prettier-ignore
    const lines = [
      line("benchmark", { jobClass: "benchmark", priority: 9 }),
      line("young", { createdAt: 3 }),
      line("urgent", { priority: 1, createdAt: 5 }),
      line("old", { createdAt: 2 }),
    ];
    expect(chosen(lines, full, 9).map(([jobId]) => jobId)).toEqual(["urgent", "old", "young", "benchmark"]);
    expect(chosen(lines, full, 2)).toEqual([
      ["urgent", 1],
      ["old", 1],
    ]);
  });

  it("is shared between tenants, whatever one of them brings", () => {
    const lines = [line("first", { renders: 100_000 }), line("second", { tenant: "b", createdAt: 2, renders: 50 })];
    expect(chosen(lines, [{ tenant: "a", jobClass: "production", renders: 10 }], 30)).toEqual([
      ["second", 20],
      ["first", 10],
    ]);
  });

  it("is of a class that waits and has less than its part, so that none starves", () => {
    const open = [{ tenant: "a", jobClass: "production" as const, renders: 500 }];
    const lines = [line("production", { renders: 900 }), line("benchmark", { jobClass: "benchmark", renders: 900, createdAt: 9 })];
    expect(chosen(lines, open, 200)).toEqual([
      ["benchmark", 125],
      ["production", 75],
    ]);
  });

  it("leaves a part of the window to submits, and uses a window of one", () => {
    expect([1, 2, 7, 8, 40, 1_000].map(filledBy)).toEqual([1, 2, 7, 7, 35, 875]);
    expect(decideExpansion([pool([line("one", { renders: 9 })])], 8, 99)).toEqual([{ jobId: "one", pool: "p", renders: 7 }]);
  });

  it("never is more than the room, nor more than waits, and leaves no room that someone waits for", () => {
    const lines = fc.array(
      fc.record({
        tenant: fc.constantFrom("a", "b", "c"),
        jobClass: fc.constantFrom("production" as const, "benchmark" as const),
        priority: fc.integer({ min: -2, max: 2 }),
        createdAt: fc.nat(5),
        renders: fc.integer({ min: 1, max: 20 }),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(
        lines,
        fc.nat(40),
        fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60 })),
        (drawn, open, [window, most]) => {
          const named = drawn.map((each, index): WaitingLine => ({ ...each, jobId: `job ${index}` }));
          const decided = decideExpansion([pool(named, [{ tenant: "a", jobClass: "production", renders: open }])], window, most);
          const taken = decided.reduce((sum, { renders }) => sum + renders, 0);
          const waits = named.reduce((sum, { renders }) => sum + renders, 0);
          expect(taken).toBe(Math.min(most, waits, Math.max(0, filledBy(window) - open)));
          for (const { jobId, renders } of decided)
            expect(renders).toBeLessThanOrEqual(named.find((each) => each.jobId === jobId)?.renders ?? 0);
          expect(new Set(decided.map(({ jobId }) => jobId)).size).toBe(decided.length);
        },
      ),
    );
  });
});

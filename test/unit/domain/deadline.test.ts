import fc from "fast-check";
import { expect, it } from "vitest";
import { type DeadlineFacts, deadlineMessage, judgeDeadline } from "../../../services/domain/deadline.ts";

const facts: DeadlineFacts = { told: "nothing", leftMs: 60_000, longestMs: 10_000, openRenders: 1, workers: 2 };

it.each<[string, Partial<DeadlineFacts>, ReturnType<typeof judgeDeadline>]>([
  ["in time", {}, undefined],
  ["at risk when the longest render takes longer than what is left", { longestMs: 60_001 }, "at_risk"],
  ["at risk when all renders together take longer on the workers that there are", { openRenders: 13 }, "at_risk"],
  ["in time with as much work and more workers", { openRenders: 13, workers: 13 }, undefined],
  ["told of its risk once", { longestMs: 60_001, told: "at_risk" }, undefined],
  ["missed after it, whatever was told before", { leftMs: 0, told: "at_risk" }, "missed"],
  ["told once that it was missed", { leftMs: -5, told: "missed" }, undefined],
])("a deadline is %s", (_what, change, expected) => {
  expect(judgeDeadline({ ...facts, ...change })).toBe(expected);
});

it("what is told says how much is left of time and of work", () => {
  expect(deadlineMessage("at_risk", { ...facts, openRenders: 13 })).toBe("60 s are left, 13 renders are open and at least 65 s of work");
  expect(deadlineMessage("missed", facts)).toBe("the deadline is over, 1 render is open");
});

it("told again and again, each thing is said at most once, and missing comes last", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5, max: 100 })), fc.nat(100), (lefts, longestMs) => {
      const said: string[] = [];
      let told: DeadlineFacts["told"] = "nothing";
      for (const leftMs of lefts) {
        const what = judgeDeadline({ ...facts, leftMs, longestMs, told });
        if (what === undefined) continue;
        said.push(what);
        told = what;
      }
      expect(["", "at_risk", "missed", "at_risk,missed"]).toContain(said.join(","));
    }),
  );
});

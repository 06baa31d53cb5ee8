import { describe, expect, it } from "vitest";
import { ageText, parseSpan, parseTime, spanText, timeTexts } from "../../../services/cli/ages.ts";
import { FarmError } from "../../../services/domain/errors.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const now = new Date("2026-05-01T12:00:00Z");

describe("a length of time", () => {
  it.each([
    [0, "0s"],
    [59.4 * second, "59s"],
    [59.6 * second, "1m"],
    [3 * minute + 12 * second, "3m12s"],
    [12 * minute + 30 * second, "12m"],
    [5 * hour, "5h"],
    [2 * hour + 5 * minute, "2h5m"],
    [2 * day + 3 * hour, "2d3h"],
    [40 * day, "40d"],
    [-5, "0s"],
  ])("of %f ms is %s", (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });

  it.each([
    ["90s", 90 * second],
    ["5m", 5 * minute],
    ["1h30m", 90 * minute],
    ["7d", 7 * day],
    ["250ms", 250],
    ["1.5h", 90 * minute],
    ["2w", 14 * day],
  ])("is read from %s", (text, ms) => {
    expect(parseSpan("--x", text)).toBe(ms);
  });

  it.each(["", "5", "m", "5 m", "-5m", "5mx", "x5m"])("is not read from '%s'", (text) => {
    expect(() => parseSpan("--x", text)).toThrow(FarmError);
  });
});

describe("a time", () => {
  it("is an age on a terminal and ISO elsewhere", () => {
    expect([
      ageText(new Date(now.getTime() - 3 * minute), now),
      ageText(new Date(now.getTime() + hour), now),
      ageText(undefined, now),
    ]).toEqual(["3m ago", "in 1h", ""]);
    expect([timeTexts(true, now)(now), timeTexts(false, now)(now), timeTexts(false, now)(undefined)]).toEqual([
      "0s ago",
      now.toISOString(),
      "",
    ]);
  });

  it("is read as ISO, or from how far away it is", () => {
    expect(parseTime("--x", "2026-01-31T18:00:00Z", { now, sign: -1 }).toISOString()).toBe("2026-01-31T18:00:00.000Z");
    expect(parseTime("--x", "2h", { now, sign: -1 }).toISOString()).toBe("2026-05-01T10:00:00.000Z");
    expect(parseTime("--x", "2h", { now, sign: 1 }).toISOString()).toBe("2026-05-01T14:00:00.000Z");
  });

  it.each(["yesterday", "2026-99-99", "2026", "5", "99999999d"])("is not read from %s", (text) => {
    expect(() => parseTime("--x", text, { now, sign: 1 })).toThrow(FarmError);
  });
});

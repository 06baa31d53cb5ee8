import { describe, expect, it } from "vitest";
import { linkTo } from "../../../services/coordinator/pages/page.ts";
import { safeNext } from "../../../services/coordinator/pages/sign-in.ts";
import { relativeLink } from "../../../services/coordinator/pages/media-part.ts";
import { columnsOf } from "../../../services/coordinator/pages/stage-graph-view.ts";
import { ageOf, byteSize, duration, excerpt, valuesOf } from "../../../services/coordinator/pages/words.ts";
import { JobState, TaskSummary } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { jobStateWord } from "../../../services/platform/words.ts";

describe("words", () => {
  it.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [9_960, "10 s"],
    [60_000, "1 min"],
    [61_000, "1 min 1 s"],
    [3_600_000, "1 h"],
    [90_000_000, "1 d 1 h"],
    [-1, "–"],
    [Number.NaN, "–"],
  ])("a duration of %d ms is %s", (ms, words) => {
    expect(duration(ms)).toBe(words);
  });

  it.each([
    [0n, "0 bytes"],
    [1_023n, "1023 bytes"],
    [1_024n, "1.0 KiB"],
    [85_899_345_920n, "80.0 GiB"],
  ])("%d bytes are %s", (bytes, words) => {
    expect(byteSize(bytes)).toBe(words);
  });

  it("an age is told about, before and ahead", () => {
    const now = new Date("2026-01-01T00:00:00Z");
    const shown = [-7_200_000, 0, 400_000].map((ms) =>
      ageOf(new Date(now.getTime() - ms), now)
        .toString()
        .replace(/<[^>]*>/g, ""),
    );
    expect(shown).toEqual(["in 2 h", "just now", "6 min ago"]);
    expect(ageOf(undefined, now).toString()).toContain("–");
  });

  it("an excerpt is one line and never half a character", () => {
    expect(excerpt(" a\n b\t c ", 10)).toBe("a b c");
    expect(excerpt("😀😀😀😀", 3)).toBe("😀😀…");
  });

  it("a state of another release is unknown, not an error", () => {
    expect([JobState.JOB_STATE_QUEUED, 0, 77, -1].map(jobStateWord)).toEqual(["queued", "unknown", "unknown", "unknown"]);
    expect(valuesOf(JobState)).toEqual([1, 2, 3, 4, 5]);
  });
});

describe("links", () => {
  it("are relative, encoded, and without what is empty", () => {
    expect(linkTo("", [])).toBe("./");
    expect(linkTo("../../", ["jobs", "a/b?c"], { state: ["x", ""], page: undefined })).toBe("../../jobs/a%2Fb%3Fc?state=x");
  });

  it.each([
    ["jobs?a=1", "jobs?a=1"],
    ["//evil.example/x", ""],
    ["/evil.example", ""],
    ["\\evil.example", ""],
    ["../../jobs", "jobs"],
    ["", ""],
  ])("after a sign-in %s leads to %s", (text, next) => {
    expect(safeNext(text)).toBe(next);
  });

  it("to artifacts of this coordinator get the page's own origin, others stay", () => {
    expect(relativeLink("http://127.0.0.1:8/a/x/0/mp4?s=1", "../")).toBe("../a/x/0/mp4?s=1&via=farm");
    expect(relativeLink("https://bucket.example/key", "../")).toBe("https://bucket.example/key");
  });
});

describe("the graph's columns", () => {
  const task = (taskId: bigint, dependsOn: readonly bigint[]) => TaskSummary.create({ taskId, dependsOn: [...dependsOn] });
  const ids = (tasks: readonly TaskSummary[]) => columnsOf(tasks).map((column) => column.map(({ taskId }) => taskId));

  it("put each task right before what needs it", () => {
    expect(ids([task(1n, []), task(2n, []), task(3n, [1n]), task(4n, [2n, 3n])])).toEqual([[1n], [3n, 2n], [4n]]);
  });

  it("leave out dependencies that are unknown or go round in a circle", () => {
    expect(ids([task(1n, [9n])])).toEqual([[1n]]);
    expect(
      ids([task(1n, [2n]), task(2n, [1n])])
        .flat()
        .toSorted(),
    ).toEqual([1n, 2n]);
    expect(ids([task(1n, [1n])])).toEqual([[1n]]);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCsv } from "../../../../services/cli/bench/csv.ts";
import { reportCsv } from "../../../../services/cli/bench/report/csv-lines.ts";
import { shapeMismatches } from "../../../../services/cli/bench/report/clip-shape.ts";
import { buildReport, type ReportInput, type ReportModel } from "../../../../services/cli/bench/report/model.ts";
import { reportPage } from "../../../../services/cli/bench/report/page.ts";
import { reportText } from "../../../../services/cli/bench/report/text.ts";
import { plain } from "../../../../services/cli/colour.ts";
import { metricNames } from "../../../../services/domain/vbench/metric.ts";
import { RunItem, SuiteRow } from "../../../../services/gen/proto/vapfarm/v1/bench.ts";
import { benchPreference, benchWorld, type RunShape } from "../../../support/bench-world.ts";

function reportOf(input: Partial<ReportInput> = {}, change: Partial<RunShape> = {}): ReportModel {
  const world = benchWorld(change);
  return buildReport(world.run, { source: world, ...input });
}

function against(change: Partial<RunShape>, ours: Partial<RunShape> = {}): NonNullable<ReportModel["comparison"]> {
  const { comparison } = reportOf({ compared: { kind: "run", source: benchWorld({ runId: "other", label: "other", ...change }) } }, ours);
  if (comparison === undefined) throw new TypeError("there is no comparison");
  return comparison;
}

const text = (report: ReportModel): string => reportText(report, { width: undefined, paint: plain });

describe("a report", () => {
  it("has our row below the paper's, in per cent, with gaps for what was not measured", () => {
    const { paperTable, metrics } = reportOf({ preference: benchPreference });
    const own = paperTable.rows.at(-1);
    expect(paperTable.columns).toHaveLength(6);
    expect(paperTable.rows.at(-2)).toEqual({ method: "Video-As-Prompt", isOurs: false, values: [24.13, 98.59, 77.08, 57.71, 70.44, 38.7] });
    expect(own).toMatchObject({ isOurs: true, method: "VAP-Wan, 20 steps" });
    expect(own?.values[4]).toBeNull();
    expect(own?.values[5]).toBe(41.25);
    expect(own?.values[1]).toBeCloseTo((metrics.find(({ metric }) => metric === "motion_smoothness")?.value ?? 0) * 100, 10);
  });

  it("counts clips and tells why each of the others has no value", () => {
    const dynamic = reportOf().metrics.find(({ metric }) => metric === "dynamic_degree");
    expect(dynamic).toMatchObject({ count: 45, missing: 3 });
    expect(dynamic?.reasons).toEqual([
      { status: "no clip", reason: "the render failed in prepare: MEDIA_TRUNCATED", count: 2 },
      { status: "nan", reason: "the flow network gives no number for frames of 64x48", count: 1 },
    ]);
  });

  it("keeps imaging quality on both of its scales", () => {
    const { metrics, clips } = reportOf();
    expect(metrics.find(({ metric }) => metric === "imaging_quality")?.value).toBeLessThan(1);
    expect(clips[0]?.scores.imaging_quality?.value).toBeGreaterThan(10);
  });

  it("says that totals with missing dimensions are none of VBench's", () => {
    expect(text(reportOf())).toContain("not VBench's totals: 8 dimensions were not measured");
  });

  it("warns of random weights before any number", () => {
    const world = benchWorld();
    const report = buildReport({ ...world.run, hasTrainedWeights: false, hasTrainedMetrics: false }, { source: world });
    expect(report.warnings.slice(0, 2)).toEqual([
      expect.stringMatching(/^RANDOM WEIGHTS/),
      expect.stringMatching(/^RANDOM METRIC NETWORKS/),
    ]);
    expect(text(report).indexOf("RANDOM WEIGHTS")).toBeLessThan(text(report).indexOf("The paper's table"));
  });

  it("says of renders that failed that what was scored of them before counts", () => {
    expect(reportOf().warnings).toEqual([
      "2 of 48 renders failed: the values are of the others, and of what was scored of these before they failed",
    ]);
  });

  it("says when clips are so long that VBench's leaderboard would have split them", () => {
    const warning = "46 of 46 clips last 5 s or more";
    const report = reportOf({}, { fps: 8 });
    expect(report.warnings.at(-1)).toContain(warning);
    expect(text(report)).toContain(warning);
    expect(reportPage(report, new Map())).toContain(warning);
    expect(reportOf({}, { fps: 10 }).warnings.join()).not.toContain("5 s or more");
  });

  it("is the same each time it is made", () => {
    expect(text(reportOf())).toBe(text(reportOf()));
  });

  it("stands for a run of which nothing has ended", () => {
    const world = benchWorld();
    const items = [RunItem.create({ state: "queued", row: SuiteRow.create({ caption: "x" }) })];
    const report = buildReport(
      { ...world.run, succeededCount: 0, failedCount: 0 },
      { source: { answer: { ...world.answer, setScores: [] }, items } },
    );
    expect(report.warnings).toContain("the run has not ended: 48 of 48 renders are open");
    expect(report.metrics.every(({ value, count }) => value === undefined && count === 0)).toBe(true);
    expect(reportPage(report, new Map())).toContain("</html>");
  });
});

describe("seconds per stage", () => {
  it("are of what was computed, what was reused apart", () => {
    const { stages } = reportOf();
    const encode = stages.find(({ stage }) => stage === "text_encode");
    expect((encode?.computed ?? 0) + (encode?.reused ?? 0)).toBe(46);
    expect(encode?.reused).toBeGreaterThan(0);
    expect(stages.map(({ stage }) => stage)).toEqual([
      ...["prepare", "text_encode", "vae_encode", "denoise", "vae_decode"],
      ...["score/temporal_flickering", "score/subject_consistency", "score/motion_smoothness", "score/dynamic_degree"],
    ]);
  });
});

describe("a comparison", () => {
  it("pairs the same rows and seeds, and counts those without a value on both sides", () => {
    const { pairedClips, metrics } = against({ failed: [3] });
    expect(pairedClips).toBe(48);
    // 7 and 30 failed here, 3 there.
    expect(metrics.find(({ metric }) => metric === "motion_smoothness")?.pairs).toBe(45);
  });

  it("finds no difference between a run and itself", () => {
    const { metrics, drops } = against({ runId: "0199a3f2-7c1e-7000-8000-00000000a001" });
    expect(metrics.every(({ difference, low, high }) => difference === 0 && low === 0 && high === 0)).toBe(true);
    expect(drops).toEqual([]);
  });

  it("tells a shift with an interval around it", () => {
    const difference = against({ shift: -1 }).metrics.find(({ metric }) => metric === "clip_score");
    expect(difference?.difference).toBeGreaterThan(0);
    expect(difference?.low).toBeLessThan(difference?.difference ?? 0);
    expect(difference?.high).toBeGreaterThan(difference?.difference ?? 0);
    expect(difference?.low).toBeGreaterThan(0);
  });

  it("lists the clips that lost the most, the worst first", () => {
    const clips = against({ shift: 1 }).drops.find(({ metric }) => metric === "clip_score")?.clips ?? [];
    expect(clips).toHaveLength(5);
    expect(clips.map(({ difference }) => difference)).toEqual(
      clips.map(({ difference }) => difference).sort((left, right) => left - right),
    );
  });

  it("refuses to subtract numbers of different arithmetic", () => {
    const { metrics, warnings, drops } = against({ metricVersion: 2 });
    expect(metrics.every(({ difference }) => difference === undefined)).toBe(true);
    expect(metrics[0]?.reason).toContain("not comparable: version 1 bt601 here, version 2 bt601 there");
    expect(warnings.some((warning) => warning.includes("not comparable"))).toBe(true);
    expect(drops).toEqual([]);
  });

  it("warns of other settings, and not of another model", () => {
    expect(against({ steps: 10 }).warnings).toEqual(["the runs have different denoise steps: 20 here, 10 there"]);
    expect(against({ model: "other-model" }).warnings).toEqual([]);
  });

  it("subtracts clips of another frame rate, and warns of how many there are", () => {
    const { mismatches, warnings, metrics } = against({ fps: 8 });
    expect(mismatches).toEqual([{ what: "frame rate", pairs: 46, ours: "16 fps", theirs: "8 fps" }]);
    expect(warnings[0]).toContain("CLIPS DIFFER IN THEIR FRAME RATE: 46 of 48 pairs (the first 16 fps here, 8 fps there)");
    expect(metrics.find(({ metric }) => metric === "dynamic_degree")?.difference).toBeDefined();
    expect(against({ failed: [3] }).mismatches).toEqual([]);
  });

  it("warns of clips with other frames and of another size apart", () => {
    const shape = { fps: 16, frames: 49, width: 720, height: 480 };
    const pairs = [
      { ours: shape, theirs: shape },
      { ours: shape, theirs: { ...shape, frames: 48 } },
      { ours: shape, theirs: { ...shape, frames: 48, height: 720 } },
      { ours: shape, theirs: undefined },
    ];
    expect(shapeMismatches(pairs)).toEqual([
      { what: "number of frames", pairs: 2, ours: "49 frames", theirs: "48 frames" },
      { what: "size", pairs: 1, ours: "720x480", theirs: "720x720" },
    ]);
  });

  it("pairs a file from elsewhere by the names of clips, and says that nothing else of it is known", () => {
    const clips = [
      { key: "0000_ghibli-0000-0", values: { motion_smoothness: 0.5 } },
      { key: "unknown", values: {} },
    ];
    const { comparison } = reportOf({ compared: { kind: "imported", name: "kling", clips } });
    expect(comparison).toMatchObject({ pairedClips: 1, unpairedOurs: 47, unpairedTheirs: 1 });
    expect(comparison?.warnings[0]).toContain("not known");
    const smooth = comparison?.metrics.find(({ metric }) => metric === "motion_smoothness");
    expect(smooth).toMatchObject({ pairs: 1, theirs: 0.5, reason: "one value has no interval" });
  });
});

describe("the CSV of a report", () => {
  it("has one line for each row and metric, values whole and reasons where there is none", () => {
    const report = reportOf();
    const [header, ...lines] = readCsv(reportCsv(report)).records.map(({ cells }) => cells.map((cell) => cell.text));
    expect(lines).toHaveLength(48 * metricNames.length);
    const at = (line: readonly string[] | undefined, name: string): string | undefined => line?.[header?.indexOf(name) ?? -1];
    const nan = lines.find((line) => at(line, "metric") === "dynamic_degree" && at(line, "row") === "5");
    expect([at(nan, "status"), at(nan, "value"), at(nan, "vbench_value")]).toEqual(["nan", "", "0"]);
    const first = lines[0];
    expect(Number(at(first, "value"))).toBe(report.clips[0]?.scores.temporal_flickering?.value);
    expect(lines.filter((line) => at(line, "caption") === report.clips[3]?.caption)).not.toHaveLength(0);
  });
});

describe("the page of a report", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("</script><script>x()</script>", '"><img src=x onerror=x()>', "<!--", "]]>", "${x}", "</style>", "&quot;"),
  );

  it("holds whatever was written as text, never as markup", () => {
    const world = benchWorld({ rows: 2, failed: [1] });
    const bare = reportPage(buildReport(world.run, { source: world }), new Map([[0, {}]]));
    const tags = (page: string): readonly string[] => page.match(/<[a-zA-Z/!][^\s>]*/g) ?? [];
    fc.assert(
      fc.property(hostile, (words) => {
        const items = world.items.map((item) => ({
          ...item,
          failureMessage: item.failureMessage === "" ? "" : words,
          row: SuiteRow.create({ ...item.row, caption: words, kind: words === "" ? "k" : words, referenceCaptions: [words] }),
        }));
        const page = reportPage(buildReport({ ...world.run, suiteName: words }, { source: { ...world, items } }), new Map([[0, {}]]));
        expect(tags(page)).toEqual(tags(bare));
      }),
      { numRuns: 40 },
    );
  });

  it("asks for nothing from anywhere", () => {
    const page = reportPage(reportOf(), new Map());
    expect(page).not.toMatch(/(src|href)="(?!#|data:)/);
    expect(page).not.toMatch(/url\(|@import|https?:/);
  });
});

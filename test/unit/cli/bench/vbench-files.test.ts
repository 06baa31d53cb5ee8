import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changesOf } from "../../../../services/cli/bench/choose-suite.ts";
import { clipName } from "../../../../services/cli/bench/clip-names.ts";
import { importedClips } from "../../../../services/cli/bench/read-run.ts";
import { readVotes } from "../../../../services/cli/bench/read-votes.ts";
import { vbenchFiles } from "../../../../services/cli/bench/vbench-files.ts";
import { readEvalResults } from "../../../../services/domain/vbench/eval-results-reader.ts";
import { readFullInfo } from "../../../../services/domain/vbench/full-info.ts";
import { promptOfVideo } from "../../../../services/domain/vbench/video-name.ts";
import { benchRow, benchWorld } from "../../../support/bench-world.ts";

describe("the name of a clip", () => {
  it("loses the number of its seed, and nothing else, where VBench makes a prompt of it", () => {
    const item = fc.record({ position: fc.nat(199_999), targetPath: fc.string({ unit: "binary" }), seedIndex: fc.nat(99) });
    fc.assert(
      fc.property(item, (named) => {
        const name = clipName(named, 6);
        expect(`${promptOfVideo(`clips/${name}.mp4`)}-${named.seedIndex}`).toBe(name);
        expect(name).not.toMatch(/[/\\\0]/);
        expect(name.slice(0, 6)).toBe(String(named.position).padStart(6, "0"));
      }),
    );
  });

  it("has the target's own name in it", () => {
    expect(clipName({ position: 7, targetPath: "vfx/a cat-2024.mp4", seedIndex: 1 }, 3)).toBe("007_a_cat-2024-1");
  });
});

describe("VBench's files of a run", () => {
  const { answer, items } = benchWorld();
  const files = vbenchFiles(answer, items);
  const read = readEvalResults(files.evalResults);

  it("are read without remarks, every dimension of VBench's with its clips", () => {
    expect([read.faults, read.remarks]).toEqual([[], []]);
    expect(read.dimensions.map(({ dimension }) => dimension)).toHaveLength(9);
    expect(read.dimensions.find(({ dimension }) => dimension === "motion_smoothness")?.videos).toHaveLength(46);
  });

  it("have booleans, sums and counts where VBench has them", () => {
    expect(files.evalResults).toMatch(
      /"dynamic_degree": \[\n\s+0\.\d+,\n\s+\[\n\s+\{\n\s+"video_path": "[^"]+",\n\s+"video_results": (true|false)/,
    );
    expect(files.evalResults).toMatch(/"video_sim": \d+\.\d+,\n\s+"cnt_per_video": 48/);
  });

  it("write what VBench would have written of a clip without a score, and count it as VBench would", () => {
    const dynamic = read.dimensions.find(({ dimension }) => dimension === "dynamic_degree");
    expect(dynamic?.videos.find(({ name }) => name.startsWith("0005_"))?.value).toBe(0);
    const values = dynamic?.videos.map(({ value }) => Number(value)) ?? [];
    expect(values).toHaveLength(46);
    expect(dynamic?.setScore).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / 46, 12);
  });

  it("tell what is not in them", () => {
    expect(files.notes).toEqual([
      "aesthetic_quality: 1 of 46 clips have no value that VBench would have written",
      "clip_score is no dimension of VBench's: it is not in the files",
    ]);
  });

  it("have the prompts as they are, whatever is in them", () => {
    const info = readFullInfo(files.fullInfo);
    expect(info.faults).toEqual([]);
    expect(info.entries.map(({ prompt }) => prompt).slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5].map((position) => benchRow(position).caption));
  });

  it("pair with the run that they are of", () => {
    const clips = importedClips(read);
    expect(clips).toHaveLength(46);
    expect(clips[0]?.key).toBe("0000_ghibli-0000-0");
  });
});

describe("what changed since a suite was imported", () => {
  const rows = [0, 1, 2].map(benchRow);

  it("is nothing in the same rows", () => {
    expect(changesOf({ rows }, rows)).toEqual([]);
  });

  it("is named: files once, then rows", () => {
    const [first, second] = [benchRow(0), benchRow(1)];
    const other = { ...first, targetSha256: "ff", seed: 1n };
    expect(changesOf({ rows: [other, { ...second, caption: "new" }] }, rows)).toEqual([
      { field: first.targetPath, reason: "has other bytes than when it was imported" },
      { field: "row 1", reason: "has another caption" },
      { field: "row 2", reason: "is gone" },
    ]);
  });
});

describe("a file of votes", () => {
  const header = "voter,trial,question,methods,choice";

  it("gives votes, methods as a JSON list or with ; between them", () => {
    const { votes, faults } = readVotes(`${header}\nr1,t,Alignment,"[""a"",""b""]",a\nr1,t,quality,a; b,b\n`);
    expect(faults).toEqual([]);
    expect(votes.map(({ question, methods, choice }) => [question, methods, choice])).toEqual([
      ["alignment", ["a", "b"], "a"],
      ["quality", ["a", "b"], "b"],
    ]);
  });

  it("tells every fault at its place", () => {
    const { faults } = readVotes(`${header}\n,t,style,a,tie\nr,t,quality,a;b,a\nr,t,quality,a;b,b\n`);
    expect(faults.map(({ line, column, field }) => [line, column, field])).toEqual([
      [2, 1, "voter"],
      [2, 4, "question"],
      [2, 10, "methods"],
      [2, 12, "choice"],
      [4, 1, "voter"],
    ]);
  });

  it.each(["voter,trial,question,choice\na,b,c,d\n", `${header},voter\n`, header])("is refused as %j", (text) => {
    expect(readVotes(text).faults.length).toBeGreaterThan(0);
  });
});

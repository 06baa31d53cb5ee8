import { describe, expect, it } from "vitest";
import { checkFullInfo } from "../../../../services/cli/bench/full-info-check.ts";
import { readEvalResults } from "../../../../services/domain/vbench/eval-results-reader.ts";
import { readFullInfo } from "../../../../services/domain/vbench/full-info.ts";

const results = readEvalResults(
  JSON.stringify({
    motion_smoothness: [
      0.5,
      [
        { video_path: "here/a.mp4", video_results: 0.5 },
        { video_path: "here/b.mp4", video_results: 0.5 },
      ],
    ],
  }),
);

function checked(...videos: readonly string[]) {
  const entry = { prompt_en: "a cat", dimension: ["motion_smoothness", "dynamic_degree"], video_list: videos };
  return checkFullInfo(readFullInfo(JSON.stringify([entry, entry])), results);
}

describe("a full info file", () => {
  it("fits results of the same videos in whatever folder", () => {
    expect(checked("there/a.mp4", "there/b.mp4")).toEqual({
      prompts: 2,
      dimensions: ["dynamic_degree", "motion_smoothness"],
      videos: 2,
      remarks: [],
    });
  });

  it("tells which videos only one of the two files names, the first of many", () => {
    expect(checked("a.mp4", "1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4", "6.mp4").remarks).toEqual([
      "6 videos of the full info are not in the results: 1.mp4, 2.mp4, 3.mp4, 4.mp4, 5.mp4, …",
      "1 videos of the results are not in the full info: b.mp4",
    ]);
  });

  it("that cannot be read is told of, with every video of the results", () => {
    expect(checkFullInfo(readFullInfo("{"), results).remarks).toEqual([
      expect.stringContaining("$: no JSON"),
      "2 videos of the results are not in the full info: a.mp4, b.mp4",
    ]);
  });
});

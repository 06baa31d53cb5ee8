import { describe, expect, it } from "vitest";
import { missingScoreLines } from "../../../../services/cli/bench/missing-scores.ts";
import { Score, ScoreStatus } from "../../../../services/gen/proto/vapfarm/v1/bench.ts";
import { benchWorld } from "../../../support/bench-world.ts";

describe("scores without a value", () => {
  it("are told by reason, the commonest first, with their metrics; those of renders without a clip too", () => {
    const { items, run } = benchWorld();
    expect(missingScoreLines(items, run.scoreCount)).toEqual([
      "22 of 480 scores have no value:",
      "  20 no clip: the render failed or was cancelled",
      "  1 nan: the flow network gives no number for frames of 64x48 (dynamic_degree)",
      "  1 error: STAGE_FAILED: the runtime ran out of memory (aesthetic_quality)",
    ]);
  });

  it("are told by the first five reasons", () => {
    const scores = Array.from({ length: 8 }, (_, index) =>
      Score.create({ metric: 1, status: ScoreStatus.SCORE_STATUS_ERROR, reason: `reason ${index}` }),
    );
    const lines = missingScoreLines([{ scores }], 8);
    expect(lines).toHaveLength(7);
    expect(lines.at(-1)).toBe("  and 3 more reasons");
  });

  it("are nothing to tell of where there are none", () => {
    const { items, run } = benchWorld({ rows: 4, failed: [] });
    expect(missingScoreLines(items, run.scoreCount)).toEqual([]);
  });
});

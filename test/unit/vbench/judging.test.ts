import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAlignmentAnswer } from "../../../services/domain/vbench/alignment-score.ts";
import { bootstrapMean, pairedDifference } from "../../../services/domain/vbench/bootstrap.ts";
import { askedCameraMotion, cameraMotions, classifyCameraMotion, type TrackPoint } from "../../../services/domain/vbench/camera-motion.ts";
import { checkPaperTable, paperPairs, paperTable } from "../../../services/domain/vbench/paper-table.ts";
import { preferenceShares, type Vote } from "../../../services/domain/vbench/preference.ts";

describe("the alignment judge's answer", () => {
  test.each([
    ['{"score": 73}', 73],
    ['  {"score":1}\n', 1],
    ['{ "score" : 100 }', 100],
  ])("%j is valid", (raw, score) => {
    expect(parseAlignmentAnswer(raw)).toEqual({ isValid: true, score });
  });

  test.each([
    ['{"score": 0}', /1\.\.100/],
    ['{"score": 101}', /1\.\.100/],
    ['{"score": -5}', /1\.\.100/],
    ['{"score": 007}', /1\.\.100/],
    ['{"score": "73"}', /no integer/],
    ['{"score": 73.5}', /no integer/],
    ['{"score": 73.0}', /no integer/],
    ['{"score": 7e1}', /no integer/],
    ['{"score": null}', /no integer/],
    ['{"score": 73}\n{"score": 74}', /more than one line/],
    ['{\n"score": 73\n}', /more than one line/],
    ['The score is {"score": 73}', /exactly/],
    ['```{"score": 73}```', /exactly/],
    ['{"score": 73, "reason": "x"}', /exactly/],
    ['{"score": 73, "score": 74}', /exactly/],
    ["73", /exactly/],
    [" ", /empty/],
  ])("%j is refused", (raw, reason) => {
    expect(parseAlignmentAnswer(raw)).toEqual({ isValid: false, reason: expect.stringMatching(reason) as string });
  });

  test("of any integer is valid in 1..100 alone", () => {
    fc.assert(
      fc.property(fc.integer({ min: -300, max: 300 }), (score) => {
        expect(parseAlignmentAnswer(JSON.stringify({ score })).isValid).toBe(score >= 1 && score <= 100);
      }),
    );
  });
});

describe("the camera's motion", () => {
  type Shift = readonly [dx: number, dy: number];
  type Sides = { readonly top?: Shift; readonly bottom?: Shift; readonly left?: Shift; readonly right?: Shift };
  const still: Shift = [0, 0];
  const places = { top: 5, bottom: 95, left: 50, right: 59 };
  const first: readonly TrackPoint[] = Array.from({ length: 100 }, (_, index) => ({
    x: 10 * (index % 10),
    y: 10 * Math.floor(index / 10),
  }));

  const classify = (sides: Sides, shortSide = 200): readonly string[] => {
    const last = [...first];
    for (const side of ["top", "bottom", "left", "right"] as const) {
      const [dx, dy] = sides[side] ?? still;
      const { x = 0, y = 0 } = first[places[side]] ?? {};
      last[places[side]] = { x: x + dx, y: y + dy };
    }
    return classifyCameraMotion({ first, last, shortSide });
  };
  const all = (shift: Shift): Sides => ({ top: shift, bottom: shift, left: shift, right: shift });

  test.each<[string, Sides, readonly string[]]>([
    ["left", all([-5, 0]), ["pan_right"]],
    ["right", all([5, 0]), ["pan_left"]],
    ["up", all([0, -5]), ["tilt_down"]],
    ["down", all([0, 5]), ["tilt_up"]],
    ["left and up", all([-5, -5]), ["pan_right", "tilt_down"]],
    ["left and down", all([-5, 5]), ["pan_right", "tilt_up"]],
    ["right and up", all([5, -5]), ["pan_left", "tilt_down"]],
    ["right and down", all([5, 5]), ["pan_left", "tilt_up"]],
    ["apart", { top: [0, -5], bottom: [0, 5], left: [-5, 0], right: [5, 0] }, ["zoom_in"]],
    ["together", { top: [0, 5], bottom: [0, -5], left: [5, 0], right: [-5, 0] }, ["zoom_out"]],
    ["not at all", {}, ["static"]],
    ["at top and bottom only, apart", { top: [0, -5], bottom: [0, 5] }, ["zoom_in"]],
    ["at top only", { top: [5, 0] }, ["static"]],
    ["against each other at top and bottom", { top: [5, 0], bottom: [-5, 0], left: [0, 5], right: [0, -5] }, []],
  ])("is read from points that move %s", (_, sides, expected) => {
    expect(classify(sides)).toEqual(expected);
  });

  test("is static up to and with half a percent of the short side", () => {
    // 0.005 · 400 = 2 pixels.
    expect(classify(all([2, 0]), 400)).toEqual(["static"]);
    expect(classify(all([3, 0]), 400)).toEqual(["pan_left"]);
    expect(classify(all([-2, 0]), 400)).toEqual(["static"]);
  });

  test("is of whole pixels: parts of one are cut off", () => {
    expect(classify(all([2.9, 0]), 400)).toEqual(["static"]);
  });

  test("cannot be read from other grids", () => {
    expect(() => classifyCameraMotion({ first: first.slice(1), last: first, shortSide: 100 })).toThrow(/99 and 100/);
  });

  test("that a name asks for is found in it", () => {
    expect(askedCameraMotion("a dog, camera zooms out-3.mp4")).toBe("zoom_out");
    expect(askedCameraMotion("a dog.mp4")).toBeUndefined();
    expect(cameraMotions).toHaveLength(7);
  });
});

describe("the paper's table", () => {
  test("has seven rows, and its own one as published", () => {
    expect(paperTable).toHaveLength(7);
    expect(paperTable.at(-1)).toEqual({
      method: "Video-As-Prompt",
      values: {
        clipScore: 24.13,
        motionSmoothness: 98.59,
        dynamicDegree: 77.08,
        aestheticQuality: 57.71,
        alignmentGemini: 70.44,
        alignmentGpt5: 70.26,
        preferenceRate: 38.7,
      },
    });
  });

  test("keeps what must hold: dynamic degrees of 48 clips, averages of 48 integers, rates that add up to 100", () => {
    expect(checkPaperTable(paperTable)).toEqual([]);
    expect(paperTable.map(({ values }) => Math.round((values.dynamicDegree ?? NaN) * 0.48))).toEqual([33, 36, 38, 35, 34, 38, 37]);
    expect(paperTable.reduce((sum, { values }) => sum + (values.preferenceRate ?? NaN), 0)).toBeCloseTo(100, 9);
    expect(paperPairs).toBe(48);
  });

  test("shows where another table breaks it", () => {
    const rows = [
      { method: "a", values: { dynamicDegree: 77.5, alignmentGemini: 70.45, preferenceRate: 50 } },
      { method: "b", values: { dynamicDegree: 50, alignmentGemini: 50, preferenceRate: 40, motionSmoothness: 101 } },
      { method: "c", values: { clipScore: -3, aestheticQuality: 120, preferenceRate: NaN } },
    ];
    expect(checkPaperTable(rows).map(({ method, column }) => [method, column])).toEqual([
      ["a", "dynamicDegree"],
      ["a", "alignmentGemini"],
      ["b", "motionSmoothness"],
      ["c", "preferenceRate"],
      ["a, b, c", "preferenceRate"],
    ]);
    expect(
      checkPaperTable([
        { method: "a", values: { preferenceRate: 50 } },
        { method: "b", values: {} },
      ]),
    ).toEqual([]);
    expect(checkPaperTable([{ method: "a", values: { dynamicDegree: 50 } }], 3)).toHaveLength(1);
  });
});

describe("preference votes", () => {
  const vote = (rater: string, choice: string, question = "overall_quality"): Vote => ({ rater, trial: "row 1", question, choice });

  test("become shares of all choices of both questions", () => {
    const { counted, shares, refused } = preferenceShares(
      ["ours", "theirs"],
      [vote("1", "ours"), vote("1", "ours", "semantic_alignment"), vote("2", "theirs"), vote("3", "ours")],
    );
    expect({ counted, refused }).toEqual({ counted: 4, refused: [] });
    expect(shares).toEqual([
      { method: "ours", votes: 3, share: 0.75, byQuestion: { semantic_alignment: 1, overall_quality: 2 } },
      { method: "theirs", votes: 1, share: 0.25, byQuestion: { semantic_alignment: 0, overall_quality: 1 } },
    ]);
  });

  test("that are ties, doubled or of nothing known are refused, each with its reason", () => {
    const votes = [
      vote("1", "tie"),
      vote("1", "ours"),
      vote("1", "theirs"),
      vote("2", "other"),
      vote("2", "ours", "speed"),
      vote("", "ours"),
      vote("3", ""),
    ];
    const { counted, refused } = preferenceShares(["ours", "theirs"], votes);
    expect(counted).toBe(1);
    expect(refused.map(({ index, reason }) => `${index} ${reason}`)).toEqual([
      "0 a tie is no choice",
      "2 the rater has answered this question of this trial before",
      '3 the method "other" does not take part',
      '4 the question "speed" is not asked',
      "5 the vote names no rater or no trial",
      "6 a tie is no choice",
    ]);
  });

  test("have no shares where none counts, and shares that add up to 1 where any does", () => {
    expect(preferenceShares(["ours"], []).shares).toEqual([
      { method: "ours", votes: 0, byQuestion: { semantic_alignment: 0, overall_quality: 0 } },
    ]);
    const methods = ["a", "b", "c"];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...methods), { minLength: 1 }), (choices) => {
        const { shares } = preferenceShares(
          methods,
          choices.map((choice, rater) => vote(String(rater), choice)),
        );
        expect(shares.reduce((sum, { share = NaN }) => sum + share, 0)).toBeCloseTo(1, 12);
      }),
    );
  });
});

describe("many preference votes", () => {
  test("for many methods are counted in one pass: each choice is read a few times", () => {
    let reads = 0;
    const methods = Array.from({ length: 1_000 }, (_, index) => `m${index}`);
    const votes = Array.from({ length: 5_000 }, (_, index) => ({
      ...{ rater: `r${index}`, trial: "t", question: "overall_quality" },
      get choice() {
        reads += 1;
        return `m${index % 1_000}`;
      },
    }));
    const { counted, shares } = preferenceShares(methods, votes);
    expect([counted, new Set(shares.map((share) => share.votes))]).toEqual([5_000, new Set([5])]);
    expect(reads).toBeLessThanOrEqual(3 * votes.length);
  });
});

describe("bootstrap intervals", () => {
  test("are the same for the same seed, and others for another", () => {
    const values = [1, 2, 3, 4, 10];
    expect(bootstrapMean(values, { seed: 1 })).toEqual(bootstrapMean(values, { seed: 1 }));
    expect(bootstrapMean(values, { seed: 1, rounds: 50 })).not.toEqual(bootstrapMean(values, { seed: 2, rounds: 50 }));
  });

  test("hold the mean and lie within the values", () => {
    const values = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(values, fc.nat(), (sample, seed) => {
        const { mean = NaN, interval } = bootstrapMean(sample, { seed, rounds: 400 });
        const slack = 1e-9;
        expect(interval?.low).toBeGreaterThanOrEqual(Math.min(...sample) - slack);
        expect(interval?.high).toBeLessThanOrEqual(Math.max(...sample) + slack);
        expect(mean).toBeGreaterThanOrEqual((interval?.low ?? NaN) - slack);
        expect(mean).toBeLessThanOrEqual((interval?.high ?? NaN) + slack);
      }),
      { numRuns: 60 },
    );
  });

  test("of many draws are near the normal ones", () => {
    // 0..99: standard deviation 28.866, of the mean 2.887; 95 % lie within 1.96 of them.
    const { mean, interval } = bootstrapMean(
      Array.from({ length: 100 }, (_, index) => index),
      { seed: 7 },
    );
    expect(mean).toBe(49.5);
    expect(Math.abs((interval?.high ?? NaN) - (49.5 + 1.96 * 2.887))).toBeLessThan(0.25);
    expect(Math.abs((interval?.low ?? NaN) - (49.5 - 1.96 * 2.887))).toBeLessThan(0.25);
  });

  test("of pairs are of their differences", () => {
    const pairs = [1, 5, 9].map((left) => ({ left, right: left - 0.5 }));
    expect(pairedDifference(pairs, { seed: 3 })).toEqual({ n: 3, mean: 0.5, interval: { low: 0.5, high: 0.5 } });
  });

  test("are not made of fewer than two values, and the reason is given", () => {
    expect(bootstrapMean([], { seed: 1 })).toEqual({ n: 0, reason: "there is no value" });
    expect(bootstrapMean([3], { seed: 1 })).toEqual({ n: 1, mean: 3, reason: "one value has no interval" });
    expect(() => bootstrapMean([1, NaN], { seed: 1 })).toThrow(/no finite number/);
    expect(() => bootstrapMean([1, 2], { seed: 1, level: 1 })).toThrow(/level 1/);
  });
});

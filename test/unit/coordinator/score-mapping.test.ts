import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { scoreFromProto } from "../../../services/coordinator/dispatch/score-mapping.ts";
import { MetricScore } from "../../../services/gen/proto/vapfarm/v1/stage.ts";

const right = MetricScore.create({
  metric: "motion_smoothness",
  metricVersion: 1,
  runtime: "onnxruntime-node 1.22",
  decodeProfile: "bt601",
  status: "ok",
  value: 0.97,
  frames: 49,
  fpsNumerator: 16,
  fpsDenominator: 1,
  width: 64,
  height: 48,
  extraJson: '{"pairs":24,"note":"x","isGif":false}',
  series: [{ name: "differences", values: [1, 2.5] }],
  decodeMs: 3,
});

const faultOf = (change: Partial<MetricScore>): string | undefined => {
  const read = scoreFromProto({ ...right, ...change });
  return "fault" in read ? read.fault : undefined;
};

describe("a score of a report", () => {
  it("is kept with all that was told of it", () => {
    expect(scoreFromProto(right)).toEqual({
      score: {
        metric: "motion_smoothness",
        metricVersion: 1,
        variant: "",
        modelDigest: "",
        runtime: "onnxruntime-node 1.22",
        decodeProfile: "bt601",
        status: "ok",
        value: 0.97,
        vbenchValue: null,
        reason: "",
        frames: 49,
        fpsNumerator: 16,
        fpsDenominator: 1,
        width: 64,
        height: 48,
        extra: { pairs: 24, note: "x", isGif: false },
        series: [{ name: "differences", values: [1, 2.5] }],
        decodeMs: 3,
      },
    });
  });

  it("without a value says why, and what VBench would have said", () => {
    const read = scoreFromProto({ ...right, status: "nan", value: undefined, reason: "too small: 64\0", vbenchValue: 0, extraJson: "" });
    expect(read).toMatchObject({ score: { status: "nan", value: null, vbenchValue: 0, reason: "too small: 64", extra: {} } });
  });

  it.each<[string, Partial<MetricScore>, RegExp]>([
    ["an unknown status", { status: "fine" }, /status "fine" is unknown/],
    ["no status", { status: "" }, /status/],
    ["no value where it is ok", { value: undefined }, /ok without a value/],
    ["a value where there is none", { status: "skipped" }, /skipped with a value/],
    ["a value that is NaN", { value: NaN }, /not finite/],
    ["a value of VBench's that is infinite", { vbenchValue: -Infinity }, /not finite/],
    ["no metric", { metric: "" }, /no metric/],
    ["no version", { metricVersion: 0 }, /version/],
    ["a digest that is none", { modelDigest: "abc" }, /digest/],
    ["a negative size", { width: -1 }, /negative/],
    ["a name with a line break", { runtime: "a\nb" }, /no word/],
    [
      "a series twice",
      {
        series: [
          { name: "a", values: [] },
          { name: "a", values: [] },
        ],
      },
      /twice/,
    ],
    ["a series without a name", { series: [{ name: "", values: [] }] }, /no name/],
    ["a series that holds NaN", { series: [{ name: "a", values: [1, NaN] }] }, /not finite/],
    ["too long a series", { series: [{ name: "a", values: Array<number>(65_001).fill(0) }] }, /65001 values/],
    ["extra that is no JSON", { extraJson: "{" }, /extra/],
    ["extra that is a list", { extraJson: "[1]" }, /extra/],
    ["extra that goes deeper", { extraJson: '{"a":{"b":1}}' }, /extra/],
    ["extra beyond all numbers", { extraJson: '{"a":1e999}' }, /extra/],
    ["extra under a name with a NUL", { extraJson: '{"a\\u0000":1}' }, /extra/],
  ])("with %s is at fault", (_title, change, reason) => {
    expect(faultOf(change)).toMatch(reason);
  });

  it("never has a number that is none, whatever is told", () => {
    const number = fc.option(fc.double(), { nil: undefined });
    const told = fc.record({
      status: fc.constantFrom("ok", "nan", "skipped", "error", ""),
      value: number,
      vbenchValue: number,
      series: fc.array(fc.double()).map((values) => [{ name: "a", values }]),
    });
    fc.assert(
      fc.property(told, (change) => {
        const read = scoreFromProto({ ...right, ...change });
        if ("fault" in read) return;
        const { score } = read;
        expect(score.status === "ok").toBe(score.value !== null);
        const numbers = [score.value ?? 0, score.vbenchValue ?? 0, ...score.series.flatMap((one) => one.values)];
        expect(numbers.every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

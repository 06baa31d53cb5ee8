import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dynamicDegree, dynamicDegreeThreshold, pairScore } from "../../../services/domain/vbench/dynamic-degree.ts";
import { pushAll, valueOf } from "../../support/vbench/outcomes.ts";

describe("dynamic degree", () => {
  const size = { height: 128, width: 256 };
  const plan = { size, framesPerSecond: 8, minimumSide: 128 };
  const flow = (length: number): Float32Array => new Float32Array(2 * 128 * 256).fill(length * Math.SQRT1_2);

  test("takes its threshold from the frame without padding", () => {
    expect(dynamicDegreeThreshold({ height: 480, width: 720 })).toBe(11.25);
    expect(dynamicDegreeThreshold({ height: 240, width: 320 })).toBe(5.625);
  });

  test("is the mean of the fastest 5 % of a ramp", () => {
    const count = 40 * 40;
    const ramp = new Float32Array(2 * count);
    for (let index = 0; index < count; index += 1) ramp[index] = index;
    // 80 pixels: 1520..1599.
    expect(pairScore(ramp, { height: 40, width: 40 })).toEqual({ mean: 1559.5, notFinite: 0 });
  });

  test("is that of numpy's sort for any flow, NaN coming last", () => {
    const lengths = fc.array(fc.oneof(fc.float({ noNaN: true, min: 0, max: 300 }), fc.constantFrom(0, NaN, 7, 7.000001)), {
      minLength: 20,
      maxLength: 200,
    });
    fc.assert(
      fc.property(lengths, (values) => {
        const flow = Float32Array.from([...values, ...values.map(() => 0)]);
        const { mean, notFinite } = pairScore(flow, { height: 1, width: values.length });
        const length = Array.from(flow.subarray(0, values.length), (value) => Math.fround(Math.sqrt(Math.fround(value * value))));
        const numbers = length.filter((value) => !Number.isNaN(value)).sort((left, right) => right - left);
        const cut = Math.trunc(values.length * 0.05);
        const expected = numbers.length < cut ? NaN : numbers.slice(0, cut).reduce((sum, value) => sum + value, 0) / cut;
        expect(notFinite).toBe(values.length - numbers.length);
        if (Number.isNaN(expected)) expect(mean).toBeNaN();
        else expect(Math.abs(mean - expected)).toBeLessThanOrEqual(1e-6 * expected);
      }),
    );
  });

  test("has no fastest 5 % in fewer than 20 pixels", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), (width) => {
        const { mean } = pairScore(new Float32Array(2 * width).fill(3), { height: 1, width });
        expect(Number.isNaN(mean)).toBe(width < 20);
      }),
    );
  });

  test("needs strictly more than the threshold in enough pairs, and keeps all of them with the margin", () => {
    // 16 compared frames: 4 of 15 pairs must move by more than 3 pixels.
    const lengths = [4, 4, 4, 3.03, ...Array<number>(11).fill(2)];
    const dynamic = dynamicDegree({ ...plan, frameCount: 16 });
    expect(dynamic.known).toBeUndefined();
    const outcome = pushAll(dynamic, lengths.map(flow));
    expect(outcome).toMatchObject({
      status: "ok",
      value: 1,
      extra: { thres: 3, count_num: 4, frames: 16, moving: 4, interval: 1, fps: 8 },
    });
    expect(outcome.series["pairScores"]).toHaveLength(15);
    expect(outcome.extra["margin"]).toBeCloseTo(0.01, 5);
    const three = pushAll(dynamicDegree({ ...plan, frameCount: 16 }), [4, 4, 4, ...Array<number>(12).fill(2)].map(flow));
    expect(valueOf(three)).toBe(0);
  });

  test("does not count a pair that moves by exactly the threshold", () => {
    const exact = new Float32Array(2 * 128 * 256).fill(3, 0, 128 * 256);
    const outcome = pushAll(dynamicDegree({ ...plan, frameCount: 3 }), [exact, exact]);
    expect(outcome).toMatchObject({ status: "ok", value: 0, extra: { count_num: 1, moving: 0, margin: 0 } });
  });

  test("of one compared frame is skipped, where VBench answers false", () => {
    const dynamic = dynamicDegree({ ...plan, frameCount: 2, framesPerSecond: 16 });
    expect(dynamic.finish()).toMatchObject({ status: "skipped", vbenchValue: 0 });
    expect(dynamic.known).toEqual(dynamic.finish());
  });

  test("of two compared frames is always true, and marked so", () => {
    const outcome = pushAll(dynamicDegree({ ...plan, frameCount: 2 }), [flow(0)]);
    expect(outcome).toMatchObject({ status: "ok", value: 1, extra: { count_num: 0, isAlwaysTrue: true } });
  });

  test("has no value where a flow is no number, and says that VBench takes it for no motion", () => {
    const broken = flow(0).fill(NaN);
    const outcome = pushAll(dynamicDegree({ ...plan, frameCount: 3 }), [flow(1), broken]);
    expect(outcome).toMatchObject({ status: "nan", vbenchValue: 0, series: {}, reason: expect.stringContaining("pair 1") as string });
  });

  test("has no value below the network's smallest side, of the padded frame", () => {
    const small = dynamicDegree({ ...plan, size: { height: 120, width: 256 }, frameCount: 49 });
    expect(small.known).toMatchObject({ status: "nan", vbenchValue: 0, reason: expect.stringContaining("below 128") as string });
    expect(dynamicDegree({ ...plan, size: { height: 121, width: 256 }, frameCount: 49 }).known).toBeUndefined();
  });

  test("refuses other pairs than the frames have, and flows of another size", () => {
    expect(() => dynamicDegree({ ...plan, frameCount: 3 }).finish()).toThrow(/other pairs than 0/);
    expect(() => dynamicDegree({ ...plan, frameCount: 3 }).push(new Float32Array(4))).toThrow(/other values/);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bars, forest, histogram, label, scatter } from "../../../../services/cli/bench/report/plots.ts";
import { binsOf, extentOf, ticksOf } from "../../../../services/cli/bench/report/scale.ts";

const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const values = fc.array(value, { minLength: 1, maxLength: 60 });

describe("an axis", () => {
  it("holds every value, and is never empty", () => {
    fc.assert(
      fc.property(values, (all) => {
        const { low, high } = extentOf(all);
        expect(high).toBeGreaterThan(low);
        expect(all.every((each) => each >= low && each <= high)).toBe(true);
      }),
    );
  });

  it("has a few round ticks within it", () => {
    expect(ticksOf({ low: 0.93, high: 0.991 }, 4).map((tick) => tick.toFixed(2))).toEqual(["0.94", "0.96", "0.98"]);
    fc.assert(
      fc.property(values, (all) => {
        const extent = extentOf(all);
        const ticks = ticksOf(extent, 4);
        expect(ticks.length).toBeLessThanOrEqual(12);
        const room = (extent.high - extent.low) * 1e-6;
        expect(ticks.every((tick) => tick >= extent.low - room && tick <= extent.high + room)).toBe(true);
      }),
    );
  });
});

describe("a histogram", () => {
  it("counts each value once", () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 20 }), (all, count) => {
        const bins = binsOf(all, extentOf(all), count);
        expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(all.length);
      }),
    );
  });

  it("has two bars for yes and no", () => {
    const svg = histogram([0, 1, 1], "Dynamic Degree").toString();
    expect(svg.match(/class="bar"/g)).toHaveLength(2);
    expect(svg).toContain("yes: 2 clips");
  });
});

describe("every plot", () => {
  it("draws finite places only, also of nothing, and says in words what it shows", () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (all) => {
        const plots = [
          histogram(all, "t"),
          scatter(all.map((each, index) => ({ x: index, y: each, name: "n" })), "t"), // prettier-ignore
          bars(all.map((each) => ({ name: "n", value: Math.abs(each), part: 1, said: "s" })), "t"), // prettier-ignore
          forest(all.map((each) => ({ name: "n", value: each, low: each - 1, high: each + 1, said: "s" })), "t"), // prettier-ignore
        ].map(String);
        for (const plot of plots) {
          expect(plot).not.toMatch(/NaN|Infinity|undefined/);
          expect(plot).toMatch(/role="img"\s+aria-label="[^"]+"/);
        }
      }),
    );
  });

  it("writes numbers in a few digits", () => {
    expect([0.123456, 12345.6, -0, Number.NaN].map(label)).toEqual(["0.1235", "12346", "0", "–"]);
  });
});

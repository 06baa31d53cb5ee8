import { describe, expect, it } from "vitest";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { parseExposition, seriesCount, valueIn } from "../../support/exposition.ts";

const histogram = (lines: readonly string[]): string => `${["# HELP h_seconds h", "# TYPE h_seconds histogram", ...lines].join("\n")}\n`;
const bucket = (le: string, value: number): string => `h_seconds_bucket{le="${le}"} ${value}`;

describe("the exposition's reader", () => {
  it("reads what a registry writes, whatever its label values are", async () => {
    const metrics = createMetrics({ pool: "p" });
    const odd = 'a "quoted" \\ back\nslash, {b="c"}';
    metrics.counter("vapfarm_odd_total", "help", ["what"]).inc({ what: odd }, 3);
    metrics.histogram({ name: "vapfarm_h_seconds", help: "help", buckets: [1, 2] }).observe(1.5);
    const families = parseExposition(await metrics.registry.metrics());
    expect(valueIn(families, "vapfarm_odd_total", { what: odd, pool: "p" })).toBe(3);
    expect(valueIn(families, "vapfarm_h_seconds_bucket", { le: "2" })).toBe(1);
    expect(valueIn(families, "vapfarm_h_seconds_sum")).toBe(1.5);
    expect(families.get("process_cpu_seconds_total")?.type).toBe("counter");
    expect(seriesCount(families)).toBe(1 + 3 + 2);
  });

  it.each([
    ["a sample without its family", "other 1\n"],
    ["a family that is described twice", "# HELP a a\n# TYPE a gauge\n# HELP a a\n"],
    ["a type that there is not", "# HELP a a\n# TYPE a number\n"],
    ["a series that stands there twice", '# HELP a a\n# TYPE a gauge\na{x="1",y="2"} 1\na{y="2",x="1"} 1\n'],
    ["a label twice", '# HELP a a\n# TYPE a gauge\na{x="1",x="2"} 1\n'],
    ["a value that is no number", "# HELP a a\n# TYPE a gauge\na one\n"],
    ["a counter below 0", "# HELP a a\n# TYPE a counter\na -1\n"],
    ["an unfinished last line", "# HELP a a\n# TYPE a gauge\na 1"],
    ["buckets that fall", histogram([bucket("1", 2), bucket("+Inf", 1), "h_seconds_sum 1", "h_seconds_count 1"])],
    ["buckets without the last", histogram([bucket("1", 1), "h_seconds_sum 1", "h_seconds_count 1"])],
    ["a count that is not the last bucket's", histogram([bucket("1", 1), bucket("+Inf", 1), "h_seconds_sum 1", "h_seconds_count 2"])],
  ])("refuses %s", (_what, text) => {
    expect(() => parseExposition(text)).toThrow(TypeError);
  });
});

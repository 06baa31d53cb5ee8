/**
 * The chart over a matrix of values, rendered by a real helm: every object is what the official schemas say, and what the farm needs.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { linkFaults } from "../../support/chart/link-rules.ts";
import { type KubeObject, render } from "../../support/chart/objects.ts";
import { podFaults } from "../../support/chart/pod-rules.ts";
import { faultsOf } from "../../support/chart/schemas.ts";
import { least, valueSets } from "../../support/chart/value-sets.ts";
import { chartFolder, runHelm } from "../../support/helm.ts";

/** What the sets of values name and an operator brings. */
const given = new Set(
  ["database", "direct", "nats", "keys", "callers", "reader", "models", "shared"].concat([
    "vapfarm-database",
    "vapfarm-nats",
    "vapfarm-callers",
    "vapfarm-reader",
  ]),
);

function everyFault(objects: readonly KubeObject[]): readonly string[] {
  return [...objects.flatMap((object) => faultsOf(object)), ...podFaults(objects), ...linkFaults(objects, given)];
}

describe("the chart", () => {
  it.each(valueSets)("is right with $name", async ({ values, options }) => {
    const objects = await render(values, options);
    expect(everyFault(objects)).toEqual([]);
    expect(objects.length).toBeGreaterThanOrEqual(8);
  });

  it.each(readdirSync(join(chartFolder, "ci")))("lints with ci/%s, warnings too", async (name) => {
    const { code, stdout, stderr } = await runHelm(["lint", "--strict", chartFolder, "-f", join(chartFolder, "ci", name)]);
    expect(`${stdout}${stderr}`).toContain("1 chart(s) linted, 0 chart(s) failed");
    expect(code).toBe(0);
  });

  it("lints with no values at all", async () => {
    expect(await runHelm(["lint", "--strict", chartFolder])).toMatchObject({ code: 0 });
  });

  it("renders the same each time, apart from what it draws", async () => {
    expect(await render(least)).toEqual(await render(least));
  });
});

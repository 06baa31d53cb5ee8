/**
 * The checker on trial: a sound farm has no violations, and whatever is planted into one is found, by the rule whose promise it breaks.
 *
 * A planted violation may break other promises too; those are named, so that a rule that fires without cause is a failure.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { rules } from "../support/checker/check-farm.ts";
import { violationsOf } from "../support/checker/farm-under-test.ts";
import { planterOf } from "../support/checker/plant.ts";
import { plantedOfAttempts } from "../support/checker/planted/of-attempts.ts";
import { plantedOfJobs } from "../support/checker/planted/of-jobs.ts";
import { plantedOfResults } from "../support/checker/planted/of-results.ts";
import { plantedOfTasks } from "../support/checker/planted/of-tasks.ts";
import { runSmallFarm, type SmallFarm } from "../support/checker/small-farm.ts";

const all = [...plantedOfJobs, ...plantedOfResults, ...plantedOfAttempts, ...plantedOfTasks];
let small: SmallFarm;

beforeAll(async () => {
  small = await runSmallFarm();
}, 240_000);
afterAll(() => small.stop());

it("a sound farm has no violations", async () => {
  expect(await violationsOf(small.farm, small.journals, small.bounds)).toEqual([]);
});

it.each(all)("the checker finds $what", async ({ plant, breaks, also = [] }) => {
  const violations = await plant(planterOf(small), small);
  const mayBreak = [breaks, ...also].map(({ sentence }) => sentence);
  expect(violations.map(({ rule }) => rule)).toContain(breaks.sentence);
  expect(violations.filter(({ rule }) => !mayBreak.includes(rule))).toEqual([]);
  for (const { where, what, evidence } of violations) {
    expect([where, what].includes("")).toBe(false);
    expect(evidence.length).toBeGreaterThan(0);
  }
});

it("every rule has a planted violation", () => {
  const planted = new Set(all.map(({ breaks }) => breaks.sentence));
  expect([...planted].toSorted()).toEqual(rules.map(({ sentence }) => sentence).toSorted());
});

/**
 * Counts the tests of one report: `count-tests.ts vitest|junit FILE EXIT_CODE` prints "passed failed".
 *
 * A runner that failed without a failed test (a broken file, no report) counts as one failure, so that
 * nothing that went wrong can hide.
 */
import { existsSync, readFileSync } from "node:fs";

type Counts = { readonly passed: number; readonly failed: number };

function countVitest(text: string): Counts {
  const report = JSON.parse(text) as { numPassedTests: number; numFailedTests: number };
  return { passed: report.numPassedTests, failed: report.numFailedTests };
}

function countJunit(text: string): Counts {
  const attribute = (name: string): number =>
    [...text.matchAll(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`, "g"))].reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = attribute("failures") + attribute("errors");
  return { passed: attribute("tests") - failed - attribute("skipped"), failed };
}

const [kind, path = "", exitCode = "1"] = process.argv.slice(2);
const found = existsSync(path) ? readFileSync(path, "utf8") : undefined;
const counts = found === undefined ? { passed: 0, failed: 0 } : kind === "vitest" ? countVitest(found) : countJunit(found);
const failed = counts.failed === 0 && exitCode !== "0" ? 1 : counts.failed;
process.stdout.write(`${counts.passed} ${failed}\n`);

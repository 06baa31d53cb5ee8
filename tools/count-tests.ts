/**
 * Counts the tests of one report: `count-tests.ts vitest|junit FILE EXIT_CODE` prints "passed failed", and on standard error a line for each
 * that failed.
 *
 * A runner that failed without a failed test (a broken file, no report) counts as one failure, so that
 * nothing that went wrong can hide.
 */
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

type Report = { readonly passed: number; readonly failures: readonly string[] };

type VitestReport = {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
};

function readVitest(text: string): Report {
  const { numPassedTests, testResults } = JSON.parse(text) as VitestReport;
  const failures = testResults.flatMap(({ name, status, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === "failed").map(({ fullName }) => fullName);
    const file = relative(process.cwd(), name);
    return status === "failed" && failed.length === 0 ? [`${file}: the file itself`] : failed.map((test) => `${file}: ${test}`);
  });
  return { passed: numPassedTests, failures };
}

function readJunit(text: string): Report {
  const cases = [...text.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)].map(([, attributes = "", body = ""]) => ({
    name: /\bname="([^"]*)"/.exec(attributes)?.[1] ?? "a test",
    isFailed: /<(?:failure|error)\b/.test(body),
    isSkipped: body.includes("<skipped"),
  }));
  const failures = cases.filter(({ isFailed }) => isFailed).map(({ name }) => `exporter: ${name}`);
  return { passed: cases.filter(({ isFailed, isSkipped }) => !isFailed && !isSkipped).length, failures };
}

const [kind = "", path = "", exitCode = "1"] = process.argv.slice(2);
const found = existsSync(path) ? readFileSync(path, "utf8") : undefined;
const { passed, failures } = found === undefined ? { passed: 0, failures: [] } : kind === "vitest" ? readVitest(found) : readJunit(found);
const told = failures.length === 0 && exitCode !== "0" ? [`${kind}: the runner ended with ${exitCode}`] : failures;
for (const failure of told) process.stderr.write(`failed: ${failure}\n`);
process.stdout.write(`${passed} ${told.length}\n`);

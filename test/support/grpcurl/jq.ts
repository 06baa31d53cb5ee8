/**
 * `jq -r PATH` for machines that have none: paths of names and indexes such as `.jobs[0].jobId`; anything else is refused.
 */
import { readFileSync } from "node:fs";

const [flag, path] = process.argv.slice(2);
if (flag !== "-r" || path === undefined || !/^(\.\w+(\[\d+\])?)+$/.test(path)) {
  process.stderr.write("this stand-in for jq knows only -r and paths\n");
  process.exit(64);
}
let value: unknown = JSON.parse(readFileSync(0, "utf8"));
for (const key of path.match(/\w+/g) ?? []) value = (value as Record<string, unknown> | undefined)?.[key];
process.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value ?? null)}\n`);

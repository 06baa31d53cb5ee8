/**
 * Which suite a run is of: one that the farm knows, or a file that must still be what was imported from it.
 *
 * A suite is its content: a file whose rows or clips were changed since is another suite, and what changed is named, so that nobody takes
 * a run of the old one for a run of what now lies on the disk.
 */
import { basename } from "node:path";
import { createHash } from "node:crypto";
import type { FarmClient } from "../../client/farm-client.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { rowDigest } from "../../domain/suite-id.ts";
import type { Suite, SuiteRow } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { CliContext } from "../context.ts";
import { type LocalSuite, readSuite, type SuiteSource } from "./read-suite.ts";

/** Whether an operand names a file rather than a suite of the farm. */
export function isSuiteFile(operand: string, root: string | undefined): boolean {
  return root !== undefined || /\.csv$/i.test(operand);
}

/** The id of the file's suite, which the farm has; SUITE_UNKNOWN or FIELD_INVALID with what changed since it was imported. */
export async function suiteOfFile(context: CliContext, client: FarmClient, source: Omit<SuiteSource, "isDecoded">): Promise<string> {
  const local = await readSuite(context, { ...source, isDecoded: false });
  const { signal } = context.interrupts;
  if ((await suiteById(client, local.suiteId, signal)) !== undefined) return local.suiteId;
  const named = await newestNamed(client, local.name, signal);
  const again = `vapfarm bench import ${basename(source.file)} --root ${source.root}`;
  if (named === undefined) {
    const message = `the farm has no suite of ${source.file}, nor one named ${local.name}`;
    throw new FarmError("SUITE_UNKNOWN", { message, details: { remedy: `import it first: ${again}` } });
  }
  const rows: SuiteRow[] = [];
  for await (const row of client.suiteRows(named.suiteId, { signal })) rows.push(row);
  const fields = changesOf(local, rows).map(({ field, reason }) => ({ field, reason, remedy: "" }));
  const message = `${source.file} is not what suite ${named.name} (${named.suiteId.slice(0, 12)}) was imported from`;
  const remedy = `import it as it is now: ${again}; or run what was imported: vapfarm bench run ${named.suiteId.slice(0, 12)}`;
  throw new FarmError("FIELD_INVALID", { message, details: { fields, remedy } });
}

async function suiteById(client: FarmClient, suite: string, signal: AbortSignal): Promise<Suite | undefined> {
  try {
    return (await client.calls.getSuite({ suite }, { signal })).suite;
  } catch (thrown) {
    if (toFarmError(thrown).code === "SUITE_UNKNOWN") return undefined;
    throw thrown;
  }
}

async function newestNamed(client: FarmClient, name: string, signal: AbortSignal): Promise<Suite | undefined> {
  for await (const suite of client.suites({ signal })) if (suite.name === name) return suite;
  return undefined;
}

/** One thing that is not as it was imported. */
export type SuiteChange = { readonly field: string; readonly reason: string };

const mostChanges = 50;

/** What is different now: files first, each once, then rows. */
export function changesOf(local: Pick<LocalSuite, "rows">, imported: readonly SuiteRow[]): readonly SuiteChange[] {
  const files = changedFiles(local.rows, imported);
  const changes = [
    ...files.map((path) => ({ field: path, reason: "has other bytes than when it was imported" })),
    ...changedRows(local.rows, imported),
  ];
  if (changes.length <= mostChanges) return changes;
  return [...changes.slice(0, mostChanges), { field: "", reason: `${changes.length - mostChanges} more changes` }];
}

function changedFiles(now: readonly SuiteRow[], imported: readonly SuiteRow[]): readonly string[] {
  const before = hashesByPath(imported);
  return [...hashesByPath(now)].filter(([path, sha256]) => (before.get(path) ?? sha256) !== sha256).map(([path]) => path);
}

function hashesByPath(rows: readonly SuiteRow[]): ReadonlyMap<string, string> {
  const pairs = rows.flatMap(({ targetPath, targetSha256, referencePaths, referenceSha256s }) => [
    [targetPath, targetSha256] as const,
    ...referencePaths.map((path, index) => [path, referenceSha256s[index] ?? ""] as const),
  ]);
  return new Map(pairs);
}

function changedRows(now: readonly SuiteRow[], imported: readonly SuiteRow[]): readonly SuiteChange[] {
  const longest = Math.max(now.length, imported.length);
  return Array.from({ length: longest }, (_, position) => rowChange(now[position], imported[position], position)).flat();
}

function rowChange(now: SuiteRow | undefined, before: SuiteRow | undefined, position: number): readonly SuiteChange[] {
  const field = `row ${position}`;
  if (now === undefined) return [{ field, reason: "is gone" }];
  if (before === undefined) return [{ field, reason: "is new" }];
  if (digestOf(withoutMedia(now)) === digestOf(withoutMedia(before)) && samePaths(now, before)) return [];
  const different = (["caption", "kind", "seed", "targetPath"] as const).filter((name) => now[name] !== before[name]);
  const references =
    JSON.stringify([now.referencePaths, now.referenceCaptions]) !== JSON.stringify([before.referencePaths, before.referenceCaptions]);
  const what = [...different.map((name) => (name === "targetPath" ? "target" : name)), ...(references ? ["references"] : [])];
  // A seed that is made from content changes with the files: the files were told.
  return what.every((name) => name === "seed") && hasOtherMedia(now, before)
    ? []
    : [{ field, reason: `has another ${what.join(", another ")}` }];
}

function withoutMedia(row: SuiteRow): SuiteRow {
  return { ...row, targetSha256: "", referenceSha256s: [] };
}

function samePaths(now: SuiteRow, before: SuiteRow): boolean {
  return now.targetPath === before.targetPath && now.referencePaths.join("\n") === before.referencePaths.join("\n");
}

function hasOtherMedia(now: SuiteRow, before: SuiteRow): boolean {
  return now.targetSha256 !== before.targetSha256 || now.referenceSha256s.join() !== before.referenceSha256s.join();
}

function digestOf(row: SuiteRow): string {
  return rowDigest(row, (bytes) => createHash("sha256").update(bytes).digest("hex"));
}

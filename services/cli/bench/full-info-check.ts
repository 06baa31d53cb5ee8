/**
 * Whether a `*_full_info.json` belongs to a results file: its videos must be those of the results, by base name. Pure.
 */
import { basename } from "node:path/posix";
import type { ImportedResults } from "../../domain/vbench/eval-results-reader.ts";
import type { ImportedFullInfo } from "../../domain/vbench/full-info.ts";

/** What the file names, and what is wrong with it or does not fit. */
export type FullInfoCheck = {
  readonly prompts: number;
  /** VBench's names, each once, sorted. */
  readonly dimensions: readonly string[];
  /** Different base names. */
  readonly videos: number;
  readonly remarks: readonly string[];
};

const mostNamed = 5;

/** Compares the two files. */
export function checkFullInfo({ entries, faults }: ImportedFullInfo, results: Pick<ImportedResults, "dimensions">): FullInfoCheck {
  const told = namesOf(entries.flatMap(({ videos }) => videos));
  const scored = namesOf(results.dimensions.flatMap(({ videos }) => videos.map(({ name }) => name)));
  return {
    prompts: entries.length,
    dimensions: [...new Set(entries.flatMap(({ dimensions }) => dimensions))].sort(),
    videos: told.size,
    remarks: [
      ...faults.map(({ path, reason }) => `${path}: ${reason}`),
      ...absence("videos of the full info are not in the results", without(told, scored)),
      ...absence("videos of the results are not in the full info", without(scored, told)),
    ],
  };
}

function namesOf(paths: readonly string[]): ReadonlySet<string> {
  return new Set(paths.map((path) => basename(path)));
}

function without(names: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] {
  return [...names].filter((name) => !others.has(name));
}

function absence(what: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, mostNamed).join(", ");
  return [`${names.length} ${what}: ${shown}${names.length > mostNamed ? ", …" : ""}`];
}

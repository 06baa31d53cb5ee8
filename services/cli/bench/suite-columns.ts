/**
 * The header of a suite's file → which column holds what.
 *
 * Two layouts are VAP-Data's own (spec vap §4): `benchmark.csv` names one reference per row with its caption; `vap_data.csv` names a list
 * of references, and a reference's caption is what its own row says of it. Columns of vap_data.csv that no benchmark needs are known and
 * passed over; any other is passed over too, and named, since it may be a known one misspelt.
 */
import type { CsvRecord } from "./csv.ts";
import type { FileFault } from "../file-faults.ts";

/** Columns that are read. */
export const suiteColumns = [
  "video_paths",
  "ref_video_path",
  "ref_video_paths",
  "tar_video_caption",
  "ref_video_caption",
  "kind",
  "seed",
  "_valid",
] as const;
/** A column that is read. */
export type SuiteColumn = (typeof suiteColumns)[number];

const passedOver: ReadonlySet<string> = new Set(["split", "reference_alignment_score"]);
const always: readonly SuiteColumn[] = ["video_paths", "tar_video_caption"];

/** Where columns stand. */
export type SuiteHeader = {
  /** `one`: ref_video_path, `list`: ref_video_paths. */
  readonly layout: "one" | "list";
  /** Of those that are there: index in each record. */
  readonly columns: ReadonlyMap<SuiteColumn, number>;
  readonly width: number;
  /** Names of columns that nothing is read from. */
  readonly unknown: readonly string[];
};

/** The header, and what is wrong with it; undefined when rows cannot be read with it. */
export type HeaderReading = { readonly header: SuiteHeader | undefined; readonly faults: readonly FileFault[] };

/** Reads the first record. */
export function readHeader(record: CsvRecord | undefined): HeaderReading {
  if (record === undefined) {
    const expected = `a first line with ${always.join(", ")} and ref_video_path or ref_video_paths`;
    return { header: undefined, faults: [{ line: 1, column: 1, field: "", reason: "the file has no header", expected }] };
  }
  const names = record.cells.map(({ text }) => text.trim());
  const columns = new Map(suiteColumns.filter((name) => names.includes(name)).map((name) => [name, names.indexOf(name)]));
  const faults = [...doubled(record, names), ...missing(record, columns)];
  const unknown = names.filter((name) => !passedOver.has(name) && !(suiteColumns as readonly string[]).includes(name));
  const layout = columns.has("ref_video_paths") ? "list" : "one";
  return { header: faults.length > 0 ? undefined : { layout, columns, width: names.length, unknown }, faults };
}

function doubled({ cells }: CsvRecord, names: readonly string[]): readonly FileFault[] {
  return cells.flatMap(({ line, column }, index) => {
    const name = names[index] ?? "";
    const isRead = (suiteColumns as readonly string[]).includes(name);
    if (!isRead || names.indexOf(name) === index) return [];
    return [{ line, column, field: name, reason: "this column stands twice", expected: "each column once" }];
  });
}

function missing({ line }: CsvRecord, columns: SuiteHeader["columns"]): readonly FileFault[] {
  const absent = (field: string, expected: string): FileFault => ({ line, column: 1, field, reason: "this column is missing", expected });
  const found = always.filter((name) => !columns.has(name)).map((name) => absent(name, `a column ${name}`));
  const [one, list] = [columns.has("ref_video_path"), columns.has("ref_video_paths")];
  if (one && list) {
    const reason = "stands beside ref_video_path";
    return [...found, { line, column: 1, field: "ref_video_paths", reason, expected: "one of them: ref_video_path, or ref_video_paths" }];
  }
  if (!one && !list) found.push(absent("ref_video_path", "a column ref_video_path, or ref_video_paths with JSON lists"));
  if (one && !columns.has("ref_video_caption")) found.push(absent("ref_video_caption", "a column ref_video_caption"));
  return found;
}

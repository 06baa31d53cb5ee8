/**
 * Records of a suite's file → rows that name files, or everything that is wrong with them.
 *
 * Pure: paths are judged by their form, files are looked at elsewhere (suite-media.ts). A cell is taken as it stands; only paths, kinds,
 * seeds and `_valid` lose white space around them.
 */
import { isAbsolute, posix, win32 } from "node:path";
import { maxInt64, textRule } from "../../domain/field-rules.ts";
import { maxTextCharacters } from "../../domain/render-rules.ts";
import { maxSuiteRows } from "../../domain/suite-rules.ts";
import { type FileFault, inOrder, type Place } from "../file-faults.ts";
import { type CsvCell, type CsvRecord, readCsv } from "./csv.ts";
import { readHeader, type SuiteColumn, type SuiteHeader } from "./suite-columns.ts";

/** A file that a cell names: relative to the root, with `/`, without `.` and doubled slashes. */
export type NamedFile = Place & { readonly field: SuiteColumn; readonly path: string };

/** One row of a suite to be. */
export type FileRow = {
  readonly line: number;
  readonly target: NamedFile;
  readonly references: readonly NamedFile[];
  readonly caption: string;
  readonly referenceCaptions: readonly string[];
  /** Empty: not told. */
  readonly kind: string;
  /** Undefined: made from the row's content. */
  readonly seed: bigint | undefined;
};

/** What a file says, as far as it can be read. */
export type FileReading = {
  /** Those that are sound. */
  readonly rows: readonly FileRow[];
  /** Every file that is named, also by rows that are wrong in something else. */
  readonly named: readonly NamedFile[];
  readonly faults: readonly FileFault[];
  /** Columns that nothing is read from. */
  readonly unknownColumns: readonly string[];
  /** Rows that `_valid` leaves out. */
  readonly leftOut: number;
};

const mostReferences = 3;
const mostKindCharacters = 100;
const mostPathCharacters = 4_096;

/** Reads a whole file's text. */
export function readSuiteRows(text: string): FileReading {
  const { records, faults } = readCsv(text);
  const csvFaults = faults.map((fault) => ({ ...fault, field: "" }));
  const [first, ...others] = records;
  const { header, faults: headerFaults } = readHeader(first);
  if (header === undefined) {
    return { rows: [], named: [], faults: inOrder([...csvFaults, ...headerFaults]), unknownColumns: [], leftOut: 0 };
  }
  const reader = new RowReader(header, others);
  const rows = reader.read();
  return {
    rows,
    named: reader.named,
    faults: inOrder([...csvFaults, ...reader.faults]),
    unknownColumns: header.unknown,
    leftOut: reader.leftOut,
  };
}

class RowReader {
  readonly faults: FileFault[] = [];
  readonly named: NamedFile[] = [];
  leftOut = 0;
  readonly #header: SuiteHeader;
  readonly #records: readonly CsvRecord[];
  /** Target's path → what its own row says of it. */
  readonly #captions: ReadonlyMap<string, string>;

  constructor(header: SuiteHeader, records: readonly CsvRecord[]) {
    this.#header = header;
    this.#records = records;
    this.#captions = header.layout === "list" ? this.#captionsByTarget() : new Map();
  }

  read(): readonly FileRow[] {
    const rows = this.#records.flatMap((record) => this.#row(record) ?? []);
    const count = this.#records.length - this.leftOut;
    if (count === 0) this.#fault({ line: 1, column: 1 }, "", ["the file has no rows", "at least one row below the header"]);
    if (count > maxSuiteRows) this.#fault({ line: 1, column: 1 }, "", [`the file has ${count} rows`, `at most ${maxSuiteRows}`]);
    return rows;
  }

  #captionsByTarget(): ReadonlyMap<string, string> {
    const captions = new Map<string, string>();
    for (const record of this.#records) {
      const path = normalPath(this.#text(record, "video_paths")?.trim() ?? "");
      if (!captions.has(path)) captions.set(path, this.#text(record, "tar_video_caption") ?? "");
    }
    return captions;
  }

  #row(record: CsvRecord): FileRow | undefined {
    const { cells, line } = record;
    if (cells.length !== this.#header.width) {
      this.#fault({ line, column: 1 }, "", [`the row has ${cells.length} cells`, `${this.#header.width}, as the header`]);
      return undefined;
    }
    if (!this.#isValid(record)) return void (this.leftOut += 1);
    const before = this.faults.length;
    const target = this.#path(this.#cell(record, "video_paths"), "video_paths");
    const references = this.#references(record);
    const caption = this.#caption(this.#cell(record, "tar_video_caption"), "tar_video_caption");
    const referenceCaptions = this.#referenceCaptions(record, references);
    const [kind, seed] = [this.#kind(record), this.#seed(record)];
    if (this.faults.length > before || target === undefined) return undefined;
    return { line, target, references, caption, referenceCaptions, kind, seed };
  }

  #cell(record: CsvRecord, name: SuiteColumn): CsvCell | undefined {
    const index = this.#header.columns.get(name);
    return index === undefined ? undefined : record.cells[index];
  }

  #text(record: CsvRecord, name: SuiteColumn): string | undefined {
    return this.#cell(record, name)?.text;
  }

  #isValid(record: CsvRecord): boolean {
    const cell = this.#cell(record, "_valid");
    const text = cell?.text.trim().toLowerCase() ?? "";
    if (cell === undefined || ["", "true", "1", "1.0"].includes(text)) return true;
    if (!["false", "0", "0.0"].includes(text)) this.#fault(cell, "_valid", [`is "${shown(cell.text)}"`, "True or False"]);
    return !["false", "0", "0.0"].includes(text);
  }

  #path(cell: CsvCell | undefined, field: SuiteColumn, given = cell?.text): NamedFile | undefined {
    if (cell === undefined || given === undefined) return undefined;
    const text = given.trim();
    const reason = whyNoPath(text);
    if (reason !== undefined) this.#fault(cell, field, [reason, "the path of a clip below --root"]);
    if (reason !== undefined) return undefined;
    const file = { line: cell.line, column: cell.column, field, path: normalPath(text) };
    this.named.push(file);
    return file;
  }

  #references(record: CsvRecord): readonly NamedFile[] {
    if (this.#header.layout === "one") return [this.#path(this.#cell(record, "ref_video_path"), "ref_video_path") ?? []].flat();
    const cell = this.#cell(record, "ref_video_paths");
    if (cell === undefined) return [];
    const list = jsonStrings(cell.text);
    if (typeof list === "string") return this.#fault(cell, "ref_video_paths", [list, 'a JSON list such as ["ref/a.mp4"]']);
    if (list.length < 1 || list.length > mostReferences) {
      return this.#fault(cell, "ref_video_paths", [`names ${list.length} references`, `1 to ${mostReferences}`]);
    }
    return list.flatMap((path) => this.#path(cell, "ref_video_paths", path) ?? []);
  }

  #referenceCaptions(record: CsvRecord, references: readonly NamedFile[]): readonly string[] {
    const own = this.#cell(record, "ref_video_caption");
    if (this.#header.layout === "one") return [this.#caption(own, "ref_video_caption")];
    return references.map(({ line, column, path }) => {
      const caption = this.#captions.get(path) ?? own?.text ?? "";
      if (caption.trim() !== "") return caption;
      const expected = "a row whose video_paths is that file, or a ref_video_caption";
      this.#fault({ line, column }, "ref_video_paths", [`nothing says what ${shown(path)} shows`, expected]);
      return "";
    });
  }

  #caption(cell: CsvCell | undefined, field: SuiteColumn): string {
    if (cell === undefined) return "";
    if (cell.text.trim() === "") this.#fault(cell, field, ["is empty", "what the clip shows"]);
    this.#textFaults(cell, field, maxTextCharacters);
    return cell.text;
  }

  #kind(record: CsvRecord): string {
    const cell = this.#cell(record, "kind");
    if (cell === undefined) return "";
    this.#textFaults(cell, "kind", mostKindCharacters);
    return cell.text.trim();
  }

  #seed(record: CsvRecord): bigint | undefined {
    const cell = this.#cell(record, "seed");
    const text = cell?.text.trim() ?? "";
    if (cell === undefined || text === "") return undefined;
    const seed = /^\d{1,19}$/.test(text) ? BigInt(text) : maxInt64 + 1n;
    if (seed <= maxInt64) return seed;
    this.#fault(cell, "seed", [`is "${shown(text)}"`, "a whole number from 0 to 2^63-1, or nothing"]);
    return undefined;
  }

  #textFaults(cell: CsvCell, field: SuiteColumn, most: number): void {
    for (const { reason, remedy } of textRule(field, cell.text, most)) this.#fault(cell, field, [reason, remedy]);
  }

  #fault(place: Place, field: string, [reason, expected]: readonly [string, string]): readonly never[] {
    this.faults.push({ line: place.line, column: place.column, field, reason, expected });
    return [];
  }
}

function normalPath(path: string): string {
  return posix.normalize(path.replaceAll("\\", "/"));
}

function whyNoPath(path: string): string | undefined {
  if (path === "") return "is empty";
  if (path.length > mostPathCharacters) return `has ${path.length} characters`;
  if (path.includes("\0")) return "holds a NUL character";
  if (isAbsolute(path) || win32.isAbsolute(path) || /^[A-Za-z]:/.test(path)) return `${shown(path)} is an absolute path`;
  const normal = normalPath(path);
  if (normal === ".." || normal.startsWith("../")) return `${shown(path)} leads out of the root`;
  return normal === "." || normal.endsWith("/") ? `${shown(path)} is a folder` : undefined;
}

/** The strings, or why there are none. */
function jsonStrings(text: string): readonly string[] | string {
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return `is no list but ${value === null ? "null" : typeof value}`;
    const other = value.findIndex((each) => typeof each !== "string");
    return other < 0 ? (value as readonly string[]) : `entry ${other} of the list is no text`;
  } catch {
    if (text.trim() === "") return "is empty";
    return /^\s*\[\s*'/.test(text) ? "is a list in single quotes, which is Python's form and not JSON" : `is no JSON: ${shown(text)}`;
  }
}

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * A suite's file with everything it names → the suite as the farm will have it, or every fault.
 *
 * The id is computed here as the farm computes it, so a suite that changed on the way, or since it was imported, is found out.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import { toFarmError } from "../../domain/errors.ts";
import { type RowContent, rowSeed, suiteId } from "../../domain/suite-id.ts";
import { SuiteRow } from "../../gen/proto/vapfarm/v1/bench.ts";
import { invalidOption } from "../ages.ts";
import type { CliContext } from "../context.ts";
import { faultyFile, inOrder } from "../file-faults.ts";
import { openMediaReader } from "../render/make-sheet.ts";
import { plainText } from "../table.ts";
import { createCountView } from "./count-view.ts";
import { readSuiteMedia, type SuiteFile } from "./suite-media.ts";
import { type FileReading, type FileRow, readSuiteRows } from "./suite-rows.ts";

/** Which file, and how it is read. */
export type SuiteSource = {
  readonly file: string;
  /** Folder that the paths in it are relative to. */
  readonly root: string;
  /** Else the file's name without its ending. */
  readonly name: string | undefined;
  /** What seeds of rows without one are made from. */
  readonly baseSeed: bigint;
  /** Whether each content is decoded; else it is only hashed. */
  readonly isDecoded: boolean;
  readonly asJson: boolean;
};

/** A sound suite. */
export type LocalSuite = {
  readonly name: string;
  readonly suiteId: string;
  readonly rows: readonly SuiteRow[];
  /** One for each distinct content. */
  readonly files: readonly SuiteFile[];
};

/** Reads and checks everything; FIELD_INVALID with all faults, each at its line and column. */
export async function readSuite(context: CliContext, source: SuiteSource): Promise<LocalSuite> {
  const { output, interrupts, workingFolder } = context;
  const path = resolve(workingFolder, source.file);
  const fileName = basename(path);
  const reading = readSuiteRows(await textOf(path));
  if (!source.asJson) tellNotes(context, reading, fileName);
  const view = createCountView(output, source.asJson);
  const media = await readSuiteMedia(reading.named, {
    root: resolve(workingFolder, source.root),
    reader: source.isDecoded ? await openMediaReader(context) : undefined,
    signal: interrupts.signal,
    onProgress: (phase, done, total) => view.show(phase === "hash" ? "read files" : "decode clips", done, total),
  }).finally(() => view.stop());
  const faults = inOrder([...reading.faults, ...media.faults]);
  if (faults.length > 0) throw faultyFile(fileName, faults, "nothing was sent");
  const rows = reading.rows.map((row, position) => suiteRow(row, { position, files: media.files, baseSeed: source.baseSeed }));
  const files = new Map([...media.files.values()].map((file) => [file.sha256, file]));
  return {
    name: source.name ?? basename(fileName, extname(fileName)),
    suiteId: suiteId(rows, sha256),
    rows,
    files: [...files.values()],
  };
}

/** Lower-case hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Of 200,000 rows with long captions. */
const mostBytes = 512 * 1024 ** 2;

async function textOf(path: string): Promise<string> {
  const unreadable = (thrown: unknown): never => {
    const word = thrown instanceof Error && "code" in thrown ? String(thrown.code) : toFarmError(thrown).message;
    throw invalidOption("file", `${path} cannot be read (${word})`, "name a CSV file");
  };
  const found = await stat(path).catch(unreadable);
  // A device or a pipe may never end.
  if (!found.isFile()) throw invalidOption("file", `${path} is no file`, "name a CSV file");
  if (found.size > mostBytes) throw invalidOption("file", `${path} has more than ${mostBytes / 1024 ** 2} MiB`, "split the file");
  const bytes = await readFile(path).catch(unreadable);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalidOption("file", `${path} is no UTF-8 text`, "save the file as UTF-8");
  }
}

function tellNotes({ output }: CliContext, { unknownColumns, leftOut }: FileReading, fileName: string): void {
  if (unknownColumns.length > 0) output.note(plainText(`${fileName}: nothing is read from ${unknownColumns.join(", ")}`));
  if (leftOut > 0) output.note(`${fileName}: ${leftOut} ${leftOut === 1 ? "row is" : "rows are"} left out, since _valid says so`);
}

type Placing = { readonly position: number; readonly files: ReadonlyMap<string, SuiteFile>; readonly baseSeed: bigint };

function suiteRow(row: FileRow, { position, files, baseSeed }: Placing): SuiteRow {
  const hashOf = (path: string): string => files.get(path)?.sha256 ?? "";
  const content: RowContent = {
    targetSha256: hashOf(row.target.path),
    referenceSha256s: row.references.map(({ path }) => hashOf(path)),
    caption: row.caption,
    referenceCaptions: row.referenceCaptions,
    kind: row.kind,
  };
  return SuiteRow.fromPartial({
    ...content,
    referenceSha256s: [...content.referenceSha256s],
    referenceCaptions: [...content.referenceCaptions],
    position,
    line: row.line,
    seed: row.seed ?? rowSeed(content, baseSeed, sha256),
    targetPath: row.target.path,
    referencePaths: row.references.map(({ path }) => path),
  });
}

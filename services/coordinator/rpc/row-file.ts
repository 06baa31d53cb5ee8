/**
 * Rows of a stream between their check and their storing: a temporary file of JSON lines, so that their number is the disk's matter and a
 * client that sends slowly holds no transaction open.
 */
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { openPart } from "./upload-file.ts";

/** Rows of one statement: about two megabytes of renders. */
const rowsPerPart = 1_000;

/** A file being filled, then read as often as needed. */
export type RowFile<Row> = {
  add(rows: readonly Row[]): Promise<void>;
  /** To be called after the last `add`. */
  seal(): Promise<void>;
  parts(): AsyncIterable<readonly Row[]>;
  /** To be called in any case. */
  remove(): Promise<void>;
};

/** How a row becomes what JSON can hold, and comes back. */
export type RowCoding<Row, Line> = { readonly encode: (row: Row) => Line; readonly decode: (line: Line) => Row };

/** An empty file at `path` of rows that JSON can hold. */
export function openRowFile<Row>(path: string): Promise<RowFile<Row>> {
  return openCodedFile<Row, Row>(path, { encode: (row) => row, decode: (line) => line });
}

/** An empty file at `path`. */
export async function openCodedFile<Row, Line>(path: string, { encode, decode }: RowCoding<Row, Line>): Promise<RowFile<Row>> {
  const file = await openPart(path);
  return {
    add: (rows) => file.write(Buffer.from(rows.map((row) => `${lineOf(encode(row))}\n`).join(""))),
    seal: () => file.close(),
    parts: () => partsOf(path, (line) => decode(JSON.parse(line) as Line)),
    async remove() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

/** JSON without the two characters that a reader of lines takes for the end of one. */
function lineOf(value: unknown): string {
  return JSON.stringify(value).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

async function* partsOf<Row>(path: string, decode: (line: string) => Row): AsyncGenerator<readonly Row[]> {
  let part: Row[] = [];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    part.push(decode(line));
    if (part.length < rowsPerPart) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/**
 * A batch file's text → values that know where they stand: YAML, JSON (which is YAML) or one JSON document on each line.
 *
 * Every fault carries line and column of what it is about; nothing stops at the first.
 */
import { type Document, isCollection, isMap, isNode, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import type { FileFault, Place } from "../file-faults.ts";
import { canonicalName } from "./schema.ts";

/** A text as values, and where each of them stands. */
export type BatchSource = {
  /** As the schema takes it: names in their canonical spelling. */
  readonly value: unknown;
  readonly faults: readonly FileFault[];
  /** Where the value at a path begins; where its nearest parent does when there is none. */
  placeOf(path: readonly PropertyKey[]): Place;
  /** Where a key itself stands. */
  placeOfKey(path: readonly PropertyKey[], key: string): Place;
};

type Piece = { readonly document: Document.Parsed; readonly lines: LineCounter; readonly firstLine: number };

/** Reads the text; what cannot be read is in `faults`. */
export function readSource(text: string): BatchSource {
  return isJsonLines(text) ? linesSource(text) : documentSource(text);
}

/** Lines that are each a JSON object of their own; a single one is a render unless it has `renders`. */
function isJsonLines(text: string): boolean {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const objects = lines.map((line) => (/^\s*\{.*\}\s*$/.test(line) ? jsonObject(line) : undefined));
  if (objects.length === 0 || objects[0] === undefined) return false;
  return objects.length === 1 ? !("renders" in objects[0]) : lines.every((line) => /^\s*\{.*\}\s*$/.test(line));
}

function jsonObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function documentSource(text: string): BatchSource {
  const piece = parsePiece(text, 0);
  const value = valueOf(piece);
  const isList = Array.isArray(value.value);
  const inDocument = (path: readonly PropertyKey[]): readonly PropertyKey[] => (isList && path[0] === "renders" ? path.slice(1) : path);
  return {
    value: isList ? { renders: value.value } : (value.value ?? {}),
    faults: [...faultsOf(piece), ...value.faults],
    placeOf: (path) => placeIn(piece, inDocument(path)),
    placeOfKey: (path, key) => keyPlaceIn(piece, inDocument(path), key),
  };
}

function linesSource(text: string): BatchSource {
  const pieces = text
    .split("\n")
    .map((line, index) => ({ line, index }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, index }) => parsePiece(line, index));
  const values = pieces.map(valueOf);
  const pieceOf = (path: readonly PropertyKey[]): Piece | undefined => pieces[Number(path[1] ?? 0)] ?? pieces[0];
  const start = { line: 1, column: 1 };
  return {
    value: { renders: values.map(({ value }) => value) },
    faults: [...pieces.flatMap(faultsOf), ...values.flatMap(({ faults }) => faults)],
    placeOf: (path) => {
      const piece = pieceOf(path);
      return piece === undefined ? start : placeIn(piece, path.slice(2));
    },
    placeOfKey: (path, key) => {
      const piece = pieceOf(path);
      return piece === undefined ? start : keyPlaceIn(piece, path.slice(2), key);
    },
  };
}

function parsePiece(text: string, firstLine: number): Piece {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, intAsBigInt: true, version: "1.2" });
  visit(document, {
    Pair(_key, pair) {
      if (isScalar(pair.key) && typeof pair.key.value === "string") pair.key.value = canonicalName(pair.key.value);
    },
  });
  return { document, lines, firstLine };
}

function valueOf(piece: Piece): { readonly value: unknown; readonly faults: readonly FileFault[] } {
  if (piece.document.errors.length > 0) return { value: undefined, faults: [] };
  try {
    return { value: piece.document.toJS({ maxAliasCount: 1_000 }), faults: [] };
  } catch (thrown) {
    const reason = reasonText(thrown instanceof Error ? thrown.message : String(thrown));
    return { value: undefined, faults: [{ line: 1 + piece.firstLine, column: 1, field: "", reason, expected: "fewer aliases" }] };
  }
}

const maxReasonCharacters = 160;

/** The parser's words, which may quote a line of any length; what it says of its own stack is about nesting. */
function reasonText(message: string): string {
  if (/call stack|stack overflow/i.test(message)) return "is nested too deeply";
  return message.length > maxReasonCharacters ? `${message.slice(0, maxReasonCharacters - 1)}…` : message;
}

function faultsOf(piece: Piece): readonly FileFault[] {
  return piece.document.errors.map((error) => ({
    ...placeAt(piece, error.pos[0]),
    field: "",
    reason: reasonText(error.message),
    expected: "YAML, JSON, or a JSON object on each line",
  }));
}

function placeAt({ lines, firstLine }: Piece, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line) + firstLine, column: Math.max(1, col) };
}

function placeIn(piece: Piece, path: readonly PropertyKey[]): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = nodeAt(piece.document, path.slice(0, length));
    if (node?.range !== undefined && node.range !== null) return placeAt(piece, node.range[0]);
  }
  return placeAt(piece, 0);
}

function nodeAt(document: Document.Parsed, path: readonly PropertyKey[]): Node | undefined {
  if (path.length === 0) return document.contents ?? undefined;
  const found = isCollection(document.contents) ? document.getIn(path, true) : undefined;
  return isNode(found) ? found : undefined;
}

function keyPlaceIn(piece: Piece, path: readonly PropertyKey[], key: string): Place {
  const holder = nodeAt(piece.document, path);
  const pair = isMap(holder) ? holder.items.find(({ key: each }) => isScalar(each) && each.value === key) : undefined;
  if (pair !== undefined && isScalar(pair.key) && pair.key.range != null) return placeAt(piece, pair.key.range[0]);
  return placeIn(piece, path);
}

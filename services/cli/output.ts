/**
 * The only place of the CLI that writes: results on stdout, everything beside them on stderr.
 *
 * So `--json` leaves nothing but JSON on stdout, and a pipe never sees a progress bar, a colour or a cut cell. Of control characters only
 * line breaks, tabs and, where there is colour, colours reach a line: what a farm tells cannot move the cursor.
 */
import type { Environment } from "../platform/config.ts";
import { coloured, hasColour, type Paint, plain } from "./colour.ts";

/** Where a command writes. */
export type Output = {
  /** What was asked for. */
  line(text?: string): void;
  /** What stands beside it: progress, warnings, hints. */
  note(text: string): void;
  /** One JSON document on a line of its own. */
  json(value: unknown): void;
  /** The same on stderr: an error, in JSON mode. */
  jsonNote(value: unknown): void;
  /** Raw text on stdout: cursor movements, or bytes of an artifact; resolves once the stream takes more. */
  write(text: string | Uint8Array): Promise<void>;
  /** Styles text for stdout. */
  readonly paint: Paint;
  /** Styles text for stderr. */
  readonly paintNote: Paint;
  /** What stdout shows on. */
  readonly screen: Screen;
  /** Whether a person watches stderr. */
  readonly isTty: boolean;
  readonly errorStream: NodeJS.WriteStream;
};

/** What stdout shows on. */
export type Screen = {
  /** Whether a person watches stdout. */
  readonly isTerminal: boolean;
  /** Cells of a line now; undefined where lines may be as long as they like. */
  columns(): number | undefined;
  /** Lines now; undefined where there is no end. */
  rows(): number | undefined;
  /** Told of each change of size until the returned function is called. */
  onResize(listener: () => void): () => void;
};

type Streams = { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream };

/** Writes to the process's streams. */
export function createOutput(streams: Streams, environment: Environment): Output {
  const { stdout, stderr } = streams;
  const hasColours = hasColour(stdout.isTTY, environment);
  const hasNoteColours = hasColour(stderr.isTTY, environment);
  return {
    line: (text = "") => void stdout.write(`${shownText(text, hasColours)}\n`),
    note: (text) => void stderr.write(`${shownText(text, hasNoteColours)}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value, writeBigint)}\n`),
    jsonNote: (value) => void stderr.write(`${JSON.stringify(value, writeBigint)}\n`),
    write: (text) => new Promise((resolve) => void stdout.write(text, () => resolve())),
    paint: hasColours ? coloured : plain,
    paintNote: hasNoteColours ? coloured : plain,
    screen: screenOf(stdout),
    isTty: stderr.isTTY,
    errorStream: stderr,
  };
}

/** Lines without anything else that a terminal acts on, nor marks that turn the direction of reading. */
export function shownText(text: string, hasColours: boolean): string {
  // eslint-disable-next-line no-control-regex -- a colour begins with one
  const unshown = /(\u001b\[[\d;]*m)|[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/gu;
  return text.replace(unshown, (found, colour: string | undefined) => (colour !== undefined && hasColours ? found : " "));
}

function screenOf(stdout: NodeJS.WriteStream): Screen {
  const isTerminal = stdout.isTTY;
  return {
    isTerminal,
    // A terminal that does not know its size says 0.
    columns: () => (isTerminal && stdout.columns > 0 ? stdout.columns : undefined),
    rows: () => (isTerminal && stdout.rows > 0 ? stdout.rows : undefined),
    onResize(listener) {
      stdout.on("resize", listener);
      return () => void stdout.off("resize", listener);
    },
  };
}

function writeBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

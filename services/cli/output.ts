/**
 * The only place of the CLI that writes: results on stdout, everything beside them on stderr.
 *
 * So `--json` leaves nothing but JSON on stdout, and a pipe never sees a progress bar.
 */

export type Output = {
  /** What was asked for. */
  line(text?: string): void;
  /** What stands beside it: progress, warnings, hints. */
  note(text: string): void;
  /** One JSON document on a line of its own. */
  json(value: unknown): void;
  /** Whether a person watches stderr. */
  readonly isTty: boolean;
  readonly errorStream: NodeJS.WriteStream;
};

/** Writes to the process's streams. */
export function createOutput(streams: { readonly stdout: NodeJS.WriteStream; readonly stderr: NodeJS.WriteStream }): Output {
  const { stdout, stderr } = streams;
  return {
    line: (text = "") => void stdout.write(`${text}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value, writeBigint)}\n`),
    isTty: stderr.isTTY,
    errorStream: stderr,
  };
}

function writeBigint(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

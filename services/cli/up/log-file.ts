/**
 * Lines of a program that does not write its own file.
 */
import { createWriteStream } from "node:fs";

/** A file that lines are appended to. */
export type LogFile = { readonly line: (text: string) => void; readonly close: () => void };

/** Appends to a private file; lines after `close` are dropped. */
export function openLogFile(path: string): LogFile {
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  // A full disk must not end the farm: the log is not its truth.
  stream.on("error", () => undefined);
  return {
    line: (text) => {
      if (!stream.writableEnded) stream.write(`${text}\n`);
    },
    close: () => stream.end(),
  };
}

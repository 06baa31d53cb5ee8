/**
 * Lines of JSON that one process appends to a file of its own, for whoever wants to hold what it did against what others say of it.
 *
 * Invariants: a line is one write to a file opened for appending, made before whatever is told of the same thing, so a killed process leaves
 * whole lines and at most one torn last one. Nothing is flushed: a journal outlives its process, not its machine.
 */
import { mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { toFarmError } from "../domain/errors.ts";
import type { Logger } from "./logging.ts";

export type Journal<Line extends object> = {
  /** Writes the line with the time of now. A line that cannot be written is logged: it ends nothing. */
  write(line: Line): void;
};

/** What no journal is kept with. */
export const noJournal: Journal<object> = { write: () => undefined };

/** Opens `<folder>/<name>-<process id>-<ms>.jsonl`; the folder is made. */
export function openJournal<Line extends object>(folder: string, name: string, logger: Pick<Logger, "warn">): Journal<Line> {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-${process.pid}-${Date.now()}.jsonl`);
  const file = openSync(path, "a");
  return {
    write(line) {
      try {
        writeSync(file, `${JSON.stringify({ atMs: Date.now(), ...line })}\n`);
      } catch (thrown) {
        logger.warn({ err: toFarmError(thrown), path }, "a line of the journal is lost");
      }
    },
  };
}

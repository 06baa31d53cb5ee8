/**
 * What is wrong in a file that a person wrote: each fault with its place, all of them in one refusal.
 */
import { FarmError } from "../domain/errors.ts";

/** In a file, both from 1 on. */
export type Place = { readonly line: number; readonly column: number };

/** One thing that is wrong in the file. */
export type FileFault = Place & {
  /** E.g. `renders[2].steps`, or a column's name; empty for the file as a whole. */
  readonly field: string;
  readonly reason: string;
  readonly expected: string;
};

/** As they stand in the file. */
export function inOrder(faults: readonly FileFault[]): readonly FileFault[] {
  return faults.toSorted((left, right) => left.line - right.line || left.column - right.column);
}

/** FIELD_INVALID with every fault as `name:line:column field`; `undone` says what did not happen, e.g. "nothing was submitted". */
export function faultyFile(name: string, faults: readonly FileFault[], undone: string): FarmError {
  const fields = faults.map(({ line, column, field, reason, expected }) => ({
    field: `${name}:${line}:${column}${field === "" ? "" : ` ${field}`}`,
    reason,
    remedy: `expected: ${expected}`,
  }));
  const message = `${name} has ${faults.length} ${faults.length === 1 ? "fault" : "faults"}; ${undone}`;
  return new FarmError("FIELD_INVALID", { message, details: { fields, remedy: "correct what is named and hand in the file again" } });
}

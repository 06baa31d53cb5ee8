/**
 * `--rows 0-7,12`: positions of rows, each once, in ascending order.
 */
import { maxSuiteRows } from "../../domain/suite-rules.ts";
import { invalidOption } from "../ages.ts";

/** The positions that the text names; FIELD_INVALID naming the option for anything else. */
export function rowListOf(option: string, text: string | undefined): readonly number[] {
  if (text === undefined) return [];
  const positions = new Set<number>();
  for (const part of text.split(",")) {
    const [, from, to] = /^\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*$/.exec(part) ?? [];
    const first = Number(from);
    const last = Number(to ?? from);
    if (from === undefined || last < first || last >= maxSuiteRows) {
      throw invalidOption(option, `"${part}" names no rows`, "give positions and ranges such as 0-7,12");
    }
    for (let position = first; position <= last; position += 1) positions.add(position);
  }
  return [...positions].sort((left, right) => left - right);
}

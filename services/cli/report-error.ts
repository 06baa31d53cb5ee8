/**
 * How a failure looks: code, message, fields, remedy.
 */
import type { FarmError } from "../domain/errors.ts";
import type { Output } from "./output.ts";
import { plainText } from "./table.ts";

/** Prints an error for people on stderr, or as one JSON document there. */
export function reportError(output: Output, error: FarmError, asJson: boolean): void {
  if (asJson) {
    output.jsonNote({ error: errorToJson(error) });
    return;
  }
  output.note(`${output.paintNote(["bold", "red"], `error ${error.code}`)}: ${plainText(error.message)}`);
  for (const { field, reason, remedy } of error.details.fields ?? []) {
    output.note(plainText(`  ${field}: ${reason}${remedy === "" ? "" : ` (${remedy})`}`));
  }
  output.note(plainText(`  what to do: ${remedyOf(error)}`));
}

function errorToJson(error: FarmError) {
  return { code: error.code, message: error.message, fields: error.details.fields ?? [], remedy: remedyOf(error) };
}

function remedyOf(error: FarmError): string {
  const own = error.details["remedy"];
  return typeof own === "string" ? own : error.row.remedy;
}

/**
 * When text is coloured: on a terminal, unless NO_COLOR says no; anywhere, when FORCE_COLOR says yes.
 */
import { styleText } from "node:util";
import type { Environment } from "../platform/config.ts";

/** How text may be painted. */
export type Format = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "cyan" | "inverse";

/** Styles text, or leaves it as it is. */
export type Paint = (format: Format | readonly Format[], text: string) => string;

/** FORCE_COLOR wins over NO_COLOR (any value but empty), both over what the stream is. */
export function hasColour(isTerminal: boolean, environment: Environment): boolean {
  const forced = environment["FORCE_COLOR"];
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  const refused = environment["NO_COLOR"];
  if (refused !== undefined && refused !== "") return false;
  return isTerminal && environment["TERM"] !== "dumb";
}

/** Text as it is. */
export const plain: Paint = (_format, text) => text;

/** Text with escape sequences. */
export const coloured: Paint = (format, text) =>
  text === "" ? "" : styleText(typeof format === "string" ? format : [...format], text, { validateStream: false });

/**
 * JSON as Python's json.dump(…, indent=4) writes it: ASCII only, floats by their repr, NaN and infinities bare; and as it must be read again.
 *
 * Python tells 1 from 1.0, so here a number is always a float and a bigint an integer.
 */

/** Keys that look like integers come first, as objects order them; no file of VBench has such. */
export type PythonValue = null | boolean | string | number | bigint | readonly PythonValue[] | { readonly [key: string]: PythonValue };

/** What was read: NaN and infinities are numbers. */
export type JsonValue = null | boolean | string | number | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [key: string]: JsonValue };

export type JsonReading = { readonly isRead: true; readonly value: JsonValue } | { readonly isRead: false; readonly reason: string };

const indentWidth = 4;
const escaped = /["\\]|[^\u0020-\u007e]/g;
const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

/** json.dumps(value, indent=4). */
export function pythonJson(value: PythonValue): string {
  return written(value, 0);
}

/** repr(float): the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on; json's own words for what is no number. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (Object.is(value, -0)) return "-0.0";
  const [digits = "", exponentText = "0"] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return plainDecimal(digits, exponent);
}

/** Digits d.ddd times ten to an exponent of −4..15, written without it. */
function plainDecimal(digits: string, exponent: number): string {
  const sign = digits.startsWith("-") ? "-" : "";
  const bare = digits.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${bare}`;
  const whole = bare.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${bare.slice(exponent + 1) || "0"}`;
}

function written(value: PythonValue, depth: number): string {
  switch (typeof value) {
    case "number":
      return pythonFloat(value);
    case "bigint":
    case "boolean":
      return String(value);
    case "string":
      return pythonString(value);
    default:
      return value === null ? "null" : writtenGroup(value, depth);
  }
}

function writtenGroup(value: readonly PythonValue[] | { readonly [key: string]: PythonValue }, depth: number): string {
  if (isList(value)) {
    return bracketed(
      "[]",
      value.map((item) => written(item, depth + 1)),
      depth,
    );
  }
  const items = Object.entries(value).map(([key, item]) => `${pythonString(key)}: ${written(item, depth + 1)}`);
  return bracketed("{}", items, depth);
}

function isList(value: readonly PythonValue[] | { readonly [key: string]: PythonValue }): value is readonly PythonValue[] {
  return Array.isArray(value);
}

function bracketed(brackets: "[]" | "{}", items: readonly string[], depth: number): string {
  if (items.length === 0) return brackets;
  const inner = " ".repeat(indentWidth * (depth + 1));
  return `${brackets.charAt(0)}\n${items.map((item) => inner + item).join(",\n")}\n${" ".repeat(indentWidth * depth)}${brackets.charAt(1)}`;
}

/** Characters beyond U+FFFF become their two surrogates, as Python escapes them. */
function pythonString(text: string): string {
  const inside = text.replace(escaped, (unit) => shortEscapes[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `"${inside}"`;
}

const tokens = /\\[^]|"|-?\bInfinity\b|\bNaN\b/g;
const words: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };

/** Reads JSON in which bare NaN, Infinity and -Infinity may stand for numbers; in strings they stay text. Its time is linear in the text. */
export function readPythonJson(text: string): JsonReading {
  const mark = unusedMark(text);
  const revive = (_: string, item: JsonValue, context?: { readonly source?: string }): JsonValue | undefined =>
    typeof item === "string" && context?.source?.startsWith(`"${mark}`) === true ? words[item.slice(mark.length)] : item;
  try {
    return { isRead: true, value: JSON.parse(withMarks(text.replace(/^\ufeff/, ""), mark), revive) as JsonValue };
  } catch (thrown) {
    return { isRead: false, reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

/** The text with a marked string for each such word outside of strings: one pass, which an unclosed string does not begin again. */
function withMarks(text: string, mark: string): string {
  let isInString = false;
  return text.replace(tokens, (token) => {
    if (token === '"') isInString = !isInString;
    return !isInString && token in words ? `"${mark}${token}"` : token;
  });
}

/** What no string of the text begins with as it is written. Short, as every word gets one, and found without trying each. */
function unusedMark(text: string): string {
  const used = new Set(Array.from(text.matchAll(/not a number (\d+)/g), ([, digits]) => Number(digits)));
  let free = 0;
  while (used.has(free)) free += 1;
  return `not a number ${free}:`;
}

/** Tells an object from a list, a text or a number. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells a list. */
export function isJsonList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

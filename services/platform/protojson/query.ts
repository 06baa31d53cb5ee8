/**
 * Query and path parameters → the JSON of a request.
 *
 * Names are proto names or JSON names, dots lead into messages, a repeated field takes every value in order. Values are turned into the JSON
 * that the field's type has; whether they are right is the JSON reader's to say. A name that is unknown, given twice for a single field, or
 * already given by the path is a violation, never ignored.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FarmError, type FieldViolation } from "../../domain/errors.ts";
import { decodeComponent } from "./path-template.ts";

type JsonObject = { [name: string]: unknown };

/** Where parameters came from. */
export type Parameters = {
  /** Field name → value. */
  readonly path: ReadonlyMap<string, string>;
  /** As sent, without the question mark. */
  readonly query: string;
};

/** The JSON of a request that parameters make. */
export function parametersToJson(message: DescMessage, parameters: Parameters): JsonObject {
  const json: JsonObject = {};
  const taken = new Set<string>();
  for (const [name, text] of parameters.path) {
    place({ json, message, taken }, name.split("."), text);
    taken.add(`path ${name}`);
  }
  const violations: FieldViolation[] = [];
  for (const [name, text] of pairsOf(parameters.query)) {
    const reason = place({ json, message, taken }, name.split("."), text);
    if (reason !== undefined) violations.push({ field: name, reason, remedy: "correct or leave out this parameter" });
  }
  if (violations.length > 0) throw refused(violations);
  return json;
}

function refused(fields: readonly FieldViolation[]): FarmError {
  const message = fields.map(({ field, reason }) => `${field}: ${reason}`).join("; ");
  return new FarmError("FIELD_INVALID", { message, details: { fields } });
}

function* pairsOf(query: string): Generator<readonly [name: string, text: string]> {
  for (const pair of query.split("&")) {
    if (pair === "") continue;
    const [name = "", ...rest] = pair.replaceAll("+", " ").split("=");
    yield [decodeComponent(name), decodeComponent(rest.join("="))];
  }
}

type Place = { readonly json: JsonObject; readonly message: DescMessage; readonly taken: Set<string> };

/** Puts a value where its name leads; a reason when it cannot be put there. */
function place({ json, message, taken }: Place, names: readonly string[], text: string): string | undefined {
  let target = json;
  let fields = message;
  for (const [index, name] of names.entries()) {
    const field = fields.fields.find((one) => one.name === name || one.jsonName === name);
    if (field === undefined) return "no such parameter";
    if (index === names.length - 1) return put({ target, field, taken, path: names.slice(0, index) }, text);
    if (field.fieldKind !== "message" || isWritten(field.message)) return "this parameter has no fields";
    const inner = (target[field.jsonName] ??= {}) as JsonObject;
    target = inner;
    fields = field.message;
  }
  return "no such parameter";
}

type Slot = { readonly target: JsonObject; readonly field: DescField; readonly taken: Set<string>; readonly path: readonly string[] };

function put({ target, field, taken, path }: Slot, text: string): string | undefined {
  const name = [...path, field.name].join(".");
  if (taken.has(`path ${name}`)) return "the path gives this already";
  if (field.fieldKind === "map" || (field.fieldKind === "message" && !isWritten(field.message))) return "not a single value";
  if (field.fieldKind === "list") {
    if (field.listKind === "message") return "not a single value";
    ((target[field.jsonName] ??= []) as unknown[]).push(valueOf(field, text));
    return undefined;
  }
  if (taken.has(name)) return "given more than once";
  taken.add(name);
  target[field.jsonName] = valueOf(field, text);
  return undefined;
}

/** Messages whose JSON is one string. */
function isWritten(message: DescMessage): boolean {
  return ["google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"].includes(message.typeName);
}

const booleans = new Map([
  ["true", true],
  ["false", false],
]);

function valueOf(field: DescField, text: string): unknown {
  if (field.enum !== undefined) return /^-?\d{1,10}$/.test(text) ? Number(text) : text;
  if (field.scalar === ScalarType.BOOL) return booleans.get(text) ?? text;
  // The JSON of a mask spells names as JSON does; in a query both spellings are natural.
  if (field.message?.typeName === "google.protobuf.FieldMask")
    return text.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
  return text;
}

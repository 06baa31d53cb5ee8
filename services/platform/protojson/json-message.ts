/**
 * Strict proto JSON in, proto JSON out, by descriptors.
 *
 * Reading refuses unknown names, names given twice and values of a wrong type, and says where: the path of the first field that is wrong, in
 * proto names (`render.references[1].inline`). Writing gives every field without presence, empty or not, so that readers need no defaults.
 */
import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  fromJsonString,
  type JsonValue,
  type Message,
  type Registry,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { FarmError } from "../../domain/errors.ts";

const maxReasonCharacters = 300;

/** Reads a message from JSON text; throws FIELD_INVALID, or REQUEST_MALFORMED for what is no JSON object. */
export function readJsonText(message: DescMessage, text: string): Message {
  const json = parse(text);
  if (!isObject(json)) throw new FarmError("REQUEST_MALFORMED", { message: "the body is not a JSON object" });
  return reading(message, json, () => fromJsonString(message, text));
}

/** Reads a message from a JSON value. */
export function readJson(message: DescMessage, json: { readonly [name: string]: unknown }): Message {
  return reading(message, json, () => fromJson(message, json as JsonValue));
}

/** The JSON of an encoded message. */
export function binaryToJson(message: DescMessage, bytes: Uint8Array, registry: Registry): JsonValue {
  return toJson(message, fromBinary(message, bytes), { registry, alwaysEmitImplicit: true });
}

/** A message's encoding. */
export function encodeMessage(message: DescMessage, value: Message): Uint8Array<ArrayBuffer> {
  return toBinary(message, value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new FarmError("REQUEST_MALFORMED", { message: "the body is not JSON", cause });
  }
}

function reading(message: DescMessage, json: JsonObject, read: () => Message): Message {
  try {
    return read();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    const fault = faultIn(message, json) ?? { path: "", reason: text };
    const reason = reasonOf(fault.reason);
    const field = { field: fault.path, reason, remedy: "see this message in /v1/openapi.json" };
    const place = fault.path === "" ? message.name : fault.path;
    throw new FarmError("FIELD_INVALID", { message: `${place}: ${reason}`, details: { fields: [field] }, cause });
  }
}

/** The reader's own words without the type names, which say less than the path. */
function reasonOf(text: string): string {
  const reason = text.replace(/^cannot decode (?:field|message|enum|\w+) \S+ from JSON:? ?/, "");
  return reason.length > maxReasonCharacters ? `${reason.slice(0, maxReasonCharacters)}…` : reason;
}

type JsonObject = { readonly [name: string]: unknown };
type Fault = { readonly path: string; readonly reason: string };

function isObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** The first and deepest place whose value alone cannot be read. */
function faultIn(message: DescMessage, json: JsonObject): Fault | undefined {
  for (const [name, value] of Object.entries(json)) {
    const field = message.fields.find((one) => one.name === name || one.jsonName === name);
    if (field === undefined) return { path: name.slice(0, maxReasonCharacters), reason: "no such field" };
    const fault = faultOf(message, { [name]: value });
    if (fault === undefined) continue;
    const deeper = deeperFault(field, value);
    return deeper === undefined ? { path: field.name, reason: fault } : { ...deeper, path: `${field.name}${deeper.path}` };
  }
  return undefined;
}

function deeperFault(field: DescField, value: unknown): Fault | undefined {
  if (field.fieldKind === "message" && isObject(value)) return below(".", faultIn(field.message, value));
  if (field.fieldKind !== "list" || !Array.isArray(value)) return undefined;
  for (const [index, item] of (value as readonly unknown[]).entries()) {
    const fault = faultOf(field.parent, { [field.name]: [item] });
    if (fault === undefined) continue;
    const deeper = field.listKind === "message" && isObject(item) ? faultIn(field.message, item) : undefined;
    return below(`[${index}]`, deeper === undefined ? { path: "", reason: fault } : { ...deeper, path: `.${deeper.path}` });
  }
  return undefined;
}

function below(prefix: string, fault: Fault | undefined): Fault | undefined {
  return fault === undefined ? undefined : { ...fault, path: `${prefix}${fault.path}` };
}

function faultOf(message: DescMessage, json: JsonObject): string | undefined {
  try {
    fromJson(message, json as JsonValue);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

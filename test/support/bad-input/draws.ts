/**
 * Draws of requests: proto JSON of any message with any of its fields set to anything that their types can hold, with a liking for edges.
 */
import { type DescField, type DescMessage, type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.toWellFormed()),
  fc.constantFrom(
    "",
    "../..",
    "\u0000",
    "%00",
    "'--",
    "https://127.0.0.1/",
    "s3://a/b",
    "\u202E",
    "0".repeat(64),
    "00000000-0000-4000-8000-000000000000",
  ),
  fc.constantFrom("JOB", "DONE", "WORKER", "IMAGE", "CLIP"),
);
const integers = fc.oneof(fc.constantFrom(0, 1, -1, 2_147_483_647, -2_147_483_648), fc.integer());

/** Proto JSON of a message with any of its fields set to anything that their types can hold. */
export function messageOf(message: DescMessage, depth = 0): fc.Arbitrary<JsonObject> {
  const fields = message.fields.filter((field) => depth < 3 || field.fieldKind === "scalar");
  const oneofs = new Map<string, string>();
  const entries = fields.map((field): [string, fc.Arbitrary<JsonValue | undefined>] => {
    if (field.oneof !== undefined) oneofs.set(field.jsonName, field.oneof.name);
    return [field.jsonName, fc.option(valueOf(field, depth), { nil: undefined })];
  });
  return fc.record(Object.fromEntries(entries)).map((drawn) => oneOfEach(drawn, oneofs));
}

/** Without the absent fields, and with one member of each oneof at most. */
function oneOfEach(drawn: Readonly<Record<string, JsonValue | undefined>>, oneofs: ReadonlyMap<string, string>): JsonObject {
  const taken = new Set<string>();
  const kept: JsonObject = {};
  for (const [name, value] of Object.entries(drawn)) {
    const oneof = oneofs.get(name);
    if (value === undefined || (oneof !== undefined && taken.has(oneof))) continue;
    if (oneof !== undefined) taken.add(oneof);
    kept[name] = value;
  }
  return kept;
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  const one = singleOf(field, depth);
  return field.fieldKind === "list" ? fc.array(one, { maxLength: 4 }) : one;
}

function singleOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  if (field.message?.typeName === "google.protobuf.Timestamp") {
    return fc.constantFrom("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z");
  }
  if (field.message?.typeName === "google.protobuf.FieldMask") return fc.constantFrom("", "state", "priority,deadline", "a.b", "nonsense");
  if (field.message?.typeName === "google.rpc.Status") return fc.constant({ code: 3, message: "x" });
  if (field.message !== undefined) return messageOf(field.message, depth + 1);
  if (field.enum !== undefined) return integers;
  return scalarOf(field);
}

function scalarOf({ scalar }: DescField): fc.Arbitrary<JsonValue> {
  switch (scalar) {
    case ScalarType.STRING:
      return texts;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom("NaN", "Infinity", "-Infinity"));
    case ScalarType.INT64:
      return fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String), fc.constantFrom("0", "-1", "9223372036854775807"));
    default:
      return integers;
  }
}

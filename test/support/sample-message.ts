/**
 * Messages of any type with every field set, from their descriptors: what a mapping must carry over, whatever fields a proto gets.
 */
import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";

const written: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": "2026-01-02T03:04:05.678Z",
  "google.protobuf.Duration": "1.500s",
  "google.protobuf.FieldMask": "state,endTime",
};
const any = {
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason: "FIELD_INVALID",
  domain: "vapfarm",
  metadata: { remedy: "none" },
};

/** The proto JSON of a message in which every field has a value that tells it from its neighbours; of a oneof, the first. */
export function sampleJson(message: DescMessage, depth = 0): { [name: string]: JsonValue } {
  const seenOneofs = new Set<string>();
  const fields = message.fields.filter((field) => {
    const oneof = field.oneof?.name;
    if (oneof === undefined) return true;
    if (seenOneofs.has(oneof)) return false;
    seenOneofs.add(oneof);
    return true;
  });
  return Object.fromEntries(fields.map((field) => [field.jsonName, fieldJson(field, depth)]));
}

function fieldJson(field: DescField, depth: number): JsonValue {
  if (field.fieldKind === "list") return [valueJson(field, depth, 0), valueJson(field, depth, 1)];
  if (field.fieldKind === "map") return { one: valueJson(field, depth, 0) };
  return valueJson(field, depth, 0);
}

function valueJson(field: DescField, depth: number, item: number): JsonValue {
  const { message, number } = field;
  if (message !== undefined) {
    if (message.typeName === "google.protobuf.Any") return any;
    return written[message.typeName] ?? sampleJson(message, depth + 1);
  }
  if (field.enum !== undefined) return field.enum.values.at(-1 - item)?.name ?? "";
  return scalarJson(field.scalar, number + item, field.name);
}

function scalarJson(scalar: ScalarType | undefined, number: number, name: string): JsonValue {
  switch (scalar) {
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return Buffer.from(`bytes ${number}`).toString("base64");
    case ScalarType.STRING:
      return `${name} ${number} ä/?&=+%:"`;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return number + 0.5;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return (9_007_199_254_740_993n + BigInt(number)).toString();
    default:
      return number;
  }
}

/**
 * JSON Schemas (2020-12, as OpenAPI 3.1 takes them) of messages, enums and fields, saying what proto JSON is.
 *
 * A message or enum is a component, named without its package, and referred to. 64-bit numbers are strings; numbers may be given as strings
 * too, which is not told: what is told is what is sent.
 */
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { commentOf } from "./comments.ts";

/** A JSON Schema. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a field's schema leads to. */
export type SchemaType = DescMessage | DescEnum;

/** Messages whose JSON is no object of their fields. */
const special: ReadonlyMap<string, JsonSchema> = new Map([
  ["google.protobuf.Timestamp", { type: "string", format: "date-time" }],
  ["google.protobuf.Duration", { type: "string", pattern: "^-?[0-9]+(\\.[0-9]+)?s$" }],
  ["google.protobuf.FieldMask", { type: "string", description: "Names of fields in lowerCamelCase, separated by commas." }],
  ["google.protobuf.Any", { type: "object", properties: { "@type": { type: "string" } }, required: ["@type"] }],
]);

const int64: JsonSchema = { type: "string", format: "int64", pattern: "^-?[0-9]+$" };
const uint64: JsonSchema = { type: "string", format: "uint64", pattern: "^[0-9]+$" };
const int32: JsonSchema = { type: "integer", format: "int32" };
const scalars: ReadonlyMap<ScalarType, JsonSchema> = new Map<ScalarType, JsonSchema>([
  [ScalarType.DOUBLE, { type: "number", format: "double" }],
  [ScalarType.FLOAT, { type: "number", format: "float" }],
  [ScalarType.INT64, int64],
  [ScalarType.SINT64, int64],
  [ScalarType.SFIXED64, int64],
  [ScalarType.UINT64, uint64],
  [ScalarType.FIXED64, uint64],
  [ScalarType.INT32, int32],
  [ScalarType.SINT32, int32],
  [ScalarType.SFIXED32, int32],
  [ScalarType.UINT32, { type: "integer", minimum: 0 }],
  [ScalarType.FIXED32, { type: "integer", minimum: 0 }],
  [ScalarType.BOOL, { type: "boolean" }],
  [ScalarType.STRING, { type: "string" }],
  [ScalarType.BYTES, { type: "string", contentEncoding: "base64" }],
]);

/** Where the schema of a type is found. */
export function referenceTo(type: SchemaType): JsonSchema {
  return special.get(type.typeName) ?? { $ref: `#/components/schemas/${componentName(type)}` };
}

/** The name of a type's component. */
export function componentName({ typeName, file }: SchemaType): string {
  return typeName.slice(file.proto.package.length + 1).replaceAll(".", "_");
}

/** The schema of a field, with what is said of it. */
export function fieldSchema(field: DescField): JsonSchema {
  const description = commentOf(field);
  const schema = field.fieldKind === "list" ? { type: "array", items: valueSchema(field) } : mapOr(field);
  return description === "" ? schema : { ...schema, description };
}

function mapOr(field: DescField): JsonSchema {
  return field.fieldKind === "map" ? { type: "object", additionalProperties: valueSchema(field) } : valueSchema(field);
}

function valueSchema(field: DescField): JsonSchema {
  const type = field.message ?? field.enum;
  if (type !== undefined) return referenceTo(type);
  return (field.scalar === undefined ? undefined : scalars.get(field.scalar)) ?? {};
}

/** The schema of a message or enum itself. */
export function typeSchema(type: SchemaType): JsonSchema {
  const description = commentOf(type);
  const said = description === "" ? {} : { description };
  if (type.kind === "enum") return { type: "string", enum: type.values.map(({ name }) => name), ...said, ...valueNotes(type) };
  const properties = Object.fromEntries(type.fields.map((field) => [field.jsonName, fieldSchema(field)]));
  return { type: "object", properties, additionalProperties: false, ...said };
}

function valueNotes({ values }: DescEnum): JsonSchema {
  return { "x-enum-descriptions": values.map((value) => commentOf(value)) };
}

/** Every message and enum that messages lead to, themselves among them, each once. */
export function typesBelow(roots: readonly DescMessage[]): readonly SchemaType[] {
  const found = new Map<string, SchemaType>();
  const add = (type: SchemaType): void => {
    if (special.has(type.typeName) || found.has(type.typeName)) return;
    found.set(type.typeName, type);
    if (type.kind === "enum") return;
    for (const field of type.fields) {
      const next = field.message ?? field.enum;
      if (next !== undefined) add(next);
    }
  };
  roots.forEach(add);
  return [...found.values()];
}

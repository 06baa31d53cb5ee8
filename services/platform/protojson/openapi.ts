/**
 * The OpenAPI 3.1 document of a service, from the same descriptors that its HTTP routes come from; the protos' comments are its words.
 *
 * What a server stream is over HTTP is the gateway's: `streams` says it by method; `more` adds what has no annotation.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { commentOf } from "./comments.ts";
import { componentName, fieldSchema, type JsonSchema, referenceTo, type SchemaType, typesBelow, typeSchema } from "./json-schema.ts";
import { messageOf, type RpcMethod, type ServiceMap } from "./service-map.ts";

/** What the descriptors cannot say. */
export type OpenApiOptions = {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** Content of the answers of server streams, by method. */
  readonly streams: (method: RpcMethod) => JsonSchema;
  /** Parameters of the proto that HTTP spells otherwise, as `Method.field`. */
  readonly hidden: ReadonlySet<string>;
  /** Further paths. */
  readonly more: Readonly<Record<string, JsonSchema>>;
};

/** The document, ready to be sent. */
export function openApiOf(map: ServiceMap, options: OpenApiOptions): JsonSchema {
  const served = map.methods.filter(({ http }) => http !== undefined);
  const failure = messageOf(map, "google.rpc.Status");
  const paths: Record<string, Record<string, unknown>> = {};
  for (const method of served) {
    const path = (paths[method.http?.template.text ?? ""] ??= {});
    path[method.http?.verb.toLowerCase() ?? ""] = operation(method, options);
  }
  for (const [path, item] of Object.entries(options.more)) paths[path] = { ...paths[path], ...item };
  const types = typesBelow([...map.methods.flatMap(({ input, output }) => [input, output]), failure]);
  return {
    openapi: "3.1.0",
    info: { title: options.title, version: options.version, description: options.description },
    servers: [{ url: "/" }],
    security: [{}, { bearer: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(types.map((type: SchemaType) => [componentName(type), typeSchema(type)])),
      responses: { Failure: { description: "The call failed.", content: { "application/json": { schema: referenceTo(failure) } } } },
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(method: RpcMethod, options: OpenApiOptions): JsonSchema {
  const { http, input, output, descriptor, name } = method;
  const inPath = new Set(http?.template.parameters ?? []);
  const pathParameters = input.fields.filter((field) => inPath.has(field.name));
  const rest = input.fields.filter((field) => !inPath.has(field.name) && !options.hidden.has(`${name}.${field.name}`));
  const parameters = [
    ...pathParameters.map((field) => parameter(field, "path", field.name)),
    ...(http?.hasBody === true ? [] : rest.flatMap((field) => queryParameters(field))),
  ];
  const content = method.kind === "unary" ? { "application/json": { schema: referenceTo(output) } } : options.streams(method);
  return {
    operationId: name,
    description: commentOf(descriptor),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(http?.hasBody === true ? { requestBody: { content: { "application/json": { schema: bodySchema(input, inPath) } } } } : {}),
    responses: { 200: { description: commentOf(output) || output.name, content }, default: { $ref: "#/components/responses/Failure" } },
  };
}

/** What the path gives may be left out of the body, and must not be said otherwise there. */
function bodySchema(input: DescMessage, inPath: ReadonlySet<string>): JsonSchema {
  if (inPath.size === 0) return referenceTo(input);
  const fields = input.fields.filter((field) => !inPath.has(field.name));
  const properties = Object.fromEntries(fields.map((field) => [field.jsonName, fieldSchema(field)]));
  return { type: "object", properties };
}

function queryParameters(field: DescField): readonly JsonSchema[] {
  const { fieldKind, message } = field;
  const schema = fieldSchema(field);
  const isObject = message !== undefined && "$ref" in schema;
  if (fieldKind === "map" || (fieldKind === "list" && message !== undefined) || isObject) return [];
  return [parameter(field, "query", field.name)];
}

function parameter(field: DescField, where: "path" | "query", name: string): JsonSchema {
  const { description, ...schema } = fieldSchema(field);
  return {
    name,
    in: where,
    ...(where === "path" ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
    ...(field.fieldKind === "list" ? { style: "form", explode: true } : {}),
  };
}

/**
 * The farm's OpenAPI document: what the descriptors say, and what only HTTP has (events, bytes, uploads).
 */
import type { JsonSchema } from "../../platform/protojson/json-schema.ts";
import { openApiOf } from "../../platform/protojson/openapi.ts";
import type { RpcMethod, ServiceMap } from "../../platform/protojson/service-map.ts";

const description = [
  "The same methods as the gRPC service `vapfarm.v1.FarmService`, as proto JSON: names in lowerCamelCase (proto names are understood too),",
  "64-bit numbers as strings, unknown names refused. `X-Request-Timeout: 5s` limits how long an answer is waited for.",
  "A call that fails answers a google.rpc.Status: ErrorInfo has the farm's code and what to do, BadRequest the fields.",
].join(" ");

const bytes: JsonSchema = { "application/octet-stream": { schema: {} }, "video/mp4": { schema: {} } };
const events: JsonSchema = {
  "text/event-stream": {
    schema: {
      type: "string",
      description:
        "`event` (with the event's number as id) and `progress` carry the JSON of that member of WatchJobResponse, `error` a Status; `end` comes when the job has ended. Resume with Last-Event-ID.",
    },
  },
};

const upload: JsonSchema = {
  put: {
    operationId: "UploadMedia",
    description: "Sends an upload's bytes, from where GetUpload says that it stands. What arrived before a connection broke is kept.",
    parameters: [
      { name: "upload_id", in: "path", required: true, schema: { type: "string" }, description: "As BeginUpload answered it." },
      { name: "offset_bytes", in: "query", schema: { type: "string", format: "int64" }, description: "Where the body begins; absent: 0." },
    ],
    requestBody: { required: true, content: { "application/octet-stream": { schema: {} } } },
    responses: {
      200: {
        description: "What decoding the media told.",
        content: { "application/json": { schema: { $ref: "#/components/schemas/UploadMediaResponse" } } },
      },
      default: { $ref: "#/components/responses/Failure" },
    },
  },
};

/** A client stream as lines of JSON. */
const lines = (method: string, description: string, answer: string): JsonSchema => ({
  post: {
    operationId: method,
    description,
    requestBody: {
      required: true,
      content: { "application/x-ndjson": { schema: { $ref: `#/components/schemas/${method}Request` } } },
    },
    responses: {
      200: { description: answer, content: { "application/json": { schema: { $ref: `#/components/schemas/${method}Response` } } } },
      default: { $ref: "#/components/responses/Failure" },
    },
  },
});

const manifest = lines(
  "SubmitManifest",
  "Submits any number of renders as one job, all or none. Each line of the body is a SubmitManifestRequest: the first has `header`, the others `renders`, at most 1,000 in a line.",
  "The job, or what is wrong with which rows.",
);
const suite = lines(
  "ImportSuite",
  "Stores a suite, all rows or none. Each line of the body is an ImportSuiteRequest: the first has `header`, the others `rows`, at most 1,000 in a line.",
  "The suite, or what is wrong with which rows.",
);

/** Served under /v1/openapi.json. */
export function apiDocument(map: ServiceMap, version: string): JsonSchema {
  return openApiOf(map, {
    title: "vapfarm",
    version,
    description,
    streams: (method) => (streamsBytes(method) ? bytes : events),
    hidden: new Set(["DownloadArtifact.offset_bytes", "DownloadArtifact.length_bytes"]),
    more: { "/v1/uploads/{upload_id}": upload, "/v1/jobs:manifest": manifest, "/v1/suites": suite },
  });
}

/** Whether a server stream's messages are pieces of one file. */
export function streamsBytes({ output }: RpcMethod): boolean {
  return output.fields.some(({ name }) => name === "chunk");
}

/**
 * The farm's API as JSON over HTTP, under the paths that the protos' google.api.http options give.
 *
 * One generated mapping: routes, fields and types come from the descriptors, and every request is passed on to the coordinator's own gRPC
 * server, over loopback. So who may do what, and what is right, is decided in one place for both, and a new method needs no line here. Only
 * what is no single JSON has code of its own: watches (server-sent events), downloads and uploads (bytes), manifests and suites (lines of JSON).
 */
import type { IncomingMessage } from "node:http";
import { FarmError } from "../../domain/errors.ts";
import { createRawClient } from "../../platform/grpc/raw-client.ts";
import { type HttpRoute, otherRoute } from "../../platform/http.ts";
import type { Component } from "../../platform/lifecycle.ts";
import { binaryToJson } from "../../platform/protojson/json-message.ts";
import { parseTemplate } from "../../platform/protojson/path-template.ts";
import { requestBytes } from "../../platform/protojson/request.ts";
import type { RpcMethod, ServiceMap } from "../../platform/protojson/service-map.ts";
import { apiDocument, streamsBytes } from "./api-document.ts";
import { sendArtifact } from "./artifact-bytes.ts";
import { callOptionsOf } from "./call-options.ts";
import { type Every, everyInterval, sendEvents } from "./event-stream.ts";
import { type Exchange, sendJson } from "./exchange.ts";
import type { Fail } from "./failure.ts";
import { receiveLines } from "./line-body.ts";
import { receiveMedia } from "./media-upload.ts";
import { type BodyLimits, createJsonBodyReader, type JsonBodyReader } from "./request-body.ts";
import { findServed, type Served } from "./router.ts";

/** What the gateway stands on. */
export type GatewayOptions = {
  readonly map: ServiceMap;
  readonly fail: Fail;
  /** Where the coordinator's gRPC server listens; empty while it does not. */
  readonly grpcAddress: () => string;
  readonly maxMessageBytes: number;
  readonly version: string;
  readonly body?: BodyLimits;
  /** The timer of heartbeats. */
  readonly every?: Every;
};

/** The gateway; stopping it closes its connection to the gRPC server. */
export type Gateway = Component & { readonly route: HttpRoute };

/** Client streams that are sent as lines of JSON. */
const linePaths: Readonly<Record<string, string>> = { SubmitManifest: "/v1/jobs:manifest", ImportSuite: "/v1/suites" };

type Endpoint = Served & { readonly answer: (exchange: Exchange) => Promise<void> };

// JSON spells bytes in base64, a third longer.
const defaultBody: BodyLimits = { maxBytes: 6 * 1024 * 1024, maxBytesAtOnce: 256 * 1024 * 1024, deadlineMs: 30_000 };

/** The gateway of a service. */
export function createGateway(options: GatewayOptions): Gateway {
  const { map, fail } = options;
  const client = createRawClient({ address: options.grpcAddress, maxMessageBytes: options.maxMessageBytes });
  const endpoints = endpointsOf(options);
  const route: HttpRoute = async (request, response, url) => {
    if (!url.pathname.startsWith("/v1/") && url.pathname !== "/v1") return undefined;
    let name = otherRoute;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    try {
      const { served, path } = findServed(endpoints, request.method ?? "", url.pathname);
      name = served.template.text;
      const parameters = { path, query: url.search.slice(1) };
      const { signal } = gone;
      await served.answer({ request, response, parameters, map, client, fail, signal, call: callOptionsOf(request, signal) });
    } catch (thrown) {
      if (!gone.signal.aborted) fail(response, thrown);
    }
    return name;
  };
  return {
    route,
    start: () => Promise.resolve(),
    stop() {
      client.close();
      return Promise.resolve();
    },
  };
}

function endpointsOf(options: GatewayOptions): readonly Endpoint[] {
  const { map, version, maxMessageBytes, every = everyInterval, body = defaultBody } = options;
  const served = { readBody: createJsonBodyReader(body), maxMessageBytes, every };
  const document = apiDocument(map, version);
  const annotated = map.methods.flatMap((method) => {
    const { http } = method;
    return http === undefined ? [] : [{ ...http, answer: answerOf(method, served) }];
  });
  const openApi: Endpoint = {
    verb: "GET",
    template: parseTemplate("/v1/openapi.json"),
    answer: ({ response }) => {
      sendJson(response, document);
      return Promise.resolve();
    },
  };
  const uploads = map.methods.filter(({ name }) => name === "UploadMedia");
  const upload = uploads.map((method): Endpoint => {
    return { verb: "PUT", template: parseTemplate("/v1/uploads/{upload_id}"), answer: (exchange) => receiveMedia(exchange, method) };
  });
  const lines = map.methods.flatMap((method): readonly Endpoint[] => {
    const path = linePaths[method.name];
    if (path === undefined) return [];
    return [{ verb: "POST", template: parseTemplate(path), answer: (exchange) => receiveLines(exchange, method) }];
  });
  return [...annotated, ...upload, ...lines, openApi];
}

type Serving = { readonly readBody: JsonBodyReader; readonly maxMessageBytes: number; readonly every: Every };

function answerOf(method: RpcMethod, serving: Serving): Endpoint["answer"] {
  if (method.kind === "unary") return (exchange) => answerUnary(exchange, method, serving);
  if (method.kind !== "server_streaming") throw new FarmError("INTERNAL", { message: `${method.name}: a stream of requests has no JSON` });
  return async (exchange) => {
    if (streamsBytes(method)) await sendArtifact(exchange, method);
    else if (exchange.request.method === "HEAD") throw new FarmError("METHOD_NOT_ALLOWED", { details: { allow: "GET" } });
    else await sendEvents(exchange, method, serving.every);
  };
}

async function answerUnary(exchange: Exchange, method: RpcMethod, { readBody, maxMessageBytes }: Serving): Promise<void> {
  const { request, response, parameters, map, client, call } = exchange;
  const hasBody = method.http?.hasBody === true;
  if (!hasBody) refuseBody(request);
  const text = hasBody ? await readBody(request) : undefined;
  const bytes = requestBytes(method, parameters, text);
  if (bytes.length > maxMessageBytes) throw new FarmError("REQUEST_TOO_LARGE");
  const answer = await client.unary(method.grpcPath, bytes, call);
  sendJson(response, binaryToJson(method.output, answer, map.registry));
}

/** What a GET sends along has no meaning: saying so is better than ignoring it. */
function refuseBody({ headers }: IncomingMessage): void {
  if (Number(headers["content-length"] ?? 0) === 0 && headers["transfer-encoding"] === undefined) return;
  throw new FarmError("REQUEST_MALFORMED", { message: "this request has no body: its parameters are in the address" });
}

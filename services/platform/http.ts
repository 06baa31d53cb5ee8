/**
 * The HTTP side of a service: /healthz (the process answers), /readyz (what it needs answers), /metrics, and the routes that it is given.
 *
 * Invariants: routes are asked in order, the first that takes a request answers it; nobody holds a connection by sending slowly (headers
 * have a deadline, a body that nobody wants any more has a short one, and routes bound the bodies that they read); stop ends open
 * answers at once, streams of events too.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toFarmError } from "../domain/errors.ts";
import { withDeadline } from "./deadline.ts";
import type { Component } from "./lifecycle.ts";
import { knownOr, type Metrics } from "./metrics.ts";

/**
 * Answers a request and resolves with the route's name, or leaves it alone and resolves with undefined: it is another's. A name is a
 * template or `other`, never what was sent: metrics have it as a label.
 */
export type HttpRoute = (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<string | undefined>;

/** One request that is over. */
export type EndedRequest = {
  /** A template, or `other`. */
  readonly route: string;
  readonly verb: string;
  /** Its class, e.g. `2xx`; `aborted` when the connection went before the whole answer was sent. */
  readonly status: string;
  /** Until the last byte was handed to the system, or the connection went. */
  readonly seconds: number;
};

/** What no route names. */
export const otherRoute = "other";

export type HttpOptions = {
  /** host:port; port 0 takes a free one. */
  readonly address: string;
  /** Rejects while something that the service needs does not answer. */
  readonly ready: () => Promise<void>;
  readonly metrics: Metrics;
  /** Asked in order for every path that is not health, readiness or metrics. */
  readonly routes?: readonly HttpRoute[];
  /** Told of each request, for counting. */
  readonly onEnd?: (ended: EndedRequest) => void;
};

export type HttpServer = Component & { address(): string };

const readyDeadlineMs = 2_000;
const headersDeadlineMs = 10_000;
const unwantedBodyDeadlineMs = 1_000;
const maxHeaderBytes = 16 * 1024;
const maxConnections = 4_096;

/** Health, readiness, metrics and routes; anything else is 404. */
export function createHttpServer(options: HttpOptions): HttpServer {
  // Uploads may take long: how long a body may take is the business of who reads it.
  const limits = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersDeadlineMs,
    requestTimeout: 0,
    connectionsCheckingInterval: headersDeadlineMs / 2,
  };
  const server = createServer(limits, (request, response) => {
    response.on("finish", () => cutUnwantedBody(request));
    void observed(options.onEnd, { request, response }, () => answer(options, request, response));
  });
  server.maxConnections = maxConnections;
  return { start: () => listen(server, options.address), stop: () => closeServer(server), address: () => addressOf(server) };
}

const verbs: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Answers, and tells of it when both the answer and its connection's part in it are over. */
async function observed(
  onEnd: HttpOptions["onEnd"],
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  work: () => Promise<string>,
): Promise<void> {
  const beganAtMs = performance.now();
  const closed = new Promise<number>((resolve) => response.once("close", () => resolve(performance.now())));
  const route = await work().catch(() => {
    fail(response);
    return otherRoute;
  });
  const seconds = ((await closed) - beganAtMs) / 1_000;
  const status = response.writableFinished ? `${Math.floor(response.statusCode / 100)}xx` : "aborted";
  onEnd?.({ route, verb: knownOr(verbs, request.method ?? ""), status, seconds });
}

function cutUnwantedBody(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), unwantedBodyDeadlineMs);
  request.once("close", () => clearTimeout(timer));
}

function fail(response: ServerResponse): void {
  if (response.headersSent) response.destroy();
  else send(response, { status: 500, body: "INTERNAL: an unexpected error\n" });
}

/** Resolves with the name of the route that answered. */
async function answer(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<string> {
  const url = urlOf(request);
  if (url === undefined) {
    send(response, { status: 400, body: "bad request target\n" });
    return otherRoute;
  }
  const own = await ownAnswer(options, request, url.pathname);
  if (own !== undefined) {
    send(response, own);
    return url.pathname;
  }
  for (const route of options.routes ?? []) {
    const name = await route(request, response, url);
    if (name !== undefined) return name;
  }
  send(response, isRead(request) ? { status: 404, body: "not found\n" } : methodNotAllowed);
  return otherRoute;
}

/** The request's address with a host that means nothing: who needs the Host header reads it. */
function urlOf(request: IncomingMessage): URL | undefined {
  const target = request.url ?? "";
  return target.startsWith("/") ? (URL.parse(`http://localhost${target}`) ?? undefined) : undefined;
}

function isRead(request: IncomingMessage): boolean {
  return request.method === "GET" || request.method === "HEAD";
}

const ownPaths = ["/healthz", "/readyz", "/metrics"];

async function ownAnswer(options: HttpOptions, request: IncomingMessage, path: string): Promise<Answer | undefined> {
  if (!ownPaths.includes(path)) return undefined;
  if (!isRead(request)) return methodNotAllowed;
  if (path === "/healthz") return { status: 200, body: "ok\n" };
  return path === "/readyz" ? readiness(options) : scrape(options.metrics);
}

async function scrape({ registry }: Metrics): Promise<Answer> {
  try {
    return { status: 200, body: await registry.metrics(), type: registry.contentType };
  } catch (thrown) {
    return { status: 500, body: `${toFarmError(thrown).message}\n` };
  }
}

async function readiness(options: HttpOptions): Promise<Answer> {
  try {
    await withDeadline(options.ready(), { ms: readyDeadlineMs, what: "readiness" });
    return { status: 200, body: "ready\n" };
  } catch (thrown) {
    const error = toFarmError(thrown);
    return { status: 503, body: `${error.code}: ${error.message}\n` };
  }
}

type Answer = { readonly status: number; readonly body: string; readonly type?: string; readonly headers?: Record<string, string> };

const methodNotAllowed: Answer = { status: 405, body: "method not allowed\n", headers: { allow: "GET, HEAD" } };

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { "content-type": answer.type ?? "text/plain; charset=utf-8", ...answer.headers });
  response.end(answer.body);
}

function listen(server: Server, address: string): Promise<void> {
  const colon = address.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function closeServer(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function addressOf(server: Server): string {
  const address = server.address() as AddressInfo | null;
  return address === null ? "" : `${address.address}:${address.port}`;
}

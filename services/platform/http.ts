/**
 * The HTTP side of a service: /healthz (the process answers), /readyz (what it needs answers), /metrics.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toFarmError } from "../domain/errors.ts";
import { withDeadline } from "./deadline.ts";
import type { Component } from "./lifecycle.ts";
import type { Metrics } from "./metrics.ts";

export type HttpOptions = {
  /** host:port; port 0 takes a free one. */
  readonly address: string;
  /** Rejects while something that the service needs does not answer. */
  readonly ready: () => Promise<void>;
  readonly metrics: Metrics;
};

export type HttpServer = Component & { address(): string };

const readyDeadlineMs = 2_000;

/** Health, readiness and metrics; anything else is 404. */
export function createHttpServer(options: HttpOptions): HttpServer {
  const server = createServer((request, response) => void answer(options, request, response));
  return { start: () => listen(server, options.address), stop: () => closeServer(server), address: () => addressOf(server) };
}

async function answer(options: HttpOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    send(response, { status: 405, body: "method not allowed\n" });
    return;
  }
  switch (request.url?.split("?")[0]) {
    case "/healthz": {
      send(response, { status: 200, body: "ok\n" });
      return;
    }
    case "/readyz": {
      send(response, await readiness(options));
      return;
    }
    case "/metrics": {
      send(response, await scrape(options.metrics));
      return;
    }
    default: {
      send(response, { status: 404, body: "not found\n" });
      return;
    }
  }
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

type Answer = { readonly status: number; readonly body: string; readonly type?: string };

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { "content-type": answer.type ?? "text/plain; charset=utf-8" });
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

/**
 * One request that the gateway answers, and how JSON answers are sent.
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallOptions } from "../../platform/grpc/client.ts";
import type { RawClient } from "../../platform/grpc/raw-client.ts";
import type { Parameters } from "../../platform/protojson/query.ts";
import type { ServiceMap } from "../../platform/protojson/service-map.ts";
import type { Fail } from "./failure.ts";

/** A request, where its answer goes, and the call that it becomes. */
export type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly parameters: Parameters;
  readonly call: CallOptions;
  /** Aborts when the client goes. */
  readonly signal: AbortSignal;
  readonly map: ServiceMap;
  readonly client: RawClient;
  readonly fail: Fail;
};

/** Of calls whose end nobody knows: streams and uploads. */
export const streamDeadlineMs = 24 * 3600 * 1000;

/** Sends a whole JSON answer. */
export function sendJson(response: ServerResponse, json: unknown): void {
  const body = Buffer.from(`${JSON.stringify(json)}\n`);
  response.writeHead(200, {
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

/** Writes a piece, and waits while the client reads slower than we send. */
export async function writePiece(response: ServerResponse, piece: string | Uint8Array, signal: AbortSignal): Promise<void> {
  if (!response.write(piece)) await once(response, "drain", { signal });
}

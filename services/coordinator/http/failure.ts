/**
 * Failures over HTTP: google.rpc.Status as JSON, under its HTTP status (`http-status.ts`).
 */
import type { ServerResponse } from "node:http";
import { FarmError } from "../../domain/errors.ts";
import { failureOf } from "../../platform/grpc/raw-client.ts";
import { binaryToJson } from "../../platform/protojson/json-message.ts";
import { messageOf, type ServiceMap } from "../../platform/protojson/service-map.ts";
import { httpStatusOf } from "./http-status.ts";

/** A failure as it is sent. */
export type Failure = {
  readonly httpStatus: number;
  /** google.rpc.Code. */
  readonly code: number;
  readonly json: string;
  readonly headers: Readonly<Record<string, string>>;
};

type StatusJson = { readonly details?: readonly Readonly<Record<string, unknown>>[] };

const unavailable = 14;
const unavailableRetrySeconds = 1;

/** What a thrown value is over HTTP. */
export function failureOver(map: ServiceMap, thrown: unknown): Failure {
  const { code, name, status } = failureOf(thrown);
  const json = binaryToJson(messageOf(map, "google.rpc.Status"), status, map.registry) as StatusJson;
  const details = json.details ?? [];
  const reason = detailOf(details, "ErrorInfo")?.["reason"];
  const httpStatus = httpStatusOf({ status: name, code: typeof reason === "string" ? reason : undefined });
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  };
  const retrySeconds = retryAfter(details) ?? (code === unavailable ? unavailableRetrySeconds : undefined);
  if (retrySeconds !== undefined) headers["retry-after"] = String(retrySeconds);
  if (httpStatus === 401) headers["www-authenticate"] = 'Bearer realm="vapfarm"';
  return { httpStatus, code, json: `${JSON.stringify(json)}\n`, headers };
}

/** Answers a failure, or cuts an answer that has begun: its reader sees that it is not whole. */
export type Fail = (response: ServerResponse, thrown: unknown, headers?: Readonly<Record<string, string>>) => void;

/** How every route of a server fails; a METHOD_NOT_ALLOWED has the methods that are in its detail `allow`. */
export function createFail(map: ServiceMap): Fail {
  return (response, thrown, headers = {}) => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const failure = failureOver(map, thrown);
    const allow = thrown instanceof FarmError ? thrown.details["allow"] : undefined;
    response.writeHead(failure.httpStatus, {
      ...failure.headers,
      ...(typeof allow === "string" ? { allow } : {}),
      // A body that is not read any more would be taken for the next request.
      ...(response.req.complete ? {} : { connection: "close" }),
      ...headers,
    });
    response.end(failure.json);
  };
}

function detailOf(details: readonly Readonly<Record<string, unknown>>[], name: string) {
  return details.find((detail) => detail["@type"] === `type.googleapis.com/google.rpc.${name}`);
}

function retryAfter(details: readonly Readonly<Record<string, unknown>>[]): number | undefined {
  const delay = detailOf(details, "RetryInfo")?.["retryDelay"];
  const seconds = typeof delay === "string" ? Math.ceil(Number(delay.replace(/s$/, ""))) : Number.NaN;
  return Number.isFinite(seconds) ? Math.max(1, seconds) : undefined;
}

/**
 * What an HTTP request's headers say of the call that it becomes: who calls, and for how long the answer is waited for.
 *
 * The cookie that the operator pages set counts for reading only: a browser sends it by itself, so it must not be able to change anything.
 */
import type { IncomingMessage } from "node:http";
import { FarmError } from "../../domain/errors.ts";
import type { CallOptions } from "../../platform/grpc/client.ts";
import { parseTraceparent, traceHeaders, traceparentHeader } from "../../platform/tracing/trace-context.ts";

/** Name of the cookie that holds a visitor's token. */
export const tokenCookie = "vapfarm_token";

const defaultDeadlineMs = 30_000;
const maxDeadlineMs = 600_000;
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** The call's options, given the signal that aborts when the client goes; `X-Request-Timeout: 5s` sets the deadline. */
export function callOptionsOf(request: IncomingMessage, signal: AbortSignal): CallOptions {
  const authorization = authorizationOf(request);
  const trace = traceHeaders(parseTraceparent(firstOf(request.headers[traceparentHeader])));
  return { deadlineMs: deadlineOf(request), signal, headers: { ...trace, ...(authorization === undefined ? {} : { authorization }) } };
}

function firstOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}

/** The authorization header, or for reading the cookie as one. */
export function authorizationOf({ headers, method }: Pick<IncomingMessage, "headers" | "method">): string | undefined {
  if (headers.authorization !== undefined) return printable(headers.authorization);
  if (method !== "GET" && method !== "HEAD") return undefined;
  const token = cookieToken(headers.cookie);
  return token === undefined ? undefined : printable(`Bearer ${token}`);
}

/** The token of a Cookie header; it is percent-encoded there, because tokens may hold what cookies may not. */
export function cookieToken(cookie: string | undefined): string | undefined {
  const pairs = (cookie ?? "").split(";").map((pair) => pair.trim());
  const text = pairs.find((pair) => pair.startsWith(`${tokenCookie}=`))?.slice(tokenCookie.length + 1);
  return text === undefined || text === "" ? undefined : decoded(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Metadata carry printable ASCII only; a token has nothing else. */
function printable(authorization: string): string {
  if (/^[\x20-\x7e]*$/.test(authorization)) return authorization;
  throw new FarmError("CALLER_UNKNOWN");
}

function deadlineOf({ headers }: IncomingMessage): number {
  const text = headers["x-request-timeout"] ?? headers["request-timeout"];
  if (text === undefined) return defaultDeadlineMs;
  const [, amount, unit = "s"] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(String(text)) ?? [];
  if (amount === undefined) throw new FarmError("REQUEST_MALFORMED", { message: "X-Request-Timeout must be like 500ms, 5s or 2m" });
  return Math.min(Math.max(Number(amount) * (unitMs[unit] ?? 1), 1), maxDeadlineMs);
}

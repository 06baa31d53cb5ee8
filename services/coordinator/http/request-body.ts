/**
 * The JSON body of a request, bounded in size and time.
 *
 * The content type is asked for even where the body is empty: a page of another origin can send simple forms without asking, JSON it cannot.
 */
import type { IncomingMessage } from "node:http";
import { FarmError } from "../../domain/errors.ts";

/** How much, for how long. */
export type BodyLimits = {
  readonly maxBytes: number;
  /** Of all bodies that are being read: nobody has proved yet who sends them. */
  readonly maxBytesAtOnce: number;
  readonly deadlineMs: number;
};

/** The body's text; throws CONTENT_TYPE_REFUSED, REQUEST_TOO_LARGE, REQUEST_MALFORMED, COORDINATOR_UNAVAILABLE. */
export type JsonBodyReader = (request: IncomingMessage) => Promise<string>;

/** A reader whose bodies share one bound on memory. */
export function createJsonBodyReader(limits: BodyLimits): JsonBodyReader {
  const held = { bytes: 0 };
  return async (request) => {
    requireJson(request);
    if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes) throw new FarmError("REQUEST_TOO_LARGE");
    return textOf(await readAll(request, limits, held));
  };
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FarmError("REQUEST_MALFORMED", { message: "the body is not UTF-8", cause });
  }
}

function requireJson({ headers }: IncomingMessage): void {
  const type = (headers["content-type"] ?? "").toLowerCase();
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/.test(type)) throw new FarmError("CONTENT_TYPE_REFUSED");
  if (headers["content-encoding"] !== undefined) {
    throw new FarmError("CONTENT_TYPE_REFUSED", { message: "bodies are not served with a content encoding" });
  }
}

/** By events, not by iteration: leaving a loop early would destroy the connection before the refusal is sent. */
function readAll(request: IncomingMessage, limits: BodyLimits, held: { bytes: number }): Promise<Buffer> {
  const { maxBytes, maxBytesAtOnce, deadlineMs } = limits;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (outcome: () => void): void => {
      clearTimeout(timer);
      held.bytes -= size;
      request.off("data", take).off("end", whole).off("close", gone);
      outcome();
    };
    const refuse = (error: FarmError): void => end(() => reject(error));
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      held.bytes += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) refuse(new FarmError("REQUEST_TOO_LARGE"));
      else if (held.bytes > maxBytesAtOnce) refuse(new FarmError("COORDINATOR_UNAVAILABLE", { message: "too many requests at once" }));
    };
    const whole = (): void => end(() => resolve(Buffer.concat(chunks)));
    const gone = (): void => refuse(new FarmError("REQUEST_MALFORMED", { message: "the body ended early" }));
    const late = (): void => refuse(new FarmError("REQUEST_MALFORMED", { message: `the body took longer than ${deadlineMs} ms` }));
    const timer = setTimeout(late, deadlineMs);
    request.on("data", take).on("end", whole).on("close", gone);
    request.on("error", () => undefined);
  });
}

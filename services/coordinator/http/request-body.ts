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
  readonly deadlineMs: number;
};

/** The body's text; throws CONTENT_TYPE_REFUSED, REQUEST_TOO_LARGE, REQUEST_MALFORMED. */
export async function readJsonBody(request: IncomingMessage, limits: BodyLimits): Promise<string> {
  requireJson(request);
  if (Number(request.headers["content-length"] ?? 0) > limits.maxBytes) throw new FarmError("REQUEST_TOO_LARGE");
  const bytes = await readAll(request, limits);
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
function readAll(request: IncomingMessage, { maxBytes, deadlineMs }: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (outcome: () => void): void => {
      clearTimeout(timer);
      request.off("data", take).off("end", whole).off("close", gone);
      outcome();
    };
    const refuse = (error: FarmError): void => end(() => reject(error));
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) refuse(new FarmError("REQUEST_TOO_LARGE"));
    };
    const whole = (): void => end(() => resolve(Buffer.concat(chunks)));
    const gone = (): void => refuse(new FarmError("REQUEST_MALFORMED", { message: "the body ended early" }));
    const late = (): void => refuse(new FarmError("REQUEST_MALFORMED", { message: `the body took longer than ${deadlineMs} ms` }));
    const timer = setTimeout(late, deadlineMs);
    request.on("data", take).on("end", whole).on("close", gone);
    request.on("error", () => undefined);
  });
}

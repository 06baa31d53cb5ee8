/**
 * Ids that every process works out for itself (docs/decisions/0026): the trace of a render from its job and position, a span of it from
 * what it is about. So no id is stored or handed around, a span's parent can be named before that span is told, and one that is told
 * twice is the same span.
 */
import { createHash, randomBytes } from "node:crypto";

/** Trace of one render. */
export function traceIdOf(jobId: string, position: number): string {
  return digest("trace", jobId, String(position)).slice(0, 32);
}

/** A span of what the words name, e.g. ("attempt", its id). */
export function spanIdOf(...words: readonly string[]): string {
  return digest("span", ...words).slice(0, 16);
}

/** For what happens once and is named by nobody else. */
export function randomTraceId(): string {
  return randomBytes(16).toString("hex");
}

export function randomSpanId(): string {
  return randomBytes(8).toString("hex");
}

/**
 * Whether a trace is among the share of those that are recorded: by its id alone, so that every process decides the same. Its last 52 bits
 * are compared, as OpenTelemetry's consistent sampling compares the last 56: a larger share records what a smaller one does, and more.
 */
export function isWithinShare(traceId: string, share: number): boolean {
  return Number.parseInt(traceId.slice(-13), 16) / 2 ** 52 >= 1 - share;
}

function digest(...words: readonly string[]): string {
  const hash = createHash("sha256").update("vapfarm");
  for (const word of words) hash.update("\n").update(word);
  return hash.digest("hex");
}

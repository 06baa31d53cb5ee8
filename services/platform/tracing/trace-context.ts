/**
 * Where a span stands, as it travels between processes: the W3C `traceparent` (https://www.w3.org/TR/trace-context/).
 *
 * Pure. What is not well formed is as if nothing had been sent: a caller's broken header never fails its call.
 */

/** A span, as others name it as their parent. */
export type TraceContext = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether spans of the trace are recorded: decided once, at its root. */
  readonly isSampled: boolean;
};

/** Name of the header, in gRPC metadata, in NATS headers and in HTTP. */
export const traceparentHeader = "traceparent";

const form = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/** The context; undefined for an absent or malformed header. Versions above 00 may have more parts, which are not read. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, version, traceId, spanId, flags, more] = form.exec(text ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function traceparentOf({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}

/** As headers of a call; none without a context. */
export function traceHeaders(context: TraceContext | undefined): Readonly<Record<string, string>> {
  return context === undefined ? {} : { [traceparentHeader]: traceparentOf(context) };
}

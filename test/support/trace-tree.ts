/**
 * Spans that a receiver was sent, as traces: who is whose child, who lies within whom.
 */
import type { OtlpReceiver, ReceivedSpan } from "./otlp-receiver.ts";
import { until } from "./until.ts";

export type Trace = {
  readonly spans: readonly ReceivedSpan[];
  named(name: string): readonly ReceivedSpan[];
  /** The one of the name; throws unless there is exactly one. */
  one(name: string): ReceivedSpan;
  childrenOf(span: ReceivedSpan): readonly ReceivedSpan[];
  /** Names from the root down to the span. */
  pathOf(span: ReceivedSpan): readonly string[];
};

export function traceOf(receiver: Pick<OtlpReceiver, "spans">, traceId: string): Trace {
  const spans = receiver.spans.filter((span) => span.traceId === traceId);
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const named = (name: string): readonly ReceivedSpan[] => spans.filter((span) => span.name === name);
  const pathOf = (span: ReceivedSpan): readonly string[] => {
    const parent = byId.get(span.parentSpanId);
    return [...(parent === undefined ? [] : pathOf(parent)), span.name];
  };
  return {
    spans,
    named,
    pathOf,
    one(name) {
      const [span, ...more] = named(name);
      if (span === undefined || more.length > 0) throw new TypeError(`${named(name).length} spans are named "${name}"`);
      return span;
    },
    childrenOf: ({ spanId }) => spans.filter(({ parentSpanId }) => parentSpanId === spanId),
  };
}

/** Spans whose parent was not sent; `outside` are parents that others have. */
export function orphansOf({ spans }: Trace, outside: readonly string[] = []): readonly string[] {
  const known = new Set([...spans.map(({ spanId }) => spanId), ...outside, ""]);
  return spans.filter(({ parentSpanId }) => !known.has(parentSpanId)).map(({ name }) => name);
}

/** Clocks of one machine, read by different programs. */
const toleranceNanos = 5_000_000n;

/** Spans that begin before their parent does, or end before they begin. */
export function untimelyOf({ spans }: Trace): readonly string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  return spans
    .filter((span) => {
      const parent = byId.get(span.parentSpanId);
      return span.endNanos < span.startNanos || (parent !== undefined && span.startNanos + toleranceNanos < parent.startNanos);
    })
    .map(({ name }) => name);
}

/** Spans that end after their parent, of those whose parent waits for them. */
export function outlastingOf({ spans }: Trace, parents: RegExp): readonly string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  return spans
    .filter((span) => {
      const parent = byId.get(span.parentSpanId);
      return parent !== undefined && parents.test(parent.name) && span.endNanos > parent.endNanos + toleranceNanos;
    })
    .map(({ name }) => name);
}

/** The trace once it is whole: its render has ended, and everything between was told. */
export async function wholeTrace(receiver: OtlpReceiver, traceId: string, outside: readonly string[] = []): Promise<Trace> {
  await until(
    `trace ${traceId} is whole`,
    () => {
      const trace = traceOf(receiver, traceId);
      const done = trace.spans.filter(({ name, attributes }) => name.startsWith("attempt ") && attributes["vapfarm.state"] === "succeeded");
      const isTold = done.every((attempt) => {
        const names = trace.childrenOf(attempt).map(({ name }) => name);
        return ["fetch", "compute", "store", "report"].every((name) => names.includes(name));
      });
      return trace.named("render").length > 0 && isTold && orphansOf(trace, outside).length === 0;
    },
    20_000,
  );
  return traceOf(receiver, traceId);
}

/**
 * The port through which the farm says what took how long, and what led to it.
 *
 * Parents are always named, never found around the caller: there is no ambient context, and nothing is global. Nothing here can fail, block
 * or take the caller's time: a span that cannot be kept is dropped and counted. What must not leave the farm (prompts, secrets, media) is
 * never an attribute.
 */
import { toFarmError } from "../../domain/errors.ts";
import type { Component } from "../lifecycle.ts";
import type { TraceContext } from "./trace-context.ts";

/** Attributes of a span; those that are undefined are left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export type SpanKind = "internal" | "client" | "server" | "producer" | "consumer";

export type SpanEvent = { readonly name: string; readonly atMs: number; readonly attributes?: SpanAttributes };

/** A span whose end is known. */
export type FinishedSpan = {
  readonly name: string;
  readonly kind?: SpanKind;
  readonly context: TraceContext;
  /** Absent: the root of its trace. */
  readonly parentSpanId?: string | undefined;
  /** Since 1970, in ms, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes?: SpanAttributes;
  /** Spans of other traces that it has to do with. */
  readonly links?: readonly TraceContext[];
  readonly events?: readonly SpanEvent[];
  /** Why it failed: a farm code. */
  readonly error?: string | undefined;
};

export type SpanOptions = {
  /** Undefined, or not sampled: nothing is recorded. */
  readonly parent: TraceContext | undefined;
  readonly kind?: SpanKind;
  readonly attributes?: SpanAttributes;
  readonly links?: readonly TraceContext[];
};

/** A span that has begun. */
export type OpenSpan = {
  /** What its children name as their parent: its parent's where it is not recorded. */
  readonly context: TraceContext | undefined;
  set(attributes: SpanAttributes): void;
  event(name: string, attributes?: SpanAttributes): void;
  /** The first call counts; the error is a farm code. */
  end(error?: string): void;
};

export type Tracer = {
  /** False: nothing is recorded, and no id needs to be worked out for it. */
  readonly isOn: boolean;
  /** Of the traces that begin here, how many are recorded, 0 to 1. */
  readonly share: number;
  begin(name: string, options: SpanOptions): OpenSpan;
  /** Takes a span whose times came from elsewhere; one that is not sampled is left. */
  emit(span: FinishedSpan): void;
};

/** A process's tracer: stopping it sends what waits, but not for long. */
export type TracerComponent = Tracer &
  Component & {
    /** Sends what waits, without waiting for it: for a process that may be killed at any time. */
    flush(): void;
  };

/** A span of which nothing is recorded. */
export function silentSpan(context: TraceContext | undefined): OpenSpan {
  return context === undefined ? nothing : { ...nothing, context };
}

const nothing: OpenSpan = { context: undefined, set: () => undefined, event: () => undefined, end: () => undefined };

/** Tracing that is off: contexts are handed on as they are, nothing else happens. */
export const noTracer: TracerComponent = {
  isOn: false,
  share: 0,
  begin: (_name, { parent }) => silentSpan(parent),
  emit: () => undefined,
  flush: () => undefined,
  start: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

/** Ends the span with the work; a failure is the span's, by its farm code. */
export async function withSpan<T>(span: OpenSpan, work: (span: OpenSpan) => Promise<T>): Promise<T> {
  try {
    const outcome = await work(span);
    span.end();
    return outcome;
  } catch (thrown) {
    span.end(toFarmError(thrown).code);
    throw thrown;
  }
}

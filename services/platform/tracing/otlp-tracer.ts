/**
 * Spans to an OTLP/HTTP receiver, by OpenTelemetry's batch processor and exporter. No provider, no globals, no instrumentation: spans are
 * handed to the processor as they are.
 *
 * Invariants: a receiver that is away, slow or broken costs memory up to a bound and nothing else; what does not fit, and what a failed
 * export held, is counted as dropped; nothing here keeps a process from ending.
 */
import { SpanKind as OtelKind, SpanStatusCode, TraceFlags, type Attributes, type HrTime, type SpanContext } from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import { ATTR_SERVICE_NAME } from "@opentelemetry/semantic-conventions";
import { pause } from "../deadline.ts";
import type { TracerOptions } from "./create-tracer.ts";
import type { TraceContext } from "./trace-context.ts";
import { randomSpanId } from "./trace-ids.ts";
import { type FinishedSpan, type OpenSpan, silentSpan, type SpanAttributes, type SpanEvent, type Tracer } from "./tracer.ts";
import { createWallClock } from "./wall-clock.ts";

/** Spans that wait for the receiver; some MB. */
const mostWaiting = 4_096;
const batchSize = 512;
const batchDelayMs = 1_000;
const exportMs = 5_000;
/** Of one span: a trace shows no more. */
const mostEvents = 128;

const kinds = {
  internal: OtelKind.INTERNAL,
  client: OtelKind.CLIENT,
  server: OtelKind.SERVER,
  producer: OtelKind.PRODUCER,
  consumer: OtelKind.CONSUMER,
} as const;

/** What is sent of a tracer's spans, until it is closed. */
export type Exporting = Pick<Tracer, "begin" | "emit"> & {
  flush(): void;
  /** Sends what waits, for no longer than this; what is left then is dropped. */
  close(deadlineMs: number): Promise<void>;
};

/** Sends from now on. */
export function createOtlpTracer(options: TracerOptions & { readonly endpoint: string }): Exporting {
  const queue = new CountedQueue(options);
  const now = createWallClock();
  const resource = resourceFromAttributes({ [ATTR_SERVICE_NAME]: `vapfarm-${options.service}`, ...plain(options.resource ?? {}) });
  const emit = (span: FinishedSpan): void => {
    if (span.context.isSampled) queue.put(readableOf(span, resource));
  };
  return {
    emit,
    begin(name, { parent, ...rest }) {
      if (parent?.isSampled !== true) return silentSpan(parent);
      const context = { ...parent, spanId: randomSpanId() };
      return openSpan({ ...rest, name, context, parentSpanId: parent.spanId }, { now, emit });
    },
    flush: () => void queue.flush(),
    close: (deadlineMs) => queue.close(deadlineMs),
  };
}

type Begun = Omit<FinishedSpan, "startMs" | "endMs" | "events" | "error">;

function openSpan(begun: Begun, { now, emit }: { readonly now: () => number; readonly emit: (span: FinishedSpan) => void }): OpenSpan {
  const startMs = now();
  const events: SpanEvent[] = [];
  let attributes = begun.attributes ?? {};
  let isOpen = true;
  return {
    context: begun.context,
    set(more) {
      attributes = { ...attributes, ...more };
    },
    event(name, facts = {}) {
      if (events.length < mostEvents) events.push({ name, atMs: now(), attributes: facts });
    },
    end(error) {
      if (!isOpen) return;
      isOpen = false;
      emit({ ...begun, startMs, endMs: now(), attributes, events, error });
    },
  };
}

/** The batch processor with a count of what waits before it, so that what it would drop without a word is refused and counted here. */
class CountedQueue {
  private readonly options: TracerOptions;
  private readonly processor: BatchSpanProcessor;
  private readonly tellFailure: (message: string | undefined) => void;
  private waiting = 0;
  private isClosed = false;

  constructor(options: TracerOptions & { readonly endpoint: string }) {
    this.options = options;
    this.tellFailure = failureLog(options.logger, options.endpoint);
    const url = `${options.endpoint.replace(/\/+$/, "")}/v1/traces`;
    const exporter = this.counted(new OTLPTraceExporter({ url, timeoutMillis: exportMs }));
    this.processor = new BatchSpanProcessor(exporter, {
      maxQueueSize: mostWaiting,
      maxExportBatchSize: batchSize,
      scheduledDelayMillis: batchDelayMs,
      exportTimeoutMillis: exportMs + 1_000,
    });
  }

  put(span: ReadableSpan): void {
    if (this.isClosed || this.waiting >= mostWaiting) {
      this.options.onDropped(1);
      return;
    }
    this.waiting += 1;
    this.processor.onEnd(span);
  }

  async flush(): Promise<void> {
    // A batch that failed is counted where it failed.
    await this.processor.forceFlush().catch(() => undefined);
  }

  async close(deadlineMs: number): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    const late = new AbortController();
    await Promise.race([this.flush(), pause(deadlineMs, late.signal)]);
    late.abort();
    if (this.waiting > 0) this.options.onDropped(this.waiting);
    this.waiting = 0;
    void this.processor.shutdown().catch(() => undefined);
  }

  private counted(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => {
        exporter.export(spans, (result) => {
          this.waiting = Math.max(0, this.waiting - spans.length);
          if (result.code === ExportResultCode.FAILED && !this.isClosed) this.options.onDropped(spans.length);
          this.tellFailure(result.code === ExportResultCode.FAILED ? (result.error?.message ?? "it failed") : undefined);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    };
  }
}

/** Two lines for an outage, not one for each batch. */
function failureLog(logger: TracerOptions["logger"], endpoint: string): (message: string | undefined) => void {
  let isFailing = false;
  return (message) => {
    const wasFailing = isFailing;
    isFailing = message !== undefined;
    if (message !== undefined && !wasFailing)
      logger.warn({ endpoint: withoutUser(endpoint) }, `spans are not taken, and dropped: ${message}`);
    if (message === undefined && wasFailing) logger.info({ endpoint: withoutUser(endpoint) }, "spans are taken again");
  };
}

function withoutUser(endpoint: string): string {
  const { protocol, host } = new URL(endpoint);
  return `${protocol}//${host}`;
}

function readableOf(span: FinishedSpan, resource: ReadableSpan["resource"]): ReadableSpan {
  const { name, kind = "internal", context, parentSpanId, links = [], events = [], error } = span;
  const own = spanContextOf(context);
  const endMs = Math.max(span.endMs, span.startMs);
  return {
    name,
    kind: kinds[kind],
    spanContext: () => own,
    ...(parentSpanId === undefined ? {} : { parentSpanContext: { ...own, spanId: parentSpanId } }),
    startTime: hrTime(span.startMs),
    endTime: hrTime(endMs),
    duration: hrTime(endMs - span.startMs),
    ended: true,
    status: error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    attributes: plain(span.attributes ?? {}),
    links: links.map((link) => ({ context: spanContextOf(link) })),
    events: events.map((event) => ({ name: event.name, time: hrTime(event.atMs), attributes: plain(event.attributes ?? {}) })),
    resource,
    instrumentationScope: { name: "vapfarm" },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function spanContextOf({ traceId, spanId, isSampled }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}

function plain(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

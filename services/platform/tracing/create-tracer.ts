/**
 * The tracer that the settings ask for, as a part of a process that starts and stops.
 *
 * OpenTelemetry's packages are loaded at the start and only where tracing is on: off, a process pays nothing for them. Before the start and
 * after the stop nothing is recorded.
 */
import type { Logger } from "../logging.ts";
import type { Exporting } from "./otlp-tracer.ts";
import type { TracingConfig } from "./settings.ts";
import { noTracer, silentSpan, type SpanAttributes, type TracerComponent } from "./tracer.ts";

export type TracerOptions = {
  readonly config: TracingConfig;
  /** Which program this is, e.g. "coordinator". */
  readonly service: string;
  /** Of the process as a whole, e.g. the worker's name. */
  readonly resource?: SpanAttributes;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** Told of spans that nobody will see. */
  readonly onDropped: (spans: number) => void;
  /** Longest that a stop sends what waits. */
  readonly flushMs?: number;
};

const defaultFlushMs = 2_000;

/** Without an endpoint it does nothing. */
export function createTracer(options: TracerOptions): TracerComponent {
  const { endpoint, share } = options.config;
  if (endpoint === undefined) return noTracer;
  let exporting: Exporting | undefined;
  return {
    isOn: true,
    share,
    begin: (name, about) => exporting?.begin(name, about) ?? silentSpan(about.parent),
    emit: (span) => exporting?.emit(span),
    flush: () => exporting?.flush(),
    async start() {
      const { createOtlpTracer } = await import("./otlp-tracer.ts");
      exporting = createOtlpTracer({ ...options, endpoint });
    },
    async stop() {
      const ending = exporting;
      exporting = undefined;
      await ending?.close(options.flushMs ?? defaultFlushMs);
    },
  };
}

/**
 * Opens the tracer that the settings ask for. OpenTelemetry's packages are loaded only where tracing is on: off, a process pays nothing for
 * them, neither at its start nor later.
 */
import type { Logger } from "../logging.ts";
import type { TracingConfig } from "./settings.ts";
import { noTracer, type OpenTracer, type SpanAttributes } from "./tracer.ts";

export type TracerOptions = {
  readonly config: TracingConfig;
  /** Which program this is, e.g. "coordinator". */
  readonly service: string;
  /** Of the process as a whole, e.g. the worker's name. */
  readonly resource?: SpanAttributes;
  readonly logger: Pick<Logger, "info" | "warn">;
  /** Told of spans that nobody will see. */
  readonly onDropped: (spans: number) => void;
};

/** A tracer; without an endpoint it does nothing. */
export async function openTracer(options: TracerOptions): Promise<OpenTracer> {
  const { endpoint } = options.config;
  if (endpoint === undefined) return noTracer;
  const { createOtlpTracer } = await import("./otlp-tracer.ts");
  return createOtlpTracer({ ...options, endpoint });
}

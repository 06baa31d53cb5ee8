/**
 * The tracer that the settings ask for, as a part of a process that starts and stops.
 *
 * OpenTelemetry's packages are loaded at the start and only where tracing is on: off, a process pays nothing for them. Before the start and
 * after the stop nothing is recorded.
 */
import type { Exporting } from "./otlp-tracer.ts";
import { noTracer, silentSpan, type TracerComponent, type TracerOptions } from "./tracer.ts";

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

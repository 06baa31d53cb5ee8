/**
 * A command as the beginning of a trace, or as a part of its caller's (`TRACEPARENT`): what the farm tells of its calls hangs below.
 *
 * Off unless VAPFARM_OTLP_ENDPOINT is set; then a caller's trace is still handed on. A command never waits long for the receiver.
 */
import { z } from "zod";
import { toFarmError } from "../domain/errors.ts";
import { parseConfig } from "../platform/config.ts";
import { createTracer } from "../platform/tracing/create-tracer.ts";
import { tracingOf, tracingSettings } from "../platform/tracing/settings.ts";
import { parseTraceparent, type TraceContext, traceparentOf } from "../platform/tracing/trace-context.ts";
import { isWithinShare, randomSpanId, randomTraceId } from "../platform/tracing/trace-ids.ts";
import { createWallClock } from "../platform/tracing/wall-clock.ts";
import type { CliContext } from "./context.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";

const settings = z.object(tracingSettings);
const flushMs = 1_500;

/** The caller's place in a trace, as tools that run commands hand it on. */
export function callersTrace({ environment }: Pick<CliContext, "environment">): TraceContext | undefined {
  return parseTraceparent(environment["TRACEPARENT"]);
}

/** Runs the command under a span of its own, given what its calls are to send; undefined where there is no trace. */
export async function underCommandSpan(
  context: CliContext,
  name: string,
  work: (traceparent: string | undefined) => Promise<ExitCode>,
): Promise<ExitCode> {
  const caller = callersTrace(context);
  const config = tracingOf(parseConfig(settings, context.environment));
  if (config.endpoint === undefined) return work(caller === undefined ? undefined : traceparentOf(caller));
  const note = (_facts: object | string, message?: string): void => context.output.note(message ?? "");
  const tracer = createTracer({
    config,
    service: "cli",
    logger: { info: () => undefined, warn: note },
    onDropped: () => undefined,
    flushMs,
  });
  await tracer.start();
  const now = createWallClock();
  const own = contextBelow(caller, config.share);
  const span = { name: `vapfarm ${name}`, context: own, parentSpanId: caller?.spanId, startMs: now() };
  try {
    const code = await work(traceparentOf(own));
    tracer.emit({
      ...span,
      endMs: now(),
      attributes: { "vapfarm.exit_code": code },
      error: code === exitCodes.ok ? undefined : `exit ${code}`,
    });
    return code;
  } catch (thrown) {
    tracer.emit({ ...span, endMs: now(), error: toFarmError(thrown).code });
    throw thrown;
  } finally {
    await tracer.stop();
  }
}

function contextBelow(caller: TraceContext | undefined, share: number): TraceContext {
  if (caller !== undefined) return { ...caller, spanId: randomSpanId() };
  const traceId = randomTraceId();
  return { traceId, spanId: randomSpanId(), isSampled: isWithinShare(traceId, share) };
}

/**
 * Settings of tracing, the same in every program.
 */
import { z } from "zod";

/** Part of a program's table of settings. */
export const tracingSettings = {
  VAPFARM_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  VAPFARM_TRACE_SHARE: z.coerce.number().min(0).max(1).default(1),
};

export type TracingConfig = {
  /** Base address of an OTLP/HTTP receiver; undefined: nothing is traced. */
  readonly endpoint: string | undefined;
  /** Of the traces that begin here, how many are recorded. */
  readonly share: number;
};

export function tracingOf(settings: {
  readonly VAPFARM_OTLP_ENDPOINT?: string | undefined;
  readonly VAPFARM_TRACE_SHARE: number;
}): TracingConfig {
  return { endpoint: settings.VAPFARM_OTLP_ENDPOINT, share: settings.VAPFARM_TRACE_SHARE };
}

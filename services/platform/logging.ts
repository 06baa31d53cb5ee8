/**
 * Structured logs: one JSON object a line, on stderr, so that stdout stays the program's own.
 */
import { destination, pino } from "pino";

export type Logger = {
  readonly debug: LogFunction;
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
  readonly fatal: LogFunction;
  child(bindings: Readonly<Record<string, unknown>>): Logger;
};

export type LogFunction = {
  (facts: Readonly<Record<string, unknown>>, message: string): void;
  (message: string): void;
};

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** A logger named after the service; bigint facts are written as strings. */
export function createLogger(options: { readonly name: string; readonly level: LogLevel }): Logger {
  return pino({ name: options.name, level: options.level, timestamp: pino.stdTimeFunctions.isoTime }, destination({ dest: 2, sync: true }));
}

/**
 * What every command is given: the edges of the process, nothing global.
 */
import type { Environment } from "../platform/config.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Output } from "./output.ts";
import type { ToJson } from "./proto-json.ts";

/** The process as commands see it. */
export type CliContext = {
  readonly environment: Environment;
  readonly output: Output;
  readonly interrupts: Interrupts;
  /** A message as `--json` prints it. */
  readonly toJson: ToJson;
  /** Root of the clone or image: where services/, models/ and demo/ lie. */
  readonly projectFolder: string;
  readonly workingFolder: string;
  /** Whether a person can answer questions. */
  readonly canAsk: boolean;
};

/** A command's body: returns the exit code, or throws a FarmError. */
export type CommandBody<O> = (context: CliContext, options: O) => Promise<ExitCode>;

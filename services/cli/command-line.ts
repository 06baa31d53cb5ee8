/**
 * What all commands share on the command line: options, help, and how a body's outcome becomes an exit code.
 */
import { Command, Option } from "commander";
import { toFarmError } from "../domain/errors.ts";
import type { CliContext, CommandBody } from "./context.ts";
import { type ExitCode, exitCodeHelp, exitCodeOf, exitCodes } from "./exit-codes.ts";
import { reportError } from "./report-error.ts";

/** Takes the exit code of the command that ran. */
export type Finish = (code: ExitCode) => void;

export type CommandText = {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
};

/** A command with `--json`, examples and exit codes in its help. */
export function describeCommand(text: CommandText): Command {
  const examples = text.examples.map((example) => `  $ ${example}`).join("\n");
  return new Command(text.name)
    .summary(text.summary)
    .description(text.description)
    .option("--json", "print JSON instead of text")
    .addHelpText("after", `\nExamples:\n${examples}\n${exitCodeHelp}`);
}

/** Options of every command that talks to a farm. */
export function withFarmOptions(command: Command): Command {
  return command
    .option("--address <host:port>", "the farm's gRPC address (else VAPFARM_ADDRESS, else the farm of the data folder)")
    .option("--data <folder>", "data folder of the farm on this machine (else VAPFARM_DATA)");
}

/** An option that may be given several times. */
export function repeated(flags: string, description: string): Option {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  return new Option(flags, description).argParser<readonly string[]>(collect).default([], "none");
}

/** Runs a body; its error is printed and becomes the exit code. */
export async function runBody<O extends { readonly json?: boolean }>(
  context: CliContext,
  body: () => ReturnType<CommandBody<O>>,
  options: O,
): Promise<ExitCode> {
  try {
    return await body();
  } catch (thrown) {
    if (context.interrupts.signal.aborted) {
      context.output.note("interrupted");
      return exitCodes.interrupted;
    }
    const error = toFarmError(thrown);
    reportError(context.output, error, options.json === true);
    return exitCodeOf(error);
  }
}

/**
 * What all commands share on the command line: options, help, and how a body's outcome becomes an exit code.
 */
import { Command, Option } from "commander";
import type { FarmClient } from "../client/farm-client.ts";
import { toFarmError } from "../domain/errors.ts";
import { invalidOption, parseSpan } from "./ages.ts";
import type { CliContext, CommandBody } from "./context.ts";
import { type ExitCode, exitCodeHelp, exitCodeOf, exitCodes } from "./exit-codes.ts";
import { type FarmOptions, withFarm } from "./farm-address.ts";
import { reportError } from "./report-error.ts";

/** Takes the exit code of the command that ran. */
export type Finish = (code: ExitCode) => void;

/** Where a command stands in the help, in this order. */
export const helpGroups = {
  renders: "Renders and jobs:",
  files: "Files:",
  operate: "Operating a farm:",
  machine: "A farm on this machine:",
  settings: "This command:",
} as const;

/** What the help says of a command. */
export type CommandText = {
  readonly name: string;
  readonly group?: keyof typeof helpGroups;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
};

/** A command with `--json`, examples and exit codes in its help. */
export function describeCommand(text: CommandText): Command {
  const examples = text.examples.map((example) => `  $ ${example}`).join("\n");
  const command = new Command(text.name)
    .summary(text.summary)
    .description(text.description)
    .option("--json", "print JSON instead of text")
    .addHelpText("after", `\nExamples:\n${examples}\n${exitCodeHelp}`);
  return text.group === undefined ? command : command.helpGroup(helpGroups[text.group]);
}

/** Options of every command that talks to a farm. */
export function withFarmOptions(command: Command): Command {
  return command
    .option("--address <host:port>", "the farm's gRPC address (else VAPFARM_ADDRESS, the context, the farm of the data folder)")
    .option("--context <name>", "farm of `vapfarm config` (else VAPFARM_CONTEXT, else the current one)")
    .option("--data <folder>", "data folder of the farm on this machine (else VAPFARM_DATA)");
}

/** Of every command. */
export type JsonOption = { readonly json?: boolean };
/** Of commands that can go on showing. */
export type WatchOptions = { readonly watch?: boolean; readonly interval: string };

/** Options of what can be shown again and again. */
export function withWatchOptions(command: Command): Command {
  return command
    .option("-w, --watch", "show it again and again, until Ctrl-C")
    .option("--interval <time>", "with --watch: how often", "2s");
}

/** The interval in milliseconds. */
export function intervalOf({ interval = "2s" }: Partial<WatchOptions>): number {
  return Math.max(100, parseSpan("--interval", interval));
}

/** An option that may be given several times. */
export function repeated(flags: string, description: string): Option {
  const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];
  return new Option(flags, description).argParser<readonly string[]>(collect).default([], "none");
}

/** What the farm's messages take. */
const mostWhole = 2 ** 31 - 1;

/** A whole number from an option; FIELD_INVALID naming it for anything else. */
export function wholeOf(option: string, text: string, least = 0): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= mostWhole) return value;
  throw invalidOption(option, `"${text}" is no whole number from ${least} to ${mostWhole}`, "give a whole number in that range");
}

/** What a command that talks to a farm works with. */
export type FarmCall<O> = {
  readonly context: CliContext;
  readonly client: FarmClient;
  readonly options: O;
  /** Operands, in their order. */
  readonly args: readonly string[];
};

/** The action of a command that talks to a farm: connects, runs the body, closes. */
export function onFarm<O extends FarmOptions & JsonOption>(
  context: CliContext,
  finish: Finish,
  body: (call: FarmCall<O>) => Promise<ExitCode | undefined>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.opts<O>();
    const run = async (): Promise<ExitCode> =>
      (await withFarm(context, options, (client) => body({ context, client, options, args: command.args }))) ?? exitCodes.ok;
    finish(await runBody(context, run, options));
  };
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

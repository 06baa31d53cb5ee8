/**
 * All commands together.
 */
import { Command, CommanderError } from "commander";
import { cancelCommand } from "./commands/cancel.ts";
import { demoCommand } from "./commands/demo.ts";
import { jobCommand } from "./commands/job.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { renderCommand } from "./commands/render.ts";
import { upCommand } from "./commands/up.ts";
import { watchCommand } from "./commands/watch.ts";
import { workersCommand } from "./commands/workers.ts";
import type { CliContext } from "./context.ts";
import { type ExitCode, exitCodeHelp, exitCodes } from "./exit-codes.ts";

/** Runs one command line (without program name) and returns its exit code. */
export async function runCommandLine(args: readonly string[], context: CliContext): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const finish = (result: ExitCode): void => {
    code = result;
  };
  const program = new Command("vapfarm")
    .description("Renders Video-As-Prompt videos on a farm of workers.")
    .addHelpText("after", exitCodeHelp)
    .showHelpAfterError("(see --help)");
  for (const add of [upCommand, renderCommand, watchCommand, jobCommand, cancelCommand, workersCommand, migrateCommand, demoCommand]) {
    program.addCommand(add(context, finish));
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.output.line(text.replace(/\n$/, "")),
      writeErr: (text) => context.output.note(text.replace(/\n$/, "")),
    });
  }
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return thrown.exitCode === 0 || thrown.code === "commander.help" ? exitCodes.ok : exitCodes.invalid;
  }
  return code;
}

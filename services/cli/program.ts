/**
 * All commands together.
 */
import { Command, CommanderError } from "commander";
import { backupCommand } from "./commands/backup.ts";
import { benchCommand } from "./commands/bench/bench.ts";
import { budgetsCommand } from "./commands/budgets.ts";
import { cancelCommand } from "./commands/cancel.ts";
import { completeCommand, completionCommand } from "./commands/completion.ts";
import { configCommand } from "./commands/config.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { downloadCommand, urlCommand } from "./commands/download.ts";
import { eventsCommand } from "./commands/events.ts";
import { explainCommand } from "./commands/explain.ts";
import { failuresCommand } from "./commands/failures.ts";
import { farmCommand } from "./commands/farm.ts";
import { holdCommand, holdsCommand, releaseCommand } from "./commands/holds.ts";
import { jobCommand } from "./commands/job.ts";
import { jobsCommand } from "./commands/jobs.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { modelCommand, modelsCommand } from "./commands/models.ts";
import { pricesCommand } from "./commands/prices.ts";
import { recoverCommand } from "./commands/recover.ts";
import { renderCommand } from "./commands/render.ts";
import { rendersCommand } from "./commands/renders.ts";
import { retryCommand } from "./commands/retry.ts";
import { topCommand } from "./commands/top.ts";
import { tenantsCommand } from "./commands/tenants.ts";
import { upCommand } from "./commands/up.ts";
import { updateCommand } from "./commands/update.ts";
import { uploadCommand } from "./commands/upload.ts";
import { usageCommand } from "./commands/usage.ts";
import { versionCommand } from "./commands/version.ts";
import { watchCommand } from "./commands/watch.ts";
import { workersCommand } from "./commands/workers.ts";
import { type Finish, helpGroups } from "./command-line.ts";
import type { CliContext } from "./context.ts";
import { type ExitCode, exitCodeHelp, exitCodes } from "./exit-codes.ts";

/** In the order of the help. */
const commands = [
  ...[renderCommand, watchCommand, jobsCommand, jobCommand, rendersCommand, eventsCommand, explainCommand],
  ...[cancelCommand, retryCommand, updateCommand],
  ...[benchCommand],
  ...[uploadCommand, downloadCommand, urlCommand],
  ...[farmCommand, topCommand, workersCommand, failuresCommand, modelsCommand, modelCommand, holdCommand, releaseCommand, holdsCommand],
  ...[tenantsCommand],
  ...[usageCommand, pricesCommand, budgetsCommand],
  ...[upCommand, demoCommand, doctorCommand],
  ...[migrateCommand, backupCommand, recoverCommand],
  ...[configCommand, completionCommand, versionCommand],
];

/** The tree of commands; a command that ran tells its exit code. */
export function buildProgram(context: CliContext, finish: Finish): Command {
  const program = new Command("vapfarm")
    .description("Renders Video-As-Prompt videos on a farm of workers.")
    .option("-V, --version", "print the versions, as `vapfarm version` does")
    .helpCommand("help [command]", "show a command's help")
    .commandsGroup(helpGroups.settings)
    .addHelpText("after", exitCodeHelp)
    .showHelpAfterError("(see --help)")
    .enablePositionalOptions();
  for (const add of commands) program.addCommand(add(context, finish));
  program.addCommand(completeCommand(context, finish), { hidden: true });
  for (const command of withDescendants(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.output.line(text.replace(/\n$/, "")),
      writeErr: (text) => context.output.note(text.replace(/\n$/, "")),
      getOutHelpWidth: () => context.output.screen.columns() ?? 120,
      getErrHelpWidth: () => context.output.screen.columns() ?? 120,
    });
  }
  return program;
}

function withDescendants(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withDescendants)];
}

/** Runs one command line (without program name) and returns its exit code. */
export async function runCommandLine(args: readonly string[], context: CliContext): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = buildProgram(context, (result) => {
    code = result;
  });
  const [first, ...rest] = args;
  const meant = first === "--version" || first === "-V" ? ["version", ...rest] : args;
  try {
    await program.parseAsync([...meant], { from: "user" });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return thrown.exitCode === 0 || thrown.code === "commander.help" ? exitCodes.ok : exitCodes.invalid;
  }
  return code;
}

/**
 * `vapfarm bench`: benchmarks, a command per file of this folder.
 */
import { Command } from "commander";
import { type Finish, helpGroups } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { metricsCommand } from "./metrics.ts";
import { reportCommand } from "./report.ts";
import { importResultsCommand, resultsCommand } from "./results.ts";
import { runCommand } from "./run.ts";
import { runsCommand } from "./runs.ts";
import { suiteCommand, suitesCommand } from "./suites.ts";
import { importVotesCommand, votesCommand } from "./votes.ts";

/** In the order of the help. */
const commands = [
  ...[importCommand, suitesCommand, suiteCommand, metricsCommand],
  ...[runCommand, runsCommand, reportCommand, exportCommand],
  ...[importResultsCommand, resultsCommand, importVotesCommand, votesCommand],
];

/** Adds the command. */
export function benchCommand(context: CliContext, finish: Finish): Command {
  const bench = new Command("bench")
    .summary("benchmarks: suites of clips, runs over them, VBench's scores, reports")
    .description(
      "Benchmarks a model: a suite is imported from a CSV file with its clips, a run renders and measures each of its rows over all workers, and a report puts the numbers beside the paper's.",
    )
    .helpGroup(helpGroups.renders);
  for (const add of commands) bench.addCommand(add(context, finish));
  return bench;
}

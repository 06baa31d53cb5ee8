/**
 * `vapfarm failures`: tasks that failed for good, what was tried, and trying them anew.
 */
import type { Command } from "commander";
import { RetryTaskResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FailedTask } from "../../gen/proto/vapfarm/v1/operator.ts";
import { timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { failureLines } from "../failure-text.ts";
import type { FarmOptions } from "../farm-address.ts";
import { showList } from "../json-list.ts";

type FailuresOptions = FarmOptions &
  JsonOption & {
    readonly job?: string;
    readonly pool?: string;
    readonly code?: string;
    readonly stage?: string;
    readonly limit: string;
    readonly lines: string;
  };

const text = {
  name: "failures",
  group: "operate",
  summary: "list tasks that failed for good, with what was tried; retry one",
  description:
    "Lists tasks that failed for good and that failed renders still use, newest first: each try with its worker, its error and the last lines that the runtime wrote meanwhile.",
  examples: [
    "vapfarm failures",
    "vapfarm failures --code SUSPECTED_POISON --lines 40",
    "vapfarm failures --json | jq '.failures[].attempts[].logTail'",
    "vapfarm failures retry 1234",
  ],
} as const;
const retryText = {
  name: "retry",
  summary: "run the renders that a failed task took again",
  description:
    "Runs every failed render that uses the task again, in whichever of your jobs, with fresh budgets. Repeating it while they run changes nothing.",
  examples: ["vapfarm failures retry 1234"],
} as const;

/** Adds the command. */
export function failuresCommand(context: CliContext, finish: Finish): Command {
  const command = withFarmOptions(describeCommand(text))
    .option("--job <id>", "only those that took a render of this job")
    .option("--pool <name>", "only those of this pool")
    .option("--code <code>", "only those that failed with it, such as SUSPECTED_POISON")
    .option("--stage <name>", "only those of this stage")
    .option("--limit <number>", "how many at most", "20")
    .option("--lines <number>", "how many lines of each log to show", "10")
    .action(onFarm<FailuresOptions>(context, finish, listFailures))
    // The options after a subcommand's name are the subcommand's.
    .enablePositionalOptions();
  command.addCommand(
    withFarmOptions(describeCommand(retryText))
      .argument("<task>", "number of the task")
      .action(onFarm<FarmOptions & JsonOption>(context, finish, retryTask)),
  );
  return command;
}

async function listFailures(call: FarmCall<FailuresOptions>): Promise<ExitCode> {
  const { context, client, options } = call;
  const { job: jobId = "", pool = "", code = "", stage = "" } = options;
  const lines = wholeOf("--lines", options.lines);
  const control = { limit: wholeOf("--limit", options.limit, 1), signal: context.interrupts.signal };
  const items = () => client.failures({ jobId, pool, code, stage }, control);
  const time = timeTexts(context.output.screen.isTerminal, new Date());
  const table = (failures: readonly FailedTask[]): string =>
    failures.length === 0 ? "no failed tasks" : failures.flatMap((failure) => failureLines(failure, { time, lines })).join("\n");
  return showList(call, { name: "failures", codec: FailedTask, items, table });
}

async function retryTask({ context, client, options, args: [task = ""] }: FarmCall<FarmOptions & JsonOption>): Promise<undefined> {
  const answer = await client.calls.retryTask({ taskId: BigInt(wholeOf("<task>", task, 1)) });
  const { retriedRenders: retried, leftRenders: left } = answer;
  if (options.json === true) context.output.json(context.toJson(RetryTaskResponse, answer));
  else
    context.output.line(
      `${retried === 1 ? "1 render runs" : `${retried} renders run`} again${left > 0 ? `, ${left} are left: repeat it` : ""}`,
    );
}

/**
 * `vapfarm explain`: why a job's tasks wait.
 */
import type { Command } from "commander";
import { ExplainJobResponse, JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { TaskExplanation } from "../../gen/proto/vapfarm/v1/operator.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { timeTexts } from "../ages.ts";
import { printFailures } from "../failure-text.ts";
import type { FarmOptions } from "../farm-address.ts";
import type { Output } from "../output.ts";
import { plainText } from "../table.ts";
import { constraintWord, jobStateWord } from "../words.ts";

type ExplainOptions = FarmOptions & JsonOption & { readonly render?: string };

const text = {
  name: "explain",
  group: "renders",
  summary: "say why a job waits",
  description: "Says for each open task of a job every constraint that keeps it from running, and what can be done about it.",
  examples: ["vapfarm explain 0199a3f2-...", "vapfarm explain 0199a3f2-... --render 3 --json | jq .summary"],
} as const;

/** Adds the command. */
export function explainCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--render <position>", "only this render's tasks, from 0 on")
    .action(onFarm<ExplainOptions>(context, finish, explain));
}

async function explain({ context, client, options, args: [jobId = ""] }: FarmCall<ExplainOptions>): Promise<undefined> {
  const { output } = context;
  const position = options.render === undefined ? {} : { renderPosition: wholeOf("--render", options.render) };
  const answer = await client.calls.explainJob({ jobId, ...position });
  if (options.json === true) {
    output.json(context.toJson(ExplainJobResponse, answer));
    return;
  }
  output.line(plainText(`job ${jobId} is ${jobStateWord(answer.state)}: ${answer.summary}`));
  for (const { constraint } of answer.waitingRenders) {
    if (constraint !== undefined && constraint.remedy !== "") output.line(plainText(`  what to do: ${constraint.remedy}`));
  }
  for (const task of answer.tasks) printTask(output, task);
  const rest = answer.openTasks - answer.tasks.length;
  if (rest > 0) output.line(`and ${rest} more open tasks`);
  if (answer.state !== JobState.JOB_STATE_FAILED) return;
  const named = options.render === undefined ? { jobId } : { jobId, position: wholeOf("--render", options.render) };
  await printFailures({ client, output, time: timeTexts(output.screen.isTerminal, new Date()) }, named);
}

function printTask(output: Output, task: TaskExplanation): void {
  const label = task.label === "" ? "" : ` (${task.label})`;
  output.line(output.paint("bold", plainText(`${task.stage}${label}, render ${task.renderPosition}, pool ${task.pool}`)));
  for (const { kind, message, remedy } of task.constraints) {
    output.line(plainText(`  ${constraintWord(kind)}: ${message}`));
    if (remedy !== "") output.line(plainText(`    what to do: ${remedy}`));
  }
}

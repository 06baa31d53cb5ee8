/**
 * `vapfarm update`: changes an open job's place among others.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { type DeepPartial, Job, type UpdateJobRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { invalidOption, parseTime, timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";

/** Commander gives `deadline: false` for --no-deadline. */
type UpdateOptions = FarmOptions & JsonOption & { readonly priority?: string; readonly deadline?: string | boolean };

const text = {
  name: "update",
  group: "renders",
  summary: "change an open job's priority or deadline",
  description: "Changes the priority or the deadline of a job that has not ended.",
  examples: [
    "vapfarm update 0199a3f2-... --priority 50",
    "vapfarm update 0199a3f2-... --deadline 2h",
    "vapfarm update 0199a3f2-... --no-deadline",
  ],
} as const;

/** Adds the command. */
export function updateCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--priority <number>", "-100 to 100, higher first")
    .option("--deadline <time>", "when it is needed: ISO 8601, or how long from now, such as 2h")
    .option("--no-deadline", "whenever it comes")
    .action(onFarm<UpdateOptions>(context, finish, update));
}

async function update({ context, client, options, args: [jobId = ""] }: FarmCall<UpdateOptions>): Promise<undefined> {
  const { output } = context;
  const job = present((await client.calls.updateJob(requestOf(jobId, options))).job, "job");
  if (options.json === true) {
    output.json(context.toJson(Job, job));
    return;
  }
  const time = timeTexts(output.screen.isTerminal, new Date());
  const deadline = job.deadline === undefined ? "no deadline" : `deadline ${time(job.deadline)}`;
  output.line(`job ${job.jobId} has priority ${job.priority}, ${deadline}`);
}

function requestOf(jobId: string, { priority, deadline }: UpdateOptions): DeepPartial<UpdateJobRequest> {
  const updateMask = [
    ...(priority === undefined ? [] : ["priority"]),
    ...(typeof deadline === "string" || deadline === false ? ["deadline"] : []),
  ];
  if (updateMask.length === 0)
    throw invalidOption("--priority", "nothing to change was given", "give --priority, --deadline or --no-deadline");
  const request = { jobId, updateMask, priority: priority === undefined ? 0 : wholeOf("--priority", priority, -100) };
  return typeof deadline === "string" ? { ...request, deadline: parseTime("--deadline", deadline, { now: new Date(), sign: 1 }) } : request;
}

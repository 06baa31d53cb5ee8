/**
 * `vapfarm job`: what a job is and where each of its tasks stands.
 */
import type { Command } from "commander";
import { Job, TaskState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import type { Output } from "../output.ts";
import { bytesText, seconds, textTable } from "../text-table.ts";
import { stateText } from "./cancel.ts";

type JobOptions = FarmOptions & { readonly json?: boolean };

const text = {
  name: "job",
  summary: "show a job and its tasks",
  description: "Shows a job: its state, each task with its attempts and worker, what it made, why it failed.",
  examples: ["vapfarm job 0199a3f2-...", "vapfarm job 0199a3f2-... --json | jq .tasks"],
};

/** Adds the command. */
export function jobCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .action(async (jobId: string, options: JobOptions) => {
      const body = () =>
        withFarm(context, options, async (client) => {
          const job = await client.getJob(jobId);
          if (options.json === true) context.output.json(Job.toJSON(job));
          else printJob(context.output, job);
          return exitCodes.ok;
        });
      finish(await runBody(context, body, options));
    });
}

function printJob(output: Output, job: Job): void {
  output.line(`job ${job.jobId} is ${stateText(job.state)}, submitted ${job.createTime?.toISOString() ?? ""} by ${job.tenant}`);
  output.line(`prompt: ${job.render?.prompt ?? ""}`);
  const rows = job.tasks.map((task) => [
    task.stage,
    task.label,
    taskStateText(task.state),
    task.reused ? "reused" : String(task.attempts),
    task.computeMs > 0 ? seconds(task.computeMs) : "",
    task.workerName,
  ]);
  output.line(textTable(["stage", "of", "state", "attempts", "compute", "worker"], rows));
  for (const { name, sha256, sizeBytes } of job.artifacts) output.line(`${name}: ${bytesText(Number(sizeBytes))}, sha256 ${sha256}`);
  for (const { code, message } of job.warnings) output.line(`warning ${code}: ${message}`);
  if (job.failure !== undefined)
    output.line(`failed: ${job.failure.code} in ${job.failure.stage}: ${job.failure.message} (${job.failure.remedy})`);
}

function taskStateText(state: TaskState): string {
  const name = Object.entries(TaskState).find(([, value]) => value === state)?.[0] ?? "UNRECOGNIZED";
  return name.replace("TASK_STATE_", "").toLowerCase();
}

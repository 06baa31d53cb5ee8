/**
 * `vapfarm job`: what a job or one of its renders is, and where each of its tasks stands.
 */
import type { Command } from "commander";
import { type Artifact, Job, type JobFailure, Render, type RenderSpec, type TaskSummary } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { StageWarning } from "../../gen/proto/vapfarm/v1/stage.ts";
import { type TimeText, timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { printFailures } from "../failure-text.ts";
import type { FarmOptions } from "../farm-address.ts";
import type { Output } from "../output.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { bytesText } from "../../domain/bytes-text.ts";
import { seconds } from "../text-table.ts";
import { deadlineWord, jobClassWord, jobStateWord, reuseWord, stateCell, taskStateWord } from "../words.ts";

type JobOptions = FarmOptions & JsonOption & { readonly render?: string };

const text = {
  name: "job",
  group: "renders",
  summary: "show a job, or one of its renders, and its tasks",
  description:
    "Shows a job: its state, each task with its attempts and worker, what it made, why it failed. A job of several renders shows how many are in each state; with --render one of them is shown whole.",
  examples: ["vapfarm job 0199a3f2-...", "vapfarm job 0199a3f2-... --render 3", "vapfarm job 0199a3f2-... --json | jq .tasks"],
} as const;

/** Adds the command. */
export function jobCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--render <position>", "one render of the job, from 0 on")
    .action(onFarm<JobOptions>(context, finish, showJob));
}

async function showJob({ context, client, options, args: [jobId = ""] }: FarmCall<JobOptions>): Promise<undefined> {
  const { output } = context;
  const time = timeTexts(output.screen.isTerminal, new Date());
  if (options.render !== undefined) {
    const position = wholeOf("--render", options.render);
    const render = await client.getRender(jobId, position);
    if (options.json === true) output.json(context.toJson(Render, render));
    else {
      printRender(output, render, time);
      if (render.failure !== undefined) await printFailures({ client, output, time }, { jobId, position });
    }
    return;
  }
  const job = await client.getJob(jobId);
  if (options.json === true) output.json(context.toJson(Job, job));
  else {
    printJob(output, job, time);
    if (job.failure !== undefined) await printFailures({ client, output, time }, { jobId });
  }
}

function printJob(output: Output, job: Job, time: TimeText): void {
  output.line(`job ${job.jobId} is ${jobStateWord(job.state)}, submitted ${time(job.createTime)} by ${plainText(job.tenant)}`);
  const facts = [`class ${jobClassWord(job.jobClass)}`, `priority ${job.priority}`, `reuse ${reuseWord(job.reuse)}`];
  if (job.deadline !== undefined) facts.push(`deadline ${time(job.deadline)} (${deadlineWord(job.deadlineStanding)})`);
  if (job.endTime !== undefined) facts.push(`ended ${time(job.endTime)}`);
  output.line(facts.join(", "));
  printCounts(output, job);
  printDetails(output, { ...job, spec: job.render, inputs: [] });
  printWebhook(output, job, time);
}

function printCounts(output: Output, { renderCounts, jobId }: Job): void {
  if (renderCounts === undefined || renderCounts.total < 2) return;
  const { total, ...states } = renderCounts;
  const some = Object.entries(states).filter(([, count]) => count > 0);
  const parts = some.map(([state, count]) => `${count} ${state}`);
  output.line(`${total} renders: ${parts.join(", ")} (vapfarm renders ${jobId})`);
}

function printWebhook(output: Output, { webhook }: Job, time: TimeText): void {
  if (webhook === undefined) return;
  const delivery = webhook.delivery;
  const state =
    delivery === undefined
      ? "not due yet"
      : delivery.deliveredTime !== undefined
        ? `delivered ${time(delivery.deliveredTime)}`
        : delivery.nextTryTime !== undefined
          ? `next try ${time(delivery.nextTryTime)} after ${delivery.tries} tries: ${delivery.lastError}`
          : `given up after ${delivery.tries} tries: ${delivery.lastError}`;
  output.line(plainText(`webhook ${webhook.url}: ${state}`));
}

function printRender(output: Output, render: Render, time: TimeText): void {
  const end = render.endTime === undefined ? "" : `, ended ${time(render.endTime)}`;
  output.line(`render ${render.position} of job ${render.jobId} is ${jobStateWord(render.state)}${end}`);
  printDetails(output, render);
}

type Details = {
  readonly spec?: RenderSpec | undefined;
  readonly tasks: readonly TaskSummary[];
  readonly inputs: readonly Artifact[];
  readonly artifacts: readonly Artifact[];
  readonly warnings: readonly StageWarning[];
  readonly failure?: JobFailure | undefined;
};

function printDetails(output: Output, { spec, tasks, inputs, artifacts, warnings, failure }: Details): void {
  if (spec !== undefined) {
    output.line(plainText(`model ${spec.model}, seed ${(spec.seed ?? 0n).toString()}, ${spec.steps ?? 0} steps`));
    output.line(plainText(`prompt: ${spec.prompt}`));
  }
  const { screen, paint } = output;
  if (tasks.length > 0) output.line(renderTable(tasks, taskColumns, { width: screen.columns(), paint }));
  for (const { name, sha256, sizeBytes } of [...inputs, ...artifacts]) {
    output.line(plainText(`${name}: ${bytesText(Number(sizeBytes))}, sha256 ${sha256}`));
  }
  for (const { code, message } of warnings) output.line(plainText(`warning ${code}: ${message}`));
  if (failure === undefined) return;
  const { code, stage, message, remedy } = failure;
  output.line(plainText(`failed: ${code} in ${stage}: ${message} (${remedy})`));
}

/** E.g. "3, 1 made way". */
function attemptsText({ reused, attempts, preemptions }: TaskSummary): string {
  if (reused) return "reused";
  return preemptions > 0 ? `${attempts}, ${preemptions} made way` : String(attempts);
}

const taskColumns: readonly Column<TaskSummary>[] = [
  { title: "stage", cell: ({ stage }) => stage, weight: 9 },
  { title: "of", cell: ({ label }) => label, weight: 3, least: 8 },
  { title: "state", cell: ({ state }) => stateCell(taskStateWord(state)), weight: 8 },
  { title: "attempts", cell: attemptsText, weight: 4 },
  { title: "compute", cell: ({ computeMs }) => (computeMs > 0 ? seconds(computeMs) : ""), weight: 5, align: "right" },
  { title: "worker", cell: ({ workerName }) => workerName, weight: 6 },
  { title: "task", cell: ({ taskId }) => taskId.toString(), weight: 1, align: "right" },
];

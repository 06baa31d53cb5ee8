/**
 * `vapfarm retry`: runs what failed or was cancelled again.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { RetryJobResponse, RetryRenderResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";
import { jobStateWord } from "../words.ts";

type RetryOptions = FarmOptions & JsonOption & { readonly render?: string };

const text = {
  name: "retry",
  group: "renders",
  summary: "run a job's failed and cancelled renders again",
  description:
    "Runs a job's failed and cancelled renders again under the same job id, with fresh budgets; what had succeeded is not computed anew. Repeating it while they run changes nothing.",
  examples: [
    "vapfarm retry 0199a3f2-...",
    "vapfarm retry 0199a3f2-... --render 3",
    "vapfarm retry 0199a3f2-... && vapfarm watch 0199a3f2-...",
  ],
} as const;

/** Adds the command. */
export function retryCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--render <position>", "only this render, from 0 on")
    .action(onFarm<RetryOptions>(context, finish, retry));
}

async function retry({ context, client, options, args: [jobId = ""] }: FarmCall<RetryOptions>): Promise<undefined> {
  const { output } = context;
  if (options.render === undefined) {
    const answer = await client.calls.retryJob({ jobId });
    const job = present(answer.job, "job");
    if (options.json === true) output.json(context.toJson(RetryJobResponse, answer));
    else
      output.line(
        `job ${job.jobId} is ${jobStateWord(job.state)}, ${answer.retriedRenders === 1 ? "1 render runs" : `${answer.retriedRenders} renders run`} again`,
      );
    return;
  }
  const answer = await client.calls.retryRender({ jobId, position: wholeOf("--render", options.render) });
  const render = present(answer.render, "render");
  if (options.json === true) output.json(context.toJson(RetryRenderResponse, answer));
  else output.line(`render ${render.position} of job ${render.jobId} is ${jobStateWord(render.state)}`);
}

/**
 * `vapfarm cancel`: stops a job, or one of its renders.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Job, Render } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";
import { jobStateWord } from "../words.ts";

type CancelOptions = FarmOptions & JsonOption & { readonly render?: string };

const text = {
  name: "cancel",
  group: "renders",
  summary: "cancel a job, or one of its renders",
  description: "Cancels a job; running work ends within one denoise step. Cancelling twice, or a job that has ended, changes nothing.",
  examples: ["vapfarm cancel 0199a3f2-...", "vapfarm cancel 0199a3f2-... --render 3"],
} as const;

/** Adds the command. */
export function cancelCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--render <position>", "only this render, from 0 on")
    .action(onFarm<CancelOptions>(context, finish, cancel));
}

async function cancel({ context, client, options, args: [jobId = ""] }: FarmCall<CancelOptions>): Promise<undefined> {
  const { output } = context;
  if (options.render === undefined) {
    const job = await client.cancel(jobId);
    if (options.json === true) output.json(context.toJson(Job, job));
    else output.line(`job ${job.jobId} is ${jobStateWord(job.state)}`);
    return;
  }
  const position = wholeOf("--render", options.render);
  const render = present((await client.calls.cancelRender({ jobId, position })).render, "render");
  if (options.json === true) output.json(context.toJson(Render, render));
  else output.line(`render ${render.position} of job ${render.jobId} is ${jobStateWord(render.state)}`);
}

/**
 * `vapfarm cancel`: stops a job.
 */
import type { Command } from "commander";
import { Job, JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";

type CancelOptions = FarmOptions & { readonly json?: boolean };

const text = {
  name: "cancel",
  summary: "cancel a job",
  description: "Cancels a job; running work ends within one denoise step. Cancelling twice, or a job that has ended, changes nothing.",
  examples: ["vapfarm cancel 0199a3f2-..."],
};

/** Adds the command. */
export function cancelCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .action(async (jobId: string, options: CancelOptions) => {
      const body = () =>
        withFarm(context, options, async (client) => {
          const job = await client.cancel(jobId);
          if (options.json === true) context.output.json(Job.toJSON(job));
          else context.output.line(`job ${job.jobId} is ${stateText(job.state)}`);
          return exitCodes.ok;
        });
      finish(await runBody(context, body, options));
    });
}

/** A job's state in a word. */
export function stateText(state: JobState): string {
  const name = Object.entries(JobState).find(([, value]) => value === state)?.[0] ?? "UNRECOGNIZED";
  return name.replace("JOB_STATE_", "").toLowerCase();
}

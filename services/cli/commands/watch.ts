/**
 * `vapfarm watch`: a job's progress to its end, its files on request.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { type Job, JobState, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { describeCommand, type Finish, runBody, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import { download, downloadRenders } from "../render/on-farm.ts";
import { printReport, reportOf } from "../render/report.ts";
import { watchToEnd } from "../render/watch-to-end.ts";
import type { FarmClient } from "../../client/farm-client.ts";

type WatchOptions = FarmOptions & { readonly json?: boolean; readonly out?: string };

const text = {
  name: "watch",
  group: "renders",
  summary: "watch a job to its end",
  description:
    "Shows a job's progress until it ends; with --out its files are downloaded then. With --json every event and progress message is one line, the report the last.",
  examples: ["vapfarm watch 0199a3f2-...", "vapfarm watch 0199a3f2-... --out results", "vapfarm watch 0199a3f2-... --json | jq ."],
} as const;

/** Adds the command. */
export function watchCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<job>", "job id")
    .option("--out <folder>", "download the job's files here; of several renders, those that succeeded")
    .action(async (jobId: string, options: WatchOptions) => {
      const body = (): Promise<ExitCode> => withFarm(context, options, (client) => watch(context, { client, jobId, options }));
      finish(await runBody(context, body, options));
    });
}

type Watching = { readonly client: FarmClient; readonly jobId: string; readonly options: WatchOptions };

async function watch(context: CliContext, { client, jobId, options }: Watching): Promise<ExitCode> {
  const asJson = options.json === true;
  const onResponse = (response: WatchJobResponse): void => context.output.json(context.toJson(WatchJobResponse, response));
  const job = await client.getJob(jobId);
  const outcome = await watchToEnd(context, { client, job, asJson, ...(asJson ? { onResponse } : {}) });
  if (outcome.kind === "left") return exitCodes.interrupted;
  const files = await filesOf(context, { client, job: outcome.job, out: options.out });
  return printReport(context.output, reportOf(outcome.job, files), asJson);
}

type Ended = { readonly client: FarmClient; readonly job: Job; readonly out: string | undefined };

async function filesOf(context: CliContext, { client, job, out }: Ended): Promise<Readonly<Record<string, string>>> {
  if (out === undefined) return {};
  const to = { client, folder: resolve(context.workingFolder, out), signal: context.interrupts.signal };
  if ((job.renderCounts?.total ?? 1) > 1) return downloadRenders(job, to);
  return job.state === JobState.JOB_STATE_SUCCEEDED ? download(job, to) : {};
}

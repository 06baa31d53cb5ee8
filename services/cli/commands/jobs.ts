/**
 * `vapfarm jobs`: which jobs there are.
 */
import type { Command } from "commander";
import type { DeepPartial, ListJobsRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { Job } from "../../gen/proto/vapfarm/v1/farm.ts";
import { parseTime, spanText, type TimeText, timeTexts } from "../ages.ts";
import {
  describeCommand,
  type FarmCall,
  type Finish,
  type JsonOption,
  onFarm,
  type WatchOptions,
  wholeOf,
  withFarmOptions,
  withWatchOptions,
} from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { showList } from "../json-list.ts";
import { type Column, renderTable } from "../table.ts";
import { jobClassOf, jobClassWord, jobStatesOf, jobStateWord, stateCell } from "../words.ts";

type JobsOptions = FarmOptions &
  JsonOption &
  WatchOptions & {
    readonly state?: string;
    readonly class?: string;
    readonly model?: string;
    readonly since?: string;
    readonly until?: string;
    readonly tenant?: string;
    readonly idempotencyKey?: string;
    readonly order?: string;
    readonly limit: string;
  };

const text = {
  name: "jobs",
  group: "renders",
  summary: "list jobs",
  description: "Lists jobs by filter and order, the newest first. An admin sees those of every tenant.",
  examples: [
    "vapfarm jobs",
    "vapfarm jobs --state running,queued --watch",
    'vapfarm jobs --since 7d --order "end_time desc" --limit 1000',
    "vapfarm jobs --state failed --json | jq -r '.jobs[].jobId' | xargs -n 1 vapfarm retry",
  ],
} as const;

/** Adds the command. */
export function jobsCommand(context: CliContext, finish: Finish): Command {
  return withWatchOptions(withFarmOptions(describeCommand(text)))
    .option("--state <list>", "of queued,running,succeeded,failed,cancelled")
    .option("--class <name>", "production or benchmark")
    .option("--model <name>", "with a render of this model")
    .option("--since <time>", "created at or after: ISO 8601, or how long ago, such as 2h")
    .option("--until <time>", "created before: ISO 8601, or how long ago")
    .option("--tenant <name>", "whose (else the caller's, or all for an admin)")
    .option("--idempotency-key <key>", "the job of this key")
    .option("--order <field>", 'create_time, end_time or priority, with " desc" for the other direction (else "create_time desc")')
    .option("--limit <number>", "how many at most", "100")
    .action(onFarm<JobsOptions>(context, finish, listJobs));
}

async function listJobs(call: FarmCall<JobsOptions>): Promise<ExitCode> {
  const { context, client, options } = call;
  const filter = filterOf(options);
  const control = { limit: wholeOf("--limit", options.limit, 1), signal: context.interrupts.signal };
  const items = () => client.jobs(filter, control);
  return showList(call, { name: "jobs", codec: Job, items, table: (jobs) => jobTable(context, jobs) });
}

function filterOf(options: JobsOptions): DeepPartial<ListJobsRequest> {
  const now = new Date();
  const since = options.since === undefined ? {} : { createdAfter: parseTime("--since", options.since, { now, sign: -1 }) };
  const until = options.until === undefined ? {} : { createdBefore: parseTime("--until", options.until, { now, sign: -1 }) };
  return {
    ...since,
    ...until,
    tenant: options.tenant ?? "",
    states: jobStatesOf("--state", options.state),
    jobClass: jobClassOf("--class", options.class),
    model: options.model ?? "",
    idempotencyKey: options.idempotencyKey ?? "",
    orderBy: options.order ?? "",
  };
}

/** Jobs as a table of the screen's width. */
function jobTable({ output }: CliContext, jobs: readonly Job[]): string {
  if (jobs.length === 0) return "no jobs";
  const { screen, paint } = output;
  return renderTable(jobs, jobColumns(timeTexts(screen.isTerminal, new Date())), { width: screen.columns(), paint });
}

function jobColumns(time: TimeText): readonly Column<Job>[] {
  return [
    { title: "job", cell: ({ jobId }) => jobId, weight: 9 },
    { title: "state", cell: ({ state }) => stateCell(jobStateWord(state)), weight: 8 },
    { title: "renders", cell: rendersText, weight: 6, align: "right" },
    { title: "created", cell: ({ createTime }) => time(createTime), weight: 7 },
    { title: "took", cell: tookText, weight: 5 },
    { title: "tenant", cell: ({ tenant }) => tenant, weight: 4 },
    { title: "class", cell: ({ jobClass }) => jobClassWord(jobClass), weight: 2 },
    { title: "priority", cell: ({ priority }) => String(priority), weight: 2, align: "right" },
    { title: "model", cell: ({ render }) => render?.model ?? "", weight: 3 },
    { title: "prompt", cell: aboutText, weight: 1, least: 12 },
  ];
}

/** Why it failed, else what is rendered: a job of several renders has no prompt of its own. */
function aboutText({ failure, render, renderCounts }: Job): string {
  if (failure !== undefined) return failure.code;
  const isOfSeveral = renderCounts !== undefined && renderCounts.total > 1;
  return render?.prompt ?? (isOfSeveral ? `${renderCounts.total} renders` : "");
}

function rendersText({ renderCounts }: Job): string {
  if (renderCounts === undefined) return "";
  const { total, succeeded, failed, cancelled } = renderCounts;
  return `${succeeded + failed + cancelled}/${total}`;
}

function tookText({ createTime, endTime }: Job): string {
  return createTime === undefined || endTime === undefined ? "" : spanText(endTime.getTime() - createTime.getTime());
}

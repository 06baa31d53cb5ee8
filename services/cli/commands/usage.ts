/**
 * `vapfarm usage`: what attempts cost, from the farm's books.
 */
import type { Command } from "commander";
import { type DeepPartial, GetUsageResponse, type GetUsageRequest, UsageRow } from "../../gen/proto/vapfarm/v1/operator.ts";
import { costText } from "../../platform/money-text.ts";
import { parseTime, spanText } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { FarmOptions } from "../farm-address.ts";
import { type Column, renderTable } from "../table.ts";
import { listOf, usageKeysOf } from "../words.ts";

type UsageOptions = FarmOptions &
  JsonOption & {
    readonly by?: string;
    readonly since: string;
    readonly until?: string;
    readonly tenant?: string;
    readonly job?: string;
  };

const text = {
  name: "usage",
  group: "operate",
  summary: "show what work cost",
  description:
    "Adds up the device time and cost of attempts that ended, by the keys asked for, the most expensive first. What serves several jobs is split among them by renders.",
  examples: [
    "vapfarm usage",
    "vapfarm usage --by tenant,stage --since 7d",
    "vapfarm usage --by day --since 2026-01-01 --json | jq '.rows[] | [.keys[0], .deviceMs]'",
    "vapfarm usage --job 0199a3f2-... --by stage,outcome",
  ],
} as const;

/** Adds the command. */
export function usageCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .option("--by <list>", "of tenant,job,pool,stage,worker,outcome,day (else one row for all)")
    .option("--since <time>", "ISO 8601, or how long ago", "30d")
    .option("--until <time>", "ISO 8601, or how long ago (else now)")
    .option("--tenant <name>", "whose (else the caller's, or all for an admin)")
    .option("--job <id>", "only what this job bears")
    .action(onFarm<UsageOptions>(context, finish, showUsage));
}

async function showUsage({ context, client, options }: FarmCall<UsageOptions>): Promise<undefined> {
  const { output } = context;
  const answer = await client.calls.getUsage(requestOf(options));
  if (options.json === true) {
    output.json(context.toJson(GetUsageResponse, answer));
    return;
  }
  const keys = listOf(options.by);
  const total = { ...UsageRow.create(answer.total), keys: keys.map((_key, index) => (index === 0 ? "total" : "")) };
  const rows = keys.length === 0 ? [total] : [...answer.rows, total];
  output.line(renderTable(rows, usageColumns(keys), { width: output.screen.columns(), paint: output.paint }));
}

function requestOf(options: UsageOptions): DeepPartial<GetUsageRequest> {
  const now = new Date();
  const from = parseTime("--since", options.since, { now, sign: -1 });
  const until = options.until === undefined ? {} : { until: parseTime("--until", options.until, { now, sign: -1 }) };
  return { from, ...until, groupBy: usageKeysOf("--by", options.by), tenant: options.tenant ?? "", jobId: options.job ?? "" };
}

function usageColumns(keys: readonly string[]): readonly Column<UsageRow>[] {
  const span = (title: string, weight: number, of: (row: UsageRow) => number): Column<UsageRow> => ({
    title,
    weight,
    align: "right",
    cell: (row) => spanText(of(row)),
  });
  return [
    ...keys.map((title, index): Column<UsageRow> => ({ title, weight: 9, cell: (row) => row.keys[index] ?? "" })),
    { title: "cost", cell: ({ cost }) => costText(cost), align: "right", weight: 7 },
    { title: "attempts", cell: ({ attempts }) => attempts.toString(), align: "right", weight: 6 },
    span("device", 8, ({ deviceMs }) => deviceMs),
    span("wasted", 7, ({ wastedDeviceMs }) => wastedDeviceMs),
    span("compute", 4, ({ computeMs }) => computeMs),
    span("load", 3, ({ loadMs }) => loadMs),
    span("fetch", 2, ({ fetchMs }) => fetchMs),
    span("finish", 1, ({ finishMs }) => finishMs),
  ];
}

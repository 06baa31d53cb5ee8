/**
 * `vapfarm bench metrics`: repositories of metric networks, and what each can compute.
 */
import type { Command } from "commander";
import { MetricModel } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { metricNameOf } from "../../bench/metric-words.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { ExitCode } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { eachOf, showList } from "../../json-list.ts";
import { type Column, renderTable } from "../../table.ts";

type MetricsOptions = FarmOptions & JsonOption;

const text = {
  name: "metrics",
  summary: "list repositories of metric networks",
  description: "Lists the repositories of metric networks that runs can name, what each can compute, and how many live workers hold it.",
  examples: ["vapfarm bench metrics", "vapfarm bench metrics --json | jq -r '.models[].name'"],
} as const;

const columns: readonly Column<MetricModel>[] = [
  { title: "repository", cell: ({ name }) => name, weight: 9 },
  { title: "weights", cell: ({ weights }) => weights, weight: 6 },
  { title: "pool", cell: ({ pool }) => pool, weight: 3 },
  { title: "workers", cell: ({ workers }) => String(workers), weight: 8, align: "right" },
  { title: "metrics", cell: ({ metrics }) => metrics.flatMap((metric) => metricNameOf(metric) ?? []).join(", "), weight: 1, least: 12 },
];

/** Adds the command. */
export function metricsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text)).action(onFarm<MetricsOptions>(context, finish, listMetrics));
}

async function listMetrics(call: FarmCall<MetricsOptions>): Promise<ExitCode> {
  const { client, context } = call;
  const { screen, paint } = context.output;
  const items = () => eachOf(client.calls.listMetricModels({}).then(({ models }) => models));
  const table = (models: readonly MetricModel[]): string => renderTable(models, columns, { width: screen.columns(), paint });
  return showList(call, { name: "models", codec: MetricModel, items, table });
}

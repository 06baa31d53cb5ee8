/**
 * `vapfarm farm`: the farm at a glance.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Farm, type Pool, type StageQueue } from "../../gen/proto/vapfarm/v1/operator.ts";
import { spanText } from "../ages.ts";
import {
  describeCommand,
  type FarmCall,
  type Finish,
  intervalOf,
  type JsonOption,
  onFarm,
  type WatchOptions,
  withFarmOptions,
  withWatchOptions,
} from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { showView } from "../live-view.ts";
import type { Output } from "../output.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { holdScopeWord } from "../words.ts";

type ShowFarmOptions = FarmOptions & JsonOption & WatchOptions;

const text = {
  name: "farm",
  group: "operate",
  summary: "show the farm at a glance",
  description:
    "Shows the farm's pools: what waits in each stage, for how long, and how many workers there are. `vapfarm top` shows more, live.",
  examples: ["vapfarm farm", "vapfarm farm --watch", "vapfarm farm --json | jq '.pools[].workers'"],
} as const;

/** Adds the command. */
export function farmCommand(context: CliContext, finish: Finish): Command {
  return withWatchOptions(withFarmOptions(describeCommand(text))).action(onFarm<ShowFarmOptions>(context, finish, showFarm));
}

async function showFarm({ context, client, options }: FarmCall<ShowFarmOptions>): Promise<ExitCode> {
  const farm = async () => present((await client.calls.getFarm({})).farm, "farm");
  return showView(context, options.watch === true, {
    intervalMs: intervalOf(options),
    asJson: options.json === true,
    text: async () => farmText(context.output, await farm()),
    json: async () => context.toJson(Farm, await farm()),
  });
}

function farmText({ screen, paint }: Output, farm: Farm): string {
  const lines = [plainText(`farm ${farm.name}, version ${farm.version}, ${farm.openJobs} open jobs, ${farm.time?.toISOString() ?? ""}`)];
  for (const { scope, name, reason } of farm.holds) {
    const what = name === "" ? holdScopeWord(scope) : `${holdScopeWord(scope)} ${name}`;
    lines.push(paint("yellow", plainText(`held: ${what}${reason === "" ? "" : ` (${reason})`}`)));
  }
  lines.push(...farm.pools.flatMap(scalingText));
  const rows = farm.pools.flatMap(rowsOf);
  return [...lines, renderTable(rows, poolColumns, { width: screen.columns(), paint })].join("\n");
}

/** Of a pool that the farm decides about: how many workers it should have, and why. */
function scalingText({ name, scaling }: Pool): readonly string[] {
  if (scaling === undefined) return [];
  const { desired, asked, starting, reason } = scaling;
  const onTheWay = [...(asked === desired ? [] : [`${asked} asked for`]), ...(starting > 0 ? [`${starting} starting`] : [])];
  return [plainText(`pool ${name} should have ${desired} workers${onTheWay.length > 0 ? ` (${onTheWay.join(", ")})` : ""}: ${reason}`)];
}

type PoolRow = { readonly pool: Pool | undefined; readonly queue: StageQueue | undefined };

/** A row for each stage with work, the pool's own facts in the first. */
function rowsOf(pool: Pool): readonly PoolRow[] {
  const [first, ...rest] = pool.queues;
  return [{ pool, queue: first }, ...rest.map((queue) => ({ pool: undefined, queue }))];
}

const poolColumns: readonly Column<PoolRow>[] = [
  { title: "pool", cell: ({ pool }) => pool?.name ?? "", weight: 9 },
  { title: "workers", cell: ({ pool }) => (pool === undefined ? "" : workersText(pool)), weight: 7, least: 8 },
  { title: "stage", cell: ({ queue }) => queue?.stage ?? "", weight: 8 },
  ...(["running", "ready", "blocked", "delayed"] as const).map((title, index): Column<PoolRow> => ({
    title,
    cell: ({ queue }) => queue?.[title].toString() ?? "",
    align: "right",
    weight: 6 - index,
  })),
  { title: "waits", cell: ({ queue }) => waitText(queue), weight: 5, align: "right" },
  { title: "profile", cell: ({ pool }) => pool?.profile ?? "", weight: 1, least: 8 },
];

function waitText(queue: StageQueue | undefined): string {
  return queue === undefined || queue.oldestReadyMs === 0 ? "" : spanText(queue.oldestReadyMs);
}

function workersText({ workers }: Pool): string {
  const some = Object.entries(workers ?? {}).filter(([, count]) => count > 0);
  const parts = some.map(([state, count]) => `${count} ${state}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

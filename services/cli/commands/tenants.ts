/**
 * `vapfarm tenants`: who has what part of the farm, and `vapfarm tenants set`: what each is granted.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Tenant } from "../../gen/proto/vapfarm/v1/operator.ts";
import { invalidOption, spanText } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { plainText, renderTable } from "../table.ts";

type SetOptions = FarmOptions & JsonOption & { readonly weight?: string; readonly maxRunning?: string; readonly maxWaiting?: string };

const listText = {
  name: "tenants",
  group: "operate",
  summary: "list tenants, what they are granted and what they had",
  description:
    "Lists tenants with their weights, limits and decayed device time. While several have work, a pool's device time is divided by weight; only an admin sees other tenants.",
  examples: ["vapfarm tenants", "vapfarm tenants --json | jq '.tenants[] | {name, weight}'", "vapfarm tenants set studio-a --weight 2"],
} as const;
const setText = {
  name: "set",
  group: "operate",
  summary: "grant a tenant its weight and limits",
  description: "Grants a tenant its weight and limits, all of them anew: what is not named is weight 1 and no limit. For admins.",
  examples: ["vapfarm tenants set studio-a --weight 2", "vapfarm tenants set intern --max-running 1 --max-waiting 100"],
} as const;

/** Adds the command with its subcommand. */
export function tenantsCommand(context: CliContext, finish: Finish): Command {
  return (
    withFarmOptions(describeCommand(listText))
      .action(onFarm<FarmOptions & JsonOption>(context, finish, listTenants))
      // The options after a subcommand's name are the subcommand's.
      .enablePositionalOptions()
      .addCommand(setCommand(context, finish))
  );
}

function setCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(setText))
    .argument("<name>", "of the tenant")
    .option("--weight <number>", "its part against those of others")
    .option("--max-running <count>", "tasks that may run at once")
    .option("--max-waiting <count>", "renders that may wait or run at once")
    .action(onFarm<SetOptions>(context, finish, setTenant));
}

async function listTenants(call: FarmCall<FarmOptions & JsonOption>): Promise<ExitCode> {
  const items = () => eachOf(call.client.calls.listTenants({}).then(({ tenants }) => tenants));
  return showList(call, { name: "tenants", codec: Tenant, items, table: (tenants) => tenantTable(call.context.output, tenants) });
}

async function setTenant({ context, client, options, args: [name = ""] }: FarmCall<SetOptions>): Promise<undefined> {
  const { tenant } = await client.calls.updateTenant({
    name,
    weight: options.weight === undefined ? 1 : weightOf(options.weight),
    maxRunning: limitOf("--max-running", options.maxRunning),
    maxWaiting: limitOf("--max-waiting", options.maxWaiting),
  });
  const granted = present(tenant, "tenant");
  if (options.json === true) context.output.json(context.toJson(Tenant, granted));
  else context.output.line(plainText(`${granted.name}: weight ${granted.weight}, ${limitsOf(granted)}`));
}

function limitOf(option: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : wholeOf(option, text);
}

/** 0 would be told as 1: a tenant that may run nothing has a limit of 0. */
function weightOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value !== 0) return value;
  throw invalidOption("--weight", `"${text}" is no weight`, "give a number above 0; --max-running 0 lets nothing run");
}

function limitsOf({ maxRunning, maxWaiting }: Tenant): string {
  return `at most ${limitText(maxRunning)} running and ${limitText(maxWaiting)} waiting`;
}

function limitText(limit: number | undefined): string {
  return limit === undefined ? "any" : String(limit);
}

function tenantTable(output: Output, tenants: readonly Tenant[]): string {
  if (tenants.length === 0) return "no tenant was heard of";
  return renderTable(
    tenants,
    [
      { title: "tenant", cell: ({ name }) => name, weight: 9 },
      { title: "weight", cell: ({ weight }) => String(weight), align: "right", weight: 8 },
      { title: "running", cell: (tenant) => ofLimit(tenant.runningTasks, tenant.maxRunning), align: "right", weight: 7 },
      { title: "renders", cell: (tenant) => ofLimit(tenant.openRenders, tenant.maxWaiting), align: "right", weight: 6 },
      { title: "ready", cell: ({ readyTasks }) => String(readyTasks), align: "right", weight: 4 },
      { title: "had", cell: ({ shares }) => shares.map(({ pool, deviceMs }) => `${pool} ${spanText(deviceMs)}`).join(", "), weight: 5 },
    ],
    { width: output.screen.columns(), paint: output.paint },
  );
}

function ofLimit(count: number, limit: number | undefined): string {
  return limit === undefined ? String(count) : `${count} of ${limit}`;
}

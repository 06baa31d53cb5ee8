/**
 * `vapfarm budgets`: how much tenants and jobs may spend, what they have spent, and what happens when nothing is left.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Budget, BudgetUnit, type SetBudgetRequest } from "../../gen/proto/vapfarm/v1/books.ts";
import { amountText } from "../../platform/money-text.ts";
import { invalidOption } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { plainText, renderTable } from "../table.ts";
import { budgetActionOf, budgetActionWord, budgetLevelWord, budgetPeriodOf, budgetPeriodWord, budgetScopeOf, budgetScopeWord, stateCell } from "../words.ts"; // prettier-ignore
import { moneyOf } from "./prices.ts";

type BudgetOptions = FarmOptions &
  JsonOption & {
    readonly tenant?: string;
    readonly money?: string;
    readonly currency?: string;
    readonly gpuSeconds?: string;
    readonly period?: string;
    readonly action?: string;
    readonly reason?: string;
    readonly unit?: string;
  };

const listText = {
  name: "budgets",
  group: "operate",
  summary: "list budgets and what is spent of them; set or delete one",
  description: "Lists what tenants and jobs may spend, what they have spent, and what happens when nothing is left.",
  examples: [
    "vapfarm budgets",
    "vapfarm budgets set tenant studio-a --money 500 --currency EUR --period month",
    "vapfarm budgets --json | jq '.budgets[] | select(.level == \"BUDGET_LEVEL_REACHED\")'",
  ],
} as const;
const setText = {
  name: "set",
  summary: "limit what a tenant or a job may spend",
  description:
    "Limits what a tenant or a job may spend, in money or in seconds of device time. When nothing is left, `stop` starts nothing new of it; `cancel` ends its open jobs. Setting it again replaces it; raising it lets stopped work go on.",
  examples: [
    "vapfarm budgets set tenant studio-a --money 500 --currency EUR --period month",
    "vapfarm budgets set job 0199a3f2-... --gpu-seconds 3600 --action cancel --reason 'a trial'",
  ],
} as const;
const deleteText = {
  name: "delete",
  summary: "take a budget away",
  description: "Takes a budget away; what it stopped goes on within seconds. Deleting one that is not there changes nothing.",
  examples: ["vapfarm budgets delete tenant studio-a --unit money --period month"],
} as const;

/** Adds the command. */
export function budgetsCommand(context: CliContext, finish: Finish): Command {
  const command = withFarmOptions(describeCommand(listText))
    .option("--tenant <name>", "whose (else the caller's, or all for an admin)")
    .action(onFarm<BudgetOptions>(context, finish, listBudgets))
    .enablePositionalOptions();
  command.addCommand(
    withTarget(withFarmOptions(describeCommand(setText)))
      .option("--money <amount>", "such as 500 or 12.50")
      .option("--currency <code>", "with --money: the farm's, such as EUR")
      .option("--gpu-seconds <number>", "instead of --money: device time")
      .option("--action <action>", "stop or cancel", "stop")
      .option("--reason <text>", "why, for people")
      .action(onFarm<BudgetOptions>(context, finish, setBudget)),
  );
  command.addCommand(
    withTarget(withFarmOptions(describeCommand(deleteText)))
      .requiredOption("--unit <unit>", "money or gpu-seconds")
      .action(onFarm<BudgetOptions>(context, finish, deleteBudget)),
  );
  return command;
}

function withTarget(command: Command): Command {
  return command
    .argument("<scope>", "tenant or job")
    .argument("<name>", "of the tenant, or id of the job")
    .option("--period <period>", "total, or of a tenant month (calendar month, UTC)", "total");
}

async function listBudgets(call: FarmCall<BudgetOptions>): Promise<ExitCode> {
  const tenant = call.options.tenant ?? "";
  const items = () => eachOf(call.client.calls.listBudgets({ tenant }).then(({ budgets }) => budgets));
  return showList(call, { name: "budgets", codec: Budget, items, table: (budgets) => budgetTable(call.context.output, budgets) });
}

function budgetTable({ screen, paint }: Output, budgets: readonly Budget[]): string {
  if (budgets.length === 0) return "nobody has a budget";
  return renderTable(
    budgets,
    [
      { title: "scope", cell: ({ scope }) => budgetScopeWord(scope), weight: 6 },
      { title: "name", cell: ({ name }) => name, weight: 9 },
      { title: "spent", cell: ({ spent }) => amountText(spent), align: "right", weight: 8 },
      { title: "of", cell: ({ limit }) => amountText(limit), align: "right", weight: 8 },
      { title: "period", cell: ({ period }) => budgetPeriodWord(period), weight: 5 },
      { title: "action", cell: ({ action }) => budgetActionWord(action), weight: 4 },
      { title: "level", cell: ({ level }) => stateCell(budgetLevelWord(level)), weight: 7 },
      { title: "reason", cell: ({ reason }) => reason, weight: 2, least: 12 },
    ],
    { width: screen.columns(), paint },
  );
}

async function setBudget({ context, client, options, args }: FarmCall<BudgetOptions>): Promise<undefined> {
  const request = {
    ...targetOf(args, options),
    limit: limitOf(options),
    action: budgetActionOf("--action", options.action ?? ""),
    reason: options.reason ?? "",
  };
  const budget = present((await client.calls.setBudget(request)).budget, "budget");
  if (options.json === true) context.output.json(context.toJson(Budget, budget));
  else context.output.line(plainText(`${targetText(args)} has spent ${amountText(budget.spent)} of ${amountText(budget.limit)}`));
}

async function deleteBudget({ context, client, options, args }: FarmCall<BudgetOptions>): Promise<undefined> {
  const { deleted } = await client.calls.deleteBudget({ ...targetOf(args, options), unit: unitOf(options.unit ?? "") });
  if (options.json === true) context.output.json({ deleted });
  else context.output.line(plainText(`${targetText(args)} ${deleted ? "has this budget no more" : "had no such budget"}`));
}

function targetOf([scope = "", name = ""]: readonly string[], { period = "" }: BudgetOptions) {
  return { scope: budgetScopeOf("scope", scope), name, period: budgetPeriodOf("--period", period) };
}

function targetText([scope = "", name = ""]: readonly string[]): string {
  return `${scope} ${name}`;
}

function limitOf({ money, currency, gpuSeconds }: BudgetOptions): NonNullable<SetBudgetRequest["limit"]> {
  if (money !== undefined && gpuSeconds === undefined) return { $case: "money", value: moneyOf("--money", money, currency ?? "") };
  if (gpuSeconds === undefined || money !== undefined) {
    throw invalidOption("--money", money === undefined ? "no limit was given" : "two limits were given", "give --money or --gpu-seconds");
  }
  if (!/^\d+(\.\d+)?$/.test(gpuSeconds)) throw invalidOption("--gpu-seconds", `"${gpuSeconds}" is no number`, "give a number of seconds");
  return { $case: "gpuSeconds", value: Number(gpuSeconds) };
}

function unitOf(word: string): BudgetUnit {
  if (word === "money") return BudgetUnit.BUDGET_UNIT_MONEY;
  if (word === "gpu-seconds") return BudgetUnit.BUDGET_UNIT_GPU_TIME;
  throw invalidOption("--unit", `"${word}" is unknown`, "choose money or gpu-seconds");
}

/**
 * `vapfarm prices`: what an hour of device time costs in each pool; set it from now or a later time on.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { parseNanos, splitNanos } from "../../domain/money.ts";
import { Price } from "../../gen/proto/vapfarm/v1/books.ts";
import { costText } from "../../platform/money-text.ts";
import { invalidOption, parseTime, timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { plainText, renderTable } from "../table.ts";

type PriceOptions = FarmOptions & JsonOption & { readonly currency?: string; readonly from?: string };

const listText = {
  name: "prices",
  group: "operate",
  summary: "list what device time costs; set a price",
  description: "Lists the prices of an hour of device time, by pool: those of the past, of now and of later.",
  examples: ["vapfarm prices", "vapfarm prices set gpu 2.50 --currency EUR", "vapfarm prices --json | jq '.prices[0].perHour'"],
} as const;
const setText = {
  name: "set",
  summary: "set what an hour of device time costs in a pool",
  description:
    "Sets what an hour of device time costs in a pool from a time on. What was spent before stays as it is: a price that has begun is not changed.",
  examples: ["vapfarm prices set gpu 2.50 --currency EUR", "vapfarm prices set gpu 1.95 --currency EUR --from 2027-01-01T00:00:00Z"],
} as const;

/** Adds the command. */
export function pricesCommand(context: CliContext, finish: Finish): Command {
  const command = withFarmOptions(describeCommand(listText))
    .action(onFarm<PriceOptions>(context, finish, listPrices))
    .enablePositionalOptions();
  command.addCommand(
    withFarmOptions(describeCommand(setText))
      .argument("<pool>", "of the farm")
      .argument("<amount>", "of an hour of device time, such as 2.50")
      .requiredOption("--currency <code>", "such as EUR; every price of a farm has the same")
      .option("--from <time>", "ISO 8601, or how long from now (else now)")
      .action(onFarm<PriceOptions>(context, finish, setPrice)),
  );
  return command;
}

async function listPrices(call: FarmCall<PriceOptions>): Promise<ExitCode> {
  const items = () => eachOf(call.client.calls.listPrices({}).then(({ prices }) => prices));
  return showList(call, { name: "prices", codec: Price, items, table: (prices) => priceTable(call.context.output, prices) });
}

function priceTable({ screen, paint }: Output, prices: readonly Price[]): string {
  if (prices.length === 0) return "no pool has a price";
  const time = timeTexts(screen.isTerminal, new Date());
  return renderTable(
    prices,
    [
      { title: "pool", cell: ({ pool }) => pool, weight: 9 },
      { title: "an hour", cell: ({ perHour }) => costText(perHour), align: "right", weight: 8 },
      { title: "from", cell: ({ startTime }) => time(startTime), weight: 7 },
      { title: "by", cell: ({ setBy }) => setBy, weight: 5 },
    ],
    { width: screen.columns(), paint },
  );
}

async function setPrice({ context, client, options, args: [pool = "", amount = ""] }: FarmCall<PriceOptions>): Promise<undefined> {
  const startTime = options.from === undefined ? {} : { startTime: parseTime("--from", options.from, { now: new Date(), sign: 1 }) };
  const perHour = moneyOf("amount", amount, options.currency ?? "");
  const price = present((await client.calls.setPrice({ pool, perHour, ...startTime })).price, "price");
  if (options.json === true) context.output.json(context.toJson(Price, price));
  else context.output.line(plainText(`an hour of device time in pool ${pool} costs ${costText(price.perHour)}`));
}

/** An amount that a person wrote; FIELD_INVALID naming the option for what is none. */
export function moneyOf(option: string, text: string, currencyCode: string) {
  const nanos = parseNanos(text);
  if (nanos === undefined) throw invalidOption(option, `"${text}" is no amount of money`, "give a decimal number such as 2.50");
  return { currencyCode, ...splitNanos(nanos) };
}

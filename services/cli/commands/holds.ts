/**
 * `vapfarm hold`, `release`, `holds`: keep the farm, a pool or a tenant from starting anything new.
 */
import type { Command } from "commander";
import { present } from "../../client/farm-client.ts";
import { Hold, HoldScope } from "../../gen/proto/vapfarm/v1/operator.ts";
import { invalidOption, timeTexts } from "../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../command-line.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import type { FarmOptions } from "../farm-address.ts";
import { eachOf, showList } from "../json-list.ts";
import type { Output } from "../output.ts";
import { plainText, renderTable } from "../table.ts";
import { holdScopeOf, holdScopeWord } from "../words.ts";

type HoldOptions = FarmOptions & JsonOption & { readonly reason?: string };

const holdText = {
  name: "hold",
  group: "operate",
  summary: "start nothing new for the farm, a pool or a tenant",
  description:
    "Nothing new is started for the farm, a pool or a tenant until it is released; what runs goes on. A tenant without a name is the caller's own.",
  examples: ["vapfarm hold farm --reason maintenance", "vapfarm hold pool gpu", "vapfarm hold tenant studio-a --reason 'over budget'"],
} as const;
const releaseText = {
  name: "release",
  group: "operate",
  summary: "take a hold away",
  description: "Lets the farm, a pool or a tenant start work again. Releasing what is not held changes nothing.",
  examples: ["vapfarm release farm", "vapfarm release pool gpu"],
} as const;
const listText = {
  name: "holds",
  group: "operate",
  summary: "list the holds in force",
  description: "Lists what is held, by whom, since when and why.",
  examples: ["vapfarm holds", "vapfarm holds --json | jq -r '.holds[].reason'"],
} as const;

/** Adds the command. */
export function holdCommand(context: CliContext, finish: Finish): Command {
  return withScope(withFarmOptions(describeCommand(holdText)))
    .option("--reason <text>", "why, for people")
    .action(onFarm<HoldOptions>(context, finish, placeHold));
}

/** Adds the command. */
export function releaseCommand(context: CliContext, finish: Finish): Command {
  return withScope(withFarmOptions(describeCommand(releaseText))).action(onFarm<HoldOptions>(context, finish, releaseHold));
}

/** Adds the command. */
export function holdsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(listText)).action(onFarm<HoldOptions>(context, finish, listHolds));
}

function withScope(command: Command): Command {
  return command.argument("<scope>", "farm, pool or tenant").argument("[name]", "of the pool or tenant");
}

async function placeHold({ context, client, options, args }: FarmCall<HoldOptions>): Promise<undefined> {
  const hold = present((await client.calls.placeHold({ ...targetOf(args), reason: options.reason ?? "" })).hold, "hold");
  if (options.json === true) context.output.json(context.toJson(Hold, hold));
  else context.output.line(plainText(`${targetText(hold)} is held${hold.reason === "" ? "" : `: ${hold.reason}`}`));
}

async function releaseHold({ context, client, options, args }: FarmCall<HoldOptions>): Promise<undefined> {
  const target = targetOf(args);
  const { released } = await client.calls.releaseHold(target);
  if (options.json === true) context.output.json({ released });
  else context.output.line(`${targetText(target)} ${released ? "is released" : "was not held"}`);
}

async function listHolds(call: FarmCall<HoldOptions>): Promise<ExitCode> {
  const items = () => eachOf(call.client.calls.listHolds({}).then(({ holds }) => holds));
  return showList(call, { name: "holds", codec: Hold, items, table: (holds) => holdTable(call.context.output, holds) });
}

function holdTable(output: Output, holds: readonly Hold[]): string {
  if (holds.length === 0) return "nothing is held";
  const time = timeTexts(output.screen.isTerminal, new Date());
  return renderTable(
    holds,
    [
      { title: "scope", cell: ({ scope }) => holdScopeWord(scope), weight: 9 },
      { title: "name", cell: ({ name }) => name, weight: 8 },
      { title: "since", cell: ({ placeTime }) => time(placeTime), weight: 6 },
      { title: "by", cell: ({ placedBy, byBudget }) => (byBudget ? "its budget" : placedBy), weight: 5 },
      { title: "reason", cell: ({ reason }) => reason, weight: 4, least: 12 },
    ],
    { width: output.screen.columns(), paint: output.paint },
  );
}

function targetOf([word = "", name = ""]: readonly string[]): { readonly scope: HoldScope; readonly name: string } {
  const scope = holdScopeOf("scope", word);
  if (scope === HoldScope.HOLD_SCOPE_POOL && name === "") throw invalidOption("name", "no pool was named", "name the pool");
  if (scope === HoldScope.HOLD_SCOPE_FARM && name !== "") throw invalidOption("name", "the farm has no name here", "leave it out");
  return { scope, name };
}

function targetText({ scope, name }: { readonly scope: HoldScope; readonly name: string }): string {
  if (scope === HoldScope.HOLD_SCOPE_FARM) return "the farm";
  return name === "" ? "your tenant" : `${holdScopeWord(scope)} ${name}`;
}

/**
 * `vapfarm models alias`: names that move between versions.
 */
import type { Command } from "commander";
import { present } from "../../../client/farm-client.ts";
import { aliasReference, parseModelReference } from "../../../domain/model-reference.ts";
import { ModelAlias, ModelAliasMove } from "../../../gen/proto/vapfarm/v1/models.ts";
import { invalidOption, timeTexts } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { plainText, renderTable } from "../../table.ts";

type AliasOptions = FarmOptions & JsonOption & { readonly delete?: boolean; readonly history?: boolean };

const text = {
  name: "alias",
  summary: "move an alias to a version; list aliases and their moves",
  description:
    "Moves an alias of a model to a version. Jobs that are submitted from then on get it; those that were submitted before keep theirs. Moving it back is the roll-back. Without a version it lists aliases.",
  examples: [
    "vapfarm models alias cog@prod 1a2b3c4d5e6f",
    "vapfarm models alias cog --history",
    "vapfarm models alias cog@canary --delete",
  ],
} as const;

/** Adds the command. */
export function aliasCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("[model]", "<name>@<alias>; to list: <name>, or nothing for all")
    .argument("[version]", "12 digits, as `vapfarm models versions` lists them")
    .option("--delete", "take the alias away")
    .option("--history", "list moves, the newest first")
    .action(onFarm<AliasOptions>(context, finish, alias));
}

async function alias(call: FarmCall<AliasOptions>): Promise<undefined> {
  const { options, args } = call;
  const [given = "", version = ""] = args;
  if (version === "" && options.delete !== true) await list(call, given);
  else await move(call, given, options.delete === true ? "" : version);
  return undefined;
}

async function move({ context, client, options }: FarmCall<AliasOptions>, given: string, version: string): Promise<void> {
  const reference = parseModelReference(given);
  if (reference?.kind !== "alias") throw invalidOption("model", `"${given}" names no alias`, "give one such as cog@prod");
  const { name } = reference;
  // A pinned reference is what people have at hand.
  const bare = version.startsWith(`${name}:`) ? version.slice(name.length + 1) : version;
  const answer = await client.calls.setModelAlias({ name, alias: reference.alias, version: bare });
  if (version === "") {
    if (options.json === true) context.output.json({});
    else context.output.line(plainText(`${given} is taken away`));
    return;
  }
  const moved = present(answer.alias, "alias");
  if (options.json === true) context.output.json(context.toJson(ModelAlias, moved));
  else context.output.line(plainText(`${aliasReference(moved.name, moved.alias)} is ${moved.version} now`));
}

async function list({ context, client, options }: FarmCall<AliasOptions>, given: string): Promise<void> {
  const reference = given === "" ? undefined : parseModelReference(given);
  if (given !== "" && reference === undefined) throw invalidOption("model", `"${given}" names no model`, "give a name such as cog");
  const answer = await client.calls.listModelAliases({ name: reference?.name ?? "" });
  if (options.json === true) {
    const moves = answer.moves.map((each) => context.toJson(ModelAliasMove, each));
    context.output.json({ aliases: answer.aliases.map((each) => context.toJson(ModelAlias, each)), moves });
    return;
  }
  context.output.line(options.history === true ? movesTable(context, answer.moves) : aliasTable(context, answer.aliases));
}

function aliasTable({ output: { screen, paint } }: CliContext, aliases: readonly ModelAlias[]): string {
  if (aliases.length === 0) return "no model has an alias";
  const time = timeTexts(screen.isTerminal, new Date());
  return renderTable(
    aliases,
    [
      { title: "alias", cell: (each) => aliasReference(each.name, each.alias), weight: 9 },
      { title: "version", cell: ({ version }) => version, weight: 8 },
      { title: "moved", cell: ({ moveTime }) => time(moveTime), weight: 5 },
      { title: "by", cell: ({ movedBy }) => movedBy, weight: 3 },
    ],
    { width: screen.columns(), paint },
  );
}

function movesTable({ output: { screen, paint } }: CliContext, moves: readonly ModelAliasMove[]): string {
  if (moves.length === 0) return "no alias was ever moved";
  const time = timeTexts(screen.isTerminal, new Date());
  return renderTable(
    moves,
    [
      { title: "alias", cell: (each) => aliasReference(each.name, each.alias), weight: 9 },
      { title: "from", cell: ({ fromVersion }) => fromVersion, weight: 7 },
      { title: "to", cell: ({ toVersion }) => toVersion, weight: 8 },
      { title: "moved", cell: ({ moveTime }) => time(moveTime), weight: 5 },
      { title: "by", cell: ({ movedBy }) => movedBy, weight: 3 },
    ],
    { width: screen.columns(), paint },
  );
}

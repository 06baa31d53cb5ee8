/**
 * `vapfarm bench import-votes` and `vapfarm bench votes`: whom people preferred.
 */
import { basename, parse, resolve } from "node:path";
import type { Command } from "commander";
import { present } from "../../../client/farm-client.ts";
import { Preference, type PreferenceShare } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { readVotes } from "../../bench/read-votes.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { faultyFile } from "../../file-faults.ts";
import { type Column, plainText, renderTable } from "../../table.ts";
import { readText } from "./results.ts";

type VotesOptions = FarmOptions & JsonOption & { readonly name?: string };

const importText = {
  name: "import-votes",
  summary: "store votes of people who compared methods",
  description:
    "Reads a CSV file with the columns voter, trial, question (alignment or quality), methods (a JSON list, or names with ; between them) and choice. One vote that is wrong refuses all; a new import under the name replaces the votes.",
  examples: ["vapfarm bench import-votes study.csv", "vapfarm bench import-votes study.csv --name spring-study"],
} as const;
const showText = {
  name: "votes",
  summary: "show the shares of votes",
  description: "Shows each method's share of all selections, and of those for each question.",
  examples: ["vapfarm bench votes spring-study", "vapfarm bench report 0199a3f2 --votes spring-study"],
} as const;

const mostBytes = 64 * 1024 ** 2;

/** Adds the command. */
export function importVotesCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(importText))
    .argument("<file>", "CSV file")
    .option("--name <text>", "whose votes these are (else the file's name)")
    .action(onFarm<VotesOptions>(context, finish, importVotes));
}

/** Adds the command. */
export function votesCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(showText))
    .argument("<name>", "as they were imported")
    .action(onFarm<VotesOptions>(context, finish, showVotes));
}

async function importVotes({ context, client, options, args: [file = ""] }: FarmCall<VotesOptions>): Promise<undefined> {
  const path = resolve(context.workingFolder, file);
  const { votes, faults } = readVotes(await readText(path, mostBytes));
  if (faults.length > 0) throw faultyFile(basename(path), faults, "nothing was stored");
  const name = options.name ?? parse(path).name;
  const answer = await client.calls.importVotes({ name, votes: [...votes] }, { signal: context.interrupts.signal });
  print(context, present(answer.preference, "preference"), options);
}

async function showVotes({ context, client, options, args: [name = ""] }: FarmCall<VotesOptions>): Promise<undefined> {
  const answer = await client.calls.getPreference({ name }, { signal: context.interrupts.signal });
  print(context, present(answer.preference, "preference"), options);
}

const columns: readonly Column<PreferenceShare>[] = [
  { title: "method", cell: ({ method }) => method, weight: 6, least: 12 },
  { title: "share %", cell: ({ percent }) => percent.toFixed(1), align: "right", weight: 5 },
  { title: "alignment %", cell: ({ alignmentPercent }) => alignmentPercent.toFixed(1), align: "right", weight: 3 },
  { title: "quality %", cell: ({ qualityPercent }) => qualityPercent.toFixed(1), align: "right", weight: 3 },
  { title: "selections", cell: ({ selections }) => String(selections), align: "right", weight: 4 },
];

function print(context: CliContext, preference: Preference, { json }: JsonOption): void {
  const { output } = context;
  if (json === true) {
    output.json(context.toJson(Preference, preference));
    return;
  }
  output.line(plainText(`${preference.name}: ${preference.votes} votes of ${preference.voters} people`));
  output.line(renderTable(preference.shares, columns, { width: output.screen.columns(), paint: output.paint }));
}

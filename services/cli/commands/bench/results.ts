/**
 * `vapfarm bench import-results` and `vapfarm bench results`: results files of VBench's from elsewhere.
 */
import { readFile } from "node:fs/promises";
import { parse, resolve } from "node:path";
import type { Command } from "commander";
import { present } from "../../../client/farm-client.ts";
import { readEvalResults } from "../../../domain/vbench/eval-results-reader.ts";
import { readFullInfo } from "../../../domain/vbench/full-info.ts";
import { resultFile } from "../../../domain/vbench/video-name.ts";
import { ImportedResults } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { invalidOption, timeTexts } from "../../ages.ts";
import { checkFullInfo, type FullInfoCheck } from "../../bench/full-info-check.ts";
import { numberText } from "../../bench/set-score-table.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { ExitCode } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { eachOf, showList } from "../../json-list.ts";
import type { Output } from "../../output.ts";
import { type Column, plainText, renderTable } from "../../table.ts";

type ImportOptions = FarmOptions & JsonOption & { readonly name?: string; readonly fullInfo?: string };

const importText = {
  name: "import-results",
  summary: "keep a results file of VBench's",
  description:
    "Keeps a *_eval_results.json as it is and reads it as far as it can be read: two or three elements, bare NaN, booleans, missing dimensions. A new import under the name replaces it. Compare a run with it: bench report RUN --compare imported:NAME. --full-info reads the *_full_info.json beside it and checks that its videos are those of the results; nothing of it is stored.",
  examples: [
    "vapfarm bench import-results kling_eval_results.json",
    "vapfarm bench import-results results.json --name kling",
    "vapfarm bench import-results kling_eval_results.json --full-info kling_full_info.json",
  ],
} as const;
const listText = {
  name: "results",
  summary: "list results files that were imported",
  description: "Lists the results files that were imported, and what they say of each dimension.",
  examples: ["vapfarm bench results", "vapfarm bench results --json | jq '.results[].dimensions'"],
} as const;

const mostBytes = 3 * 1024 ** 2;
/** It is read here and sent nowhere. */
const mostFullInfoBytes = 32 * 1024 ** 2;

/** Adds the command. */
export function importResultsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(importText))
    .argument("<file>", "*_eval_results.json")
    .option("--name <text>", "what people call it (else what stands before _eval_results.json)")
    .option("--full-info <file>", "*_full_info.json to check against the results; not stored")
    .action(onFarm<ImportOptions>(context, finish, importResults));
}

/** Adds the command. */
export function resultsCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(listText)).action(onFarm<FarmOptions & JsonOption>(context, finish, listResults));
}

async function importResults({ context, client, options, args: [file = ""] }: FarmCall<ImportOptions>): Promise<undefined> {
  const path = resolve(context.workingFolder, file);
  const text = await readText(path);
  const fullInfo =
    options.fullInfo === undefined ? undefined : await readFullInfoFile(resolve(context.workingFolder, options.fullInfo), text);
  const name = options.name ?? resultFile(path)?.name ?? parse(path).name;
  const results = present((await client.calls.importResults({ name, text }, { signal: context.interrupts.signal })).results, "results");
  if (options.json === true) {
    const kept = context.toJson(ImportedResults, results) as object;
    context.output.json(fullInfo === undefined ? kept : { ...kept, fullInfo });
    return;
  }
  context.output.line(plainText(`${results.name}: ${results.dimensions.length} dimensions, kept as it is`));
  context.output.line(dimensionTable(context.output, [results]));
  for (const remark of results.remarks) context.output.note(plainText(`  ${remark}`));
  if (fullInfo !== undefined) tellFullInfo(context.output, fullInfo);
}

async function readFullInfoFile(path: string, resultsText: string): Promise<FullInfoCheck> {
  return checkFullInfo(readFullInfo(await readText(path, mostFullInfoBytes)), readEvalResults(resultsText));
}

function tellFullInfo(output: Output, check: FullInfoCheck): void {
  output.line(`full info: ${check.prompts} prompts, ${check.dimensions.length} dimensions, ${check.videos} videos; checked, not stored`);
  for (const remark of check.remarks) output.note(plainText(`  ${remark}`));
}

/** A file's text, of what one message takes; FIELD_INVALID naming the file for anything else. */
export async function readText(path: string, most = mostBytes): Promise<string> {
  const bytes = await readFile(path).catch((thrown: unknown) => {
    const word = thrown instanceof Error && "code" in thrown ? String(thrown.code) : String(thrown);
    throw invalidOption("file", `${path} cannot be read (${word})`, "name a file that you may read");
  });
  if (bytes.length > most) throw invalidOption("file", `${path} has ${bytes.length} bytes`, `hand in at most ${most}`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalidOption("file", `${path} is no UTF-8 text`, "save the file as UTF-8");
  }
}

function listResults(call: FarmCall<FarmOptions & JsonOption>): Promise<ExitCode> {
  const { context, client } = call;
  const items = () => eachOf(client.calls.listResults({}, { signal: context.interrupts.signal }).then(({ results }) => results));
  const table = (results: readonly ImportedResults[]): string =>
    results.length === 0 ? "no results were imported" : dimensionTable(context.output, results);
  return showList(call, { name: "results", codec: ImportedResults, items, table });
}

function dimensionTable({ screen, paint }: Output, results: readonly ImportedResults[]): string {
  const time = timeTexts(screen.isTerminal, new Date());
  const rows = results.flatMap(({ name, importTime, dimensions }) => dimensions.map((each) => ({ name, importTime, ...each })));
  const columns: readonly Column<(typeof rows)[number]>[] = [
    { title: "name", cell: ({ name }) => name, weight: 8 },
    { title: "dimension", cell: ({ dimension }) => dimension, weight: 9 },
    { title: "value", cell: ({ value }) => numberText(value), align: "right", weight: 7 },
    { title: "clips", cell: ({ count }) => String(count), align: "right", weight: 6 },
    { title: "imported", cell: ({ importTime }) => time(importTime), weight: 2 },
  ];
  return renderTable(rows, columns, { width: screen.columns(), paint });
}

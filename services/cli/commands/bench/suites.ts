/**
 * `vapfarm bench suites` and `vapfarm bench suite`: which suites there are, and what is in one.
 */
import type { Command } from "commander";
import { present } from "../../../client/farm-client.ts";
import { Suite, SuiteRow } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { timeTexts } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { ExitCode } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { showList } from "../../json-list.ts";
import type { Output } from "../../output.ts";
import { type Column, plainText, renderTable } from "../../table.ts";

type ListOptions = FarmOptions & JsonOption & { readonly limit: string };
type SuiteOptions = FarmOptions & JsonOption & { readonly rows?: boolean };

const listText = {
  name: "suites",
  summary: "list suites",
  description: "Lists the suites that were imported, the newest first.",
  examples: ["vapfarm bench suites", "vapfarm bench suites --json | jq -r '.suites[].suiteId'"],
} as const;
const oneText = {
  name: "suite",
  summary: "show a suite, with --rows each of its rows",
  description: "Shows a suite by its id, the first digits of it, or its name where only one has that.",
  examples: [
    "vapfarm bench suite benchmark",
    "vapfarm bench suite 3fd2a0c1 --rows",
    "vapfarm bench suite benchmark --rows --json | jq '.rows[3]'",
  ],
} as const;

/** Adds the command. */
export function suitesCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(listText))
    .option("--limit <number>", "how many at most", "100")
    .action(onFarm<ListOptions>(context, finish, listSuites));
}

/** Adds the command. */
export function suiteCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(oneText))
    .argument("<suite>", "id, at least 8 digits of it, or name")
    .option("--rows", "also each row")
    .action(onFarm<SuiteOptions>(context, finish, showSuite));
}

async function listSuites(call: FarmCall<ListOptions>): Promise<ExitCode> {
  const { context, client, options } = call;
  const control = { limit: wholeOf("--limit", options.limit, 1), signal: context.interrupts.signal };
  const table = (suites: readonly Suite[]): string => suiteTable(context.output, suites);
  return showList(call, { name: "suites", codec: Suite, items: () => client.suites(control), table });
}

function suiteTable({ screen, paint }: Output, suites: readonly Suite[]): string {
  if (suites.length === 0) return "no suites";
  const time = timeTexts(screen.isTerminal, new Date());
  const columns: readonly Column<Suite>[] = [
    { title: "suite", cell: ({ suiteId }) => shortId(suiteId, screen.isTerminal), weight: 9 },
    { title: "name", cell: ({ name }) => name, weight: 8 },
    { title: "rows", cell: ({ rowCount }) => String(rowCount), align: "right", weight: 7 },
    { title: "imported", cell: ({ createTime }) => time(createTime), weight: 5 },
    { title: "kinds", cell: kindsText, weight: 1, least: 12 },
  ];
  return renderTable(suites, columns, { width: screen.columns(), paint });
}

/** Whole in a pipe; on a terminal as much as the farm takes for it. */
export function shortId(id: string, isTerminal: boolean): string {
  return isTerminal ? id.slice(0, 12) : id;
}

function kindsText({ kinds }: Suite): string {
  return kinds.map(({ kind, rows }) => `${kind === "" ? "(not told)" : kind} ${rows}`).join(", ");
}

async function showSuite({ context, client, options, args: [name = ""] }: FarmCall<SuiteOptions>): Promise<undefined> {
  const { output, interrupts } = context;
  const { signal } = interrupts;
  const suite = present((await client.calls.getSuite({ suite: name, rowLimit: 0 }, { signal })).suite, "suite");
  if (options.json === true) return printJson({ context, client, suite, withRows: options.rows === true });
  const time = timeTexts(output.screen.isTerminal, new Date());
  output.line(plainText(`suite ${suite.suiteId}: ${suite.name}, ${suite.rowCount} rows, imported ${time(suite.createTime)}`));
  if (suite.kinds.length > 0) output.line(plainText(`kinds: ${kindsText(suite)}`));
  if (options.rows !== true) return undefined;
  const rows: SuiteRow[] = [];
  for await (const row of client.suiteRows(suite.suiteId, { signal })) rows.push(row);
  output.line(renderTable(rows, rowColumns, { width: output.screen.columns(), paint: output.paint }));
  return undefined;
}

type Shown = Pick<FarmCall<SuiteOptions>, "context" | "client"> & { readonly suite: Suite; readonly withRows: boolean };

async function printJson({ context, client, suite, withRows }: Shown): Promise<undefined> {
  const { output, interrupts } = context;
  const json = context.toJson(Suite, suite);
  if (!withRows) {
    output.json({ suite: json });
    return;
  }
  await output.write(`{"suite":${JSON.stringify(json)},"rows":`);
  let separator = "[\n";
  for await (const row of client.suiteRows(suite.suiteId, { signal: interrupts.signal })) {
    await output.write(`${separator}${JSON.stringify(context.toJson(SuiteRow, row))}`);
    separator = ",\n";
  }
  await output.write(separator.startsWith("[") ? "[]}\n" : "\n]}\n");
}

const rowColumns: readonly Column<SuiteRow>[] = [
  { title: "row", cell: ({ position }) => String(position), align: "right", weight: 9 },
  { title: "kind", cell: ({ kind }) => kind, weight: 6 },
  { title: "seed", cell: ({ seed }) => seed.toString(), align: "right", weight: 5 },
  { title: "target", cell: ({ targetPath }) => targetPath, weight: 4 },
  { title: "references", cell: ({ referencePaths }) => referencePaths.join(", "), weight: 3 },
  { title: "caption", cell: ({ caption }) => caption, weight: 1, least: 16 },
];

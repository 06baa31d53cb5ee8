/**
 * `vapfarm bench runs`: which benchmark runs there are.
 */
import type { Command } from "commander";
import { Run } from "../../../gen/proto/vapfarm/v1/bench.ts";
import { spanText, timeTexts } from "../../ages.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, type WatchOptions, wholeOf, withFarmOptions, withWatchOptions } from "../../command-line.ts"; // prettier-ignore
import type { CliContext } from "../../context.ts";
import type { ExitCode } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { showList } from "../../json-list.ts";
import type { Output } from "../../output.ts";
import { type Column, renderTable } from "../../table.ts";
import { stateCell } from "../../words.ts";

type RunsOptions = FarmOptions & JsonOption & WatchOptions & { readonly suite?: string; readonly limit: string };

const text = {
  name: "runs",
  summary: "list benchmark runs",
  description: "Lists benchmark runs, the newest first: how many renders have succeeded and failed, and how many scores there are.",
  examples: ["vapfarm bench runs", "vapfarm bench runs --suite benchmark --watch", "vapfarm bench runs --json | jq -r '.runs[0].runId'"],
} as const;

/** Adds the command. */
export function runsCommand(context: CliContext, finish: Finish): Command {
  return withWatchOptions(withFarmOptions(describeCommand(text)))
    .option("--suite <suite>", "only of this one: id, at least 8 digits of it, or name")
    .option("--limit <number>", "how many at most", "100")
    .action(onFarm<RunsOptions>(context, finish, listRuns));
}

async function listRuns(call: FarmCall<RunsOptions>): Promise<ExitCode> {
  const { context, client, options } = call;
  const control = { limit: wholeOf("--limit", options.limit, 1), signal: context.interrupts.signal };
  const items = () => client.runs({ suite: options.suite ?? "" }, control);
  return showList(call, { name: "runs", codec: Run, items, table: (runs) => runTable(context.output, runs) });
}

function runTable({ screen, paint }: Output, runs: readonly Run[]): string {
  if (runs.length === 0) return "no runs";
  const time = timeTexts(screen.isTerminal, new Date());
  const columns: readonly Column<Run>[] = [
    { title: "run", cell: ({ runId }) => runId, weight: 9 },
    { title: "state", cell: ({ state }) => stateCell(state), weight: 8 },
    { title: "rendered", cell: ({ succeededCount, itemCount }) => `${succeededCount}/${itemCount}`, align: "right", weight: 7 },
    { title: "failed", cell: ({ failedCount }) => (failedCount === 0 ? "" : { text: String(failedCount), format: "red" }), align: "right", weight: 7 }, // prettier-ignore
    { title: "scores", cell: ({ endedScores, scoreCount }) => `${endedScores}/${scoreCount}`, align: "right", weight: 6 },
    { title: "model", cell: ({ model }) => model, weight: 5 },
    { title: "suite", cell: ({ suiteName }) => suiteName, weight: 5 },
    { title: "started", cell: ({ createTime }) => time(createTime), weight: 4 },
    { title: "took", cell: tookText, weight: 3 },
    { title: "label", cell: ({ label }) => label, weight: 1, least: 8 },
  ];
  return renderTable(runs, columns, { width: screen.columns(), paint });
}

function tookText({ createTime, endTime }: Run): string {
  return createTime === undefined || endTime === undefined ? "" : spanText(endTime.getTime() - createTime.getTime());
}

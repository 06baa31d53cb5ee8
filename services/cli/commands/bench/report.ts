/**
 * `vapfarm bench report`: what a run came to, for people and for programs.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { writeWhole } from "../../../client/whole-file.ts";
import { invalidOption } from "../../ages.ts";
import { readCompared, readRun } from "../../bench/read-run.ts";
import { type ChosenClips, clipChoices, fetchClipMedia } from "../../bench/report-media.ts";
import { reportCsv } from "../../bench/report/csv-lines.ts";
import { reportPage } from "../../bench/report/page.ts";
import type { ClipMedia } from "../../bench/report/page-clips.ts";
import { buildReport, type ReportModel } from "../../bench/report/model.ts";
import { reportText } from "../../bench/report/text.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import type { FarmOptions } from "../../farm-address.ts";

type ReportOptions = FarmOptions &
  JsonOption & {
    readonly compare?: string;
    readonly html?: string;
    readonly csv?: string;
    readonly votes?: string;
    readonly clips: string;
    readonly clipsLimit: string;
  };

const text = {
  name: "report",
  summary: "what a run came to: the paper's table, all metrics, a comparison",
  description:
    "Shows a run beside the paper's table, each metric with both aggregates and what is missing, VBench's totals, the worst clips and the seconds per stage; with --compare paired differences with bootstrap intervals against another run or an imported results file. --html writes one page that needs nothing else, with plots and playable clips.",
  examples: [
    "vapfarm bench report 0199a3f2",
    "vapfarm bench report 0199a3f2 --compare 0199b771 --html report.html",
    "vapfarm bench report 0199a3f2 --compare imported:kling --votes spring-study",
    "vapfarm bench report 0199a3f2 --html report.html --clips all --clips-limit 200",
    "vapfarm bench report 0199a3f2 --csv scores.csv --json | jq '.metrics[] | {metric, value, count}'",
  ],
} as const;

/** Adds the command. */
export function reportCommand(context: CliContext, finish: Finish): Command {
  return withFarmOptions(describeCommand(text))
    .argument("<run>", "run id, or at least 8 characters of it")
    .option("--compare <run>", "another run, or imported:NAME for a results file")
    .option("--html <file>", "also write a page")
    .option("--csv <file>", "also write a line per row and metric")
    .option("--votes <name>", "votes that were imported: the preference rate")
    .option("--clips <which>", "with --html, clips in the page: worst, all or none", "worst")
    .option("--clips-limit <number>", "with --html: at most so many MiB of clips", "64")
    .action(onFarm<ReportOptions>(context, finish, reportRun));
}

/** Prints a report, and writes what it is asked to. */
export async function reportRun(call: FarmCall<ReportOptions>): Promise<undefined> {
  const { context, client, options, args } = call;
  const { output, interrupts, workingFolder } = context;
  const { signal } = interrupts;
  const chosen = chosenOf(options);
  const { run, source } = await readRun(client, args[0] ?? "", signal);
  const compared = options.compare === undefined ? undefined : await readCompared(client, options.compare, signal);
  const preference =
    options.votes === undefined ? undefined : (await client.calls.getPreference({ name: options.votes }, { signal })).preference;
  const model = buildReport(run, { source, compared, preference });
  if (options.json === true) output.json(model);
  else output.line(reportText(model, { width: output.screen.columns(), paint: output.paint }));
  if (options.csv !== undefined) await write(context, resolve(workingFolder, options.csv), reportCsv(model));
  if (options.html !== undefined) {
    const media = await mediaOf(call, model, chosen);
    await write(context, resolve(workingFolder, options.html), reportPage(model, media));
  }
}

function chosenOf({ clips, clipsLimit }: ReportOptions): ChosenClips {
  const which = clipChoices.find((choice) => choice === clips);
  if (which === undefined) throw invalidOption("--clips", `"${clips}" is unknown`, `choose of ${clipChoices.join(", ")}`);
  return { which, limitBytes: wholeOf("--clips-limit", clipsLimit) * 1024 ** 2 };
}

function mediaOf(
  { context, client, options }: FarmCall<ReportOptions>,
  model: ReportModel,
  chosen: ChosenClips,
): Promise<ReadonlyMap<number, ClipMedia>> {
  return fetchClipMedia(context, { client, model, chosen, asJson: options.json === true });
}

async function write({ output }: CliContext, path: string, content: string): Promise<void> {
  await writeWhole(path, (file) => file.writeFile(content));
  output.note(`wrote ${path}`);
}

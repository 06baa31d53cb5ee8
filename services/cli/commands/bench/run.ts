/**
 * `vapfarm bench run`: every row of a suite rendered and measured.
 */
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Command } from "commander";
import { type FarmClient, present } from "../../../client/farm-client.ts";
import { GetRunResponse, Run, type RunItem, type StartRunRequest } from "../../../gen/proto/vapfarm/v1/bench.ts";
import type { DeepPartial } from "../../../gen/proto/vapfarm/v1/farm.ts";
import { invalidOption, spanText } from "../../ages.ts";
import { isSuiteFile, suiteOfFile } from "../../bench/choose-suite.ts";
import { followRun } from "../../bench/follow-run.ts";
import { missingScoreLines } from "../../bench/missing-scores.ts";
import { rowListOf } from "../../bench/row-list.ts";
import { runLine } from "../../bench/run-board.ts";
import { downloadClips } from "../../bench/run-outputs.ts";
import { setScoreTable } from "../../bench/set-score-table.ts";
import { describeCommand, type FarmCall, type Finish, type JsonOption, onFarm, wholeOf, withFarmOptions } from "../../command-line.ts";
import type { CliContext } from "../../context.ts";
import { type ExitCode, exitCodes } from "../../exit-codes.ts";
import type { FarmOptions } from "../../farm-address.ts";
import { plainText } from "../../table.ts";
import { metricsOf, runReuseOf, schedulerOf } from "../../words.ts";
import { type SuiteFileOptions, suiteSourceOf, withSuiteFileOptions } from "./import.ts";

type RunOptions = FarmOptions &
  JsonOption &
  SuiteFileOptions & {
    readonly model: string;
    readonly metricsModel?: string;
    readonly metrics?: string;
    readonly rows?: string;
    readonly seeds: string;
    readonly steps?: string;
    readonly guidance?: string;
    readonly scheduler?: string;
    readonly reuse: string;
    readonly priority: string;
    readonly panels?: boolean;
    readonly label?: string;
    readonly again?: boolean;
    readonly detach?: boolean;
    readonly out?: string;
  };

const text = {
  name: "run",
  summary: "render and measure the rows of a suite",
  description:
    "Renders each row of a suite, measures each clip, and shows how far it is until it has ended; Ctrl-C leaves the run going. The same command again comes back to its run; --again makes another. A CSV file may stand for its suite: it is read again, and must be what was imported. Scores that failed, or that a clip cannot have, are statuses of scores: they do not change the exit code, which tells of renders; the end says how many there are, and why.",
  examples: [
    "vapfarm bench run benchmark --model demo",
    "vapfarm bench run benchmark --model demo --rows 0-7,12 --seeds 2 --metrics motion_smoothness,dynamic_degree",
    "vapfarm bench run benchmark --model demo --steps 20 --panels --out clips",
    "vapfarm bench run benchmark.csv --root VAP-Data --model demo --detach",
  ],
} as const;

/** Adds the command. */
export function runCommand(context: CliContext, finish: Finish): Command {
  return withSuiteFileOptions(withFarmOptions(describeCommand(text)))
    .argument("<suite>", "id, at least 8 digits of it, or name; or the CSV file that it was imported from")
    .requiredOption("--model <name>", "model that renders")
    .option("--root <folder>", "with a CSV file: folder that its paths are relative to (else .)")
    .option("--metrics-model <model>", "repository of metric networks (else the only one of the farm)")
    .option("--metrics <list>", "what is measured, or none (else all that the metric networks can)")
    .option("--rows <list>", "positions of rows, such as 0-7,12 (else all)")
    .option("--seeds <number>", "renders of each row with different seeds, 1 to 100", "1")
    .option("--steps <number>", "denoise steps, 1 to 1000 (else the model's default)")
    .option("--guidance <number>", "guidance scale (else the model's default)")
    .option("--scheduler <name>", "ddim or dpm (CogVideoX), unipc or euler (Wan); else the model's")
    .option("--reuse <what>", "results of other jobs that may serve: inputs (timings are real), all or none", "inputs")
    .option("--priority <number>", "-100 to 100, higher first", "0")
    .option("--panels", "also make [reference | target | result] clips")
    .option("--label <text>", "what people call the run (else suite and model)")
    .option("--again", "a new run, also when the same was asked for before")
    .option("--detach", "start and leave")
    .option("--out <folder>", "download the clips here, named by row")
    .action(onFarm<RunOptions>(context, finish, runSuite));
}

/** Starts a run, follows it to its end, fetches its clips. */
export async function runSuite(call: FarmCall<RunOptions>): Promise<ExitCode> {
  const { context, client, options, args } = call;
  const asJson = options.json === true;
  const request = requestOf(options);
  const suite = await suiteOf(call, args[0] ?? "");
  const { signal } = context.interrupts;
  const onOutage = ({ message }: { readonly message: string }): void => context.output.note(`  ${message}; asking again`);
  const started = await client.startRun({ ...request, suite }, { signal, onOutage });
  const stored = present(started.run, "run");
  if (!asJson) tellStart(context, stored, started.existed);
  if (options.detach === true) {
    if (asJson) context.output.json({ run: context.toJson(Run, stored), existed: started.existed });
    else context.output.line(stored.runId);
    return exitCodes.ok;
  }
  const answer = await followRun(context, { client, runId: stored.runId, asJson });
  if (answer === undefined) {
    context.output.note(
      `The run goes on. Come back to it: the same command again, or vapfarm watch ${stored.runId}; cancel it: vapfarm cancel ${stored.runId}`,
    );
    return exitCodes.interrupted;
  }
  return finishRun(call, answer, started.existed);
}

function suiteOf({ context, client, options }: FarmCall<RunOptions>, operand: string): Promise<string> | string {
  if (!isSuiteFile(operand, options.root)) return operand;
  return suiteOfFile(context, client, suiteSourceOf(operand, options));
}

/** The request, all but the suite. */
function requestOf(options: RunOptions): DeepPartial<StartRunRequest> {
  const isUnmeasured = options.metrics?.trim() === "none";
  return {
    model: options.model,
    metricsModel: options.metricsModel ?? "",
    metrics: isUnmeasured ? [] : metricsOf("--metrics", options.metrics),
    withoutMetrics: isUnmeasured,
    rows: [...rowListOf("--rows", options.rows)],
    seeds: wholeOf("--seeds", options.seeds, 1),
    reuse: runReuseOf("--reuse", options.reuse),
    panels: options.panels === true,
    steps: options.steps === undefined ? undefined : wholeOf("--steps", options.steps, 1),
    guidanceScale: options.guidance === undefined ? undefined : amountOf("--guidance", options.guidance),
    scheduler: schedulerOf("--scheduler", options.scheduler),
    priority: wholeOf("--priority", options.priority, -100),
    label: options.label ?? "",
    idempotencyKey: options.again === true ? `again-${randomUUID()}` : "",
  };
}

function amountOf(option: string, given: string): number {
  const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw invalidOption(option, `"${given}" is no number`, "give a number such as 6 or 4.5");
}

function tellStart({ output }: CliContext, stored: Run, existed: boolean): void {
  const { runId, itemCount, scoreCount, createTime, state } = stored;
  if (!existed) {
    output.note(`run ${runId}: ${itemCount} renders, ${scoreCount} scores`);
    return;
  }
  const ago = createTime === undefined ? "" : ` ${spanText(Date.now() - createTime.getTime())} ago`;
  output.note(plainText(`the same was asked for${ago}: run ${runId} is ${state}; --again makes another`));
}

async function finishRun({ context, client, options }: FarmCall<RunOptions>, answer: GetRunResponse, existed: boolean): Promise<ExitCode> {
  const ended = present(answer.run, "run");
  const asJson = options.json === true;
  const files = options.out === undefined ? undefined : await download({ context, client, runId: ended.runId, out: options.out, asJson });
  if (asJson)
    context.output.json({ ...(context.toJson(GetRunResponse, answer) as object), existed, ...(files === undefined ? {} : { files }) });
  else {
    printEnd(context, answer, ended);
    if (isIncomplete(answer, ended)) await tellAbsences(context, client, ended);
    context.output.note(`the report: vapfarm bench report ${ended.runId}`);
  }
  return exitCodeOfRun(ended);
}

type Fetching = {
  readonly context: CliContext;
  readonly client: FarmClient;
  readonly runId: string;
  readonly out: string;
  readonly asJson: boolean;
};

async function download({ context, client, runId, out, asJson }: Fetching): Promise<Readonly<Record<string, unknown>>> {
  const items = await itemsOf(client, runId, context.interrupts.signal);
  const folder = resolve(context.workingFolder, out);
  const files = await downloadClips(context, { client, runId, items, folder, asJson });
  if (!asJson) context.output.note(`clips of ${files.size} renders are in ${folder}`);
  return Object.fromEntries(files);
}

function printEnd({ output }: CliContext, { setScores }: GetRunResponse, ended: Run): void {
  output.line(plainText(`run ${ended.runId} ${ended.state}: ${runLine(ended)}`));
  const table = setScoreTable(setScores, { width: output.screen.columns(), paint: output.paint });
  if (table !== "") output.line(table);
  if (!ended.hasTrainedWeights) output.line("warning: the model has random weights: its clips are noise by design");
  if (ended.metrics.length > 0 && !ended.hasTrainedMetrics)
    output.line("warning: the metric networks have random weights: scores mean nothing");
}

const mostTold = 20;

/** Renders without a clip, or clips without a value. */
function isIncomplete({ setScores }: GetRunResponse, { succeededCount, itemCount }: Run): boolean {
  return succeededCount < itemCount || setScores.some(({ missingCount }) => missingCount > 0);
}

/** Each render that failed and why, the first of them; then, as a result, how many scores have no value, and why. */
async function tellAbsences({ output, interrupts }: CliContext, client: FarmClient, { runId, scoreCount }: Run): Promise<void> {
  const items = await itemsOf(client, runId, interrupts.signal);
  const failed = items.filter(({ failureCode }) => failureCode !== "");
  for (const { row, renderPosition, failureStage, failureCode, failureMessage } of failed.slice(0, mostTold))
    output.note(plainText(`  row ${row?.position ?? renderPosition}, ${failureStage}: ${failureCode}: ${failureMessage}`));
  if (failed.length > mostTold) output.note(`  and ${failed.length - mostTold} more: vapfarm bench report ${runId}`);
  for (const line of missingScoreLines(items, scoreCount)) output.line(plainText(line));
}

async function itemsOf(client: FarmClient, runId: string, signal: AbortSignal): Promise<readonly RunItem[]> {
  const items: RunItem[] = [];
  for await (const item of client.runItems({ runId }, { signal })) items.push(item);
  return items;
}

/** 1 when any render failed or is open, 4 when none did and any was cancelled; as a batch. Scores that failed are statuses: they decide nothing. */
function exitCodeOfRun({ itemCount, succeededCount, cancelledCount }: Run): ExitCode {
  if (succeededCount === itemCount) return exitCodes.ok;
  return succeededCount + cancelledCount === itemCount ? exitCodes.cancelled : exitCodes.failed;
}

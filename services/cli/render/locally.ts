/**
 * `render --local`: the planned graph of one render, stage after stage, in one runtime and without a farm.
 *
 * The plan, the stages and the files are the farm's own, so the results are the same bits on the same profile.
 */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import { RunStageRequest, type StageProgress, type StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../exit-codes.ts";
import { writeWhole } from "../../client/whole-file.ts";
import { renderOutputPath } from "./output-path.ts";
import { type LocalRuntime, startLocalRuntime } from "./local-runtime.ts";
import { openMediaReader, trySheet } from "./make-sheet.ts";
import { type LocalPlan, planLocally } from "./plan-locally.ts";
import { type Board, createBoard, stageRows, updateBoard } from "./progress-board.ts";
import { createProgressView, type ProgressView } from "./progress-view.ts";
import type { RenderOptions } from "./render-options.ts";
import { printReport, type RenderReport, type StageReport } from "./report.ts";

/** Renders, writes the files, prints the report. */
export async function renderLocally(context: CliContext, options: RenderOptions): Promise<ExitCode> {
  const threads = threadsOf(options.threads ?? "1");
  const reader = await openMediaReader(context);
  const runtime = await startLocalRuntime(context, threads);
  const scratch = await mkdtemp(join(tmpdir(), "vapfarm-local-"));
  try {
    const runId = randomUUID();
    const { profile } = await runtime.describe();
    const plan = await planLocally(context, options, { reader, profile, runId });
    const report = await execute(context, options, { runtime, scratch, plan, runId });
    return printReport(context.output, report, options.json === true);
  } finally {
    await runtime.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

function threadsOf(text: string): number {
  const threads = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (threads >= 1) return threads;
  const fields = [{ field: "--threads", reason: `"${text}" is no positive whole number`, remedy: "give a whole number" }];
  throw new FarmError("FIELD_INVALID", { message: `--threads: "${text}" is no positive whole number`, details: { fields } });
}

type Execution = { readonly runtime: LocalRuntime; readonly scratch: string; readonly plan: LocalPlan; readonly runId: string };

async function execute(context: CliContext, options: RenderOptions, execution: Execution): Promise<RenderReport> {
  const began = performance.now();
  const { plan, runId } = execution;
  const view = createProgressView(context.output, options.json === true);
  try {
    const results = await runAll(execution, view, context.interrupts.signal);
    const files = await keepOutputs(plan, results, { folder: resolve(context.workingFolder, options.out), runId });
    const { render, manifest } = plan;
    const { seed, steps, width, height, frames, frameSelection } = render;
    const facts = {
      seed,
      steps,
      frameSelection,
      fps: manifest.fps,
      hasRandomWeights: manifest.weights === "random",
      size: { width, height, frames },
    };
    const sheet = await trySheet(context, options, { facts, files });
    return {
      jobId: undefined,
      renders: undefined,
      state: "succeeded",
      seed,
      elapsedMs: performance.now() - began,
      stages: plan.tasks.map((task) => stageReport(task, results.get(task.contentKey))),
      warnings: [...plan.warnings, ...[...results.values()].flatMap(({ warnings }) => warnings)],
      failure: undefined,
      hasRandomWeights: facts.hasRandomWeights,
      files: { ...files, ...sheet },
    };
  } finally {
    view.stop();
  }
}

type Results = ReadonlyMap<string, StageResult>;

async function runAll(execution: Execution, view: ProgressView, signal: AbortSignal): Promise<Results> {
  const results = new Map<string, StageResult>();
  const { tasks } = execution.plan;
  let board: Board = createBoard(tasks.map((task) => ({ taskId: task.contentKey, ...task, isDone: false, isReused: false })));
  for (const task of tasks) {
    const taskId = task.contentKey;
    const onProgress = (progress: StageProgress): void => {
      const { phase, step, steps, stepMs } = progress;
      board = updateBoard(board, { kind: "progress", taskId, phase, step, steps, remainingMs: stepMs * (steps - step) });
      view.show(stageRows(board));
    };
    board = updateBoard(board, { kind: "started", taskId, workerName: "" });
    view.show(stageRows(board));
    const outputFolder = join(execution.scratch, taskId);
    await mkdir(outputFolder);
    const result = await execution.runtime.run(stageRequest(execution, { task, outputFolder, results }), onProgress, signal);
    results.set(taskId, result);
    board = updateBoard(board, { kind: "succeeded", taskId, computeMs: result.computeMs });
    view.show(stageRows(board));
  }
  return results;
}

type StageCall = { readonly task: PlannedTask; readonly outputFolder: string; readonly results: Results };

function stageRequest({ plan, runId }: Execution, { task, outputFolder, results }: StageCall): RunStageRequest {
  const inputs = task.inputs.map(({ name, source }) => {
    const path = source.kind === "upload" ? resolve(plan.media.get(source.sha256) ?? "") : outputPath(results, source);
    return { name, path };
  });
  return RunStageRequest.fromJSON({
    runId,
    modelFolder: plan.manifest.folder,
    engineDigests: task.engineDigests,
    parameters: task.parameters,
    inputs,
    outputFolder,
  });
}

function outputPath(results: Results, source: { readonly contentKey: string; readonly output: string }): string {
  const found = results.get(source.contentKey)?.outputs.find(({ name }) => name === source.output);
  if (found === undefined) throw new FarmError("INTERNAL", { message: `a stage made no output ${source.output}` });
  return found.path;
}

type Keep = { readonly folder: string; readonly runId: string };

/** Copies what the render hands out; each file appears whole or not at all. */
async function keepOutputs(plan: LocalPlan, results: Results, { folder, runId }: Keep): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const { contentKey, artifacts } of plan.tasks) {
    for (const output of artifacts) {
      const path = renderOutputPath(folder, runId, output);
      const from = outputPath(results, { contentKey, output });
      await writeWhole(path, (_file, partial) => copyFile(from, partial));
      files[output] = path;
    }
  }
  return files;
}

function stageReport({ stage, label }: PlannedTask, result: StageResult | undefined): StageReport {
  const { computeMs = 0, loadMs = 0, provider = "" } = result ?? {};
  return { stage, label, computeMs, loadMs, attempts: 1, worker: "here", provider, isReused: false };
}

/**
 * The end of a render: what it made, how long each stage took, what to know about it.
 */
import type { Job, TaskSummary } from "../../gen/proto/vapfarm/v1/farm.ts";
import { JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { randomWeightsNote } from "../sheet/contact-sheet.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { seconds } from "../text-table.ts";

/** One task, at its end. */
export type StageReport = {
  readonly stage: string;
  readonly label: string;
  readonly computeMs: number;
  readonly loadMs: number;
  readonly attempts: number;
  readonly worker: string;
  readonly provider: string;
  readonly isReused: boolean;
};

/** What `--json` prints of a render. */
export type RenderReport = {
  /** Undefined for a render without a farm. */
  readonly jobId: string | undefined;
  readonly state: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  /** Undefined for a job of several renders: each has its own. */
  readonly seed: string | undefined;
  /** How many renders of the job succeeded, of how many; undefined without a farm. */
  readonly renders: { readonly total: number; readonly succeeded: number } | undefined;
  readonly elapsedMs: number;
  readonly stages: readonly StageReport[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly failure: { readonly code: string; readonly message: string; readonly stage: string; readonly remedy: string } | undefined;
  readonly hasRandomWeights: boolean;
  /** What it is → absolute path. */
  readonly files: Readonly<Record<string, string>>;
};

const states: Readonly<Partial<Record<JobState, RenderReport["state"]>>> = {
  [JobState.JOB_STATE_QUEUED]: "queued",
  [JobState.JOB_STATE_SUCCEEDED]: "succeeded",
  [JobState.JOB_STATE_FAILED]: "failed",
  [JobState.JOB_STATE_CANCELLED]: "cancelled",
};

/** The report of a farm's job. */
export function reportOf(job: Job, files: Readonly<Record<string, string>>): RenderReport {
  const end = job.endTime ?? job.createTime;
  return {
    jobId: job.jobId,
    state: states[job.state] ?? "running",
    seed: job.render?.seed?.toString(),
    renders: job.renderCounts === undefined ? undefined : { total: job.renderCounts.total, succeeded: job.renderCounts.succeeded },
    elapsedMs: end === undefined || job.createTime === undefined ? 0 : end.getTime() - job.createTime.getTime(),
    stages: job.tasks.map(stageReportOf),
    warnings: job.warnings,
    failure: job.failure,
    hasRandomWeights: job.modelWeights === "random",
    files,
  };
}

function stageReportOf(task: TaskSummary): StageReport {
  const { stage, label, computeMs, loadMs, attempts, provider } = task;
  return { stage, label, computeMs, loadMs, attempts, provider, worker: task.workerName, isReused: task.reused };
}

/** Prints the report; the exit code that it means. */
export function printReport(output: Output, report: RenderReport, asJson: boolean): ExitCode {
  if (asJson) output.json(report);
  else printText(output, report);
  switch (report.state) {
    case "succeeded":
    case "queued":
    case "running":
      return exitCodes.ok;
    case "cancelled":
      return exitCodes.cancelled;
    case "failed":
      return exitCodes.failed;
  }
}

function printText(output: Output, report: RenderReport): void {
  const what = report.jobId === undefined ? "render" : `job ${report.jobId}`;
  const detail = report.seed === undefined ? countText(report) : `seed ${report.seed}`;
  output.line(`${what} ${report.state} after ${seconds(report.elapsedMs)}, ${detail}`);
  if (report.failure !== undefined) {
    const { code, message, stage, remedy } = report.failure;
    output.note(plainText(`error ${code}${stage === "" ? "" : ` in ${stage}`}: ${message}`));
    output.note(plainText(`  what to do: ${remedy}`));
  }
  if (report.stages.length > 0)
    output.line(indent(renderTable(report.stages, stageColumns, { width: stageWidth(output), paint: output.paint })));
  for (const { code, message } of report.warnings) output.line(plainText(`warning ${code}: ${message}`));
  if (report.hasRandomWeights) output.line(`warning: ${randomWeightsNote}`);
  for (const [name, path] of Object.entries(report.files)) output.line(`${`${name}:`.padEnd(15)}${path}`);
}

/** What the indent leaves of a line. */
function stageWidth({ screen }: Output): number | undefined {
  const columns = screen.columns();
  return columns === undefined ? undefined : columns - 2;
}

function countText({ renders }: RenderReport): string {
  return renders === undefined ? "no renders" : `${renders.succeeded} of ${renders.total} renders succeeded`;
}

const unlessReused = (text: (stage: StageReport) => string) => (stage: StageReport) => (stage.isReused ? "" : text(stage));

const stageColumns: readonly Column<StageReport>[] = [
  { title: "stage", cell: ({ stage }) => stage, weight: 6 },
  { title: "of", cell: ({ label }) => label, weight: 2, least: 8 },
  { title: "compute", cell: ({ isReused, computeMs }) => (isReused ? "reused" : spent(computeMs)), weight: 5 },
  { title: "load", cell: unlessReused(({ loadMs }) => spent(loadMs)), weight: 4 },
  { title: "attempts", cell: unlessReused(({ attempts }) => String(attempts)), weight: 3 },
  { title: "worker", cell: ({ worker }) => worker, weight: 3 },
  { title: "on", cell: ({ provider }) => provider },
];

/** Nothing for a task that never succeeded. */
function spent(ms: number): string {
  return ms === 0 ? "-" : seconds(ms);
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}

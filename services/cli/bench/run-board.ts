/**
 * How far a run is: what its events tell of stages and failures, and how that and the farm's counts look.
 *
 * Pure. The fold is over each event once; what has ended never goes back.
 */
import type { GetRunResponse, Run } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { JobEvent, JobProgress, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { spanText } from "../ages.ts";
import type { Paint } from "../colour.ts";
import { type Column, plainText, renderTable } from "../table.ts";
import { seconds } from "../text-table.ts";
import { setScoreRows, setScoreTable } from "./set-score-table.ts";

type RunningTask = { readonly stage: string; readonly worker: string; readonly step: number; readonly steps: number };

/** What the run's events came to. */
export type RunBoard = {
  readonly running: ReadonlyMap<bigint, RunningTask>;
  readonly done: ReadonlyMap<string, { readonly count: number; readonly computeMs: number }>;
  /** The last few. */
  readonly failures: readonly string[];
  readonly failureCount: number;
};

const shownFailures = 3;

/** Before anything is known. */
export const emptyBoard: RunBoard = { running: new Map(), done: new Map(), failures: [], failureCount: 0 };

/** The board after what the farm said. */
export function foldRun(board: RunBoard, { update }: WatchJobResponse): RunBoard {
  if (update === undefined) return board;
  return update.$case === "event" ? foldEvent(board, update.value) : foldProgress(board, update.value);
}

function foldEvent(board: RunBoard, event: JobEvent): RunBoard {
  const { kind, taskId, stage, workerName } = event;
  if (!kind.startsWith("task.")) return board;
  const running = new Map(board.running);
  if (kind === "task.started") running.set(taskId, { stage, worker: workerName, step: 0, steps: 0 });
  else running.delete(taskId);
  if (kind === "task.succeeded") return { ...board, running, done: withDone(board.done, event) };
  return kind === "task.failed" ? { ...withFailure(board, event), running } : { ...board, running };
}

function withDone(done: RunBoard["done"], { stage, computeMs }: JobEvent): RunBoard["done"] {
  const before = done.get(stage) ?? { count: 0, computeMs: 0 };
  return new Map(done).set(stage, { count: before.count + 1, computeMs: before.computeMs + computeMs });
}

function withFailure(board: RunBoard, { stage, renderPosition, message }: JobEvent): RunBoard {
  const where = renderPosition === undefined ? stage : `render ${renderPosition}, ${stage}`;
  const failures = [...board.failures, `${where}: ${message}`].slice(-shownFailures);
  return { ...board, failures, failureCount: board.failureCount + 1 };
}

function foldProgress(board: RunBoard, { taskId, step, steps }: JobProgress): RunBoard {
  const task = board.running.get(taskId);
  return task === undefined ? board : { ...board, running: new Map(board.running).set(taskId, { ...task, step, steps }) };
}

/** 0 .. 1: renders and scores that have ended, of all. */
export function fractionOf({ itemCount, succeededCount, failedCount, cancelledCount, endedScores, scoreCount }: Run): number {
  const total = itemCount + scoreCount;
  return total === 0 ? 1 : Math.min(1, (succeededCount + failedCount + cancelledCount + endedScores) / total);
}

/** What a view shows. */
export type RunPicture = {
  readonly answer: GetRunResponse;
  readonly board: RunBoard;
  readonly now: Date;
  /** Where the view began, to tell how fast it goes from then on. */
  readonly since: { readonly time: Date; readonly fraction: number };
};

/** Milliseconds left, at the speed of this view; undefined while nothing tells. */
export function leftMs({ answer: { run }, now, since }: RunPicture): number | undefined {
  if (run === undefined || run.endTime !== undefined) return undefined;
  const fraction = fractionOf(run);
  const gained = fraction - since.fraction;
  const spentMs = now.getTime() - since.time.getTime();
  return gained <= 0 || spentMs <= 0 ? undefined : (spentMs * (1 - fraction)) / gained;
}

/** One line for a pipe, without how long it is left. */
export function runLine(run: Run): string {
  return `renders ${countsText(run)}, scores ${run.endedScores}/${run.scoreCount}`;
}

function countsText({ itemCount, succeededCount, failedCount, cancelledCount }: Run): string {
  const bad = [...(failedCount > 0 ? [`${failedCount} failed`] : []), ...(cancelledCount > 0 ? [`${cancelledCount} cancelled`] : [])];
  return [`${succeededCount}/${itemCount} succeeded`, ...bad].join(", ");
}

/** The whole picture. */
export function runText(picture: RunPicture, { paint, width }: { readonly paint: Paint; readonly width: number | undefined }): string {
  const { answer, board, now } = picture;
  const { run } = answer;
  if (run === undefined) return "";
  const elapsed = run.createTime === undefined ? "" : `, ${spanText((run.endTime ?? now).getTime() - run.createTime.getTime())}`;
  const left = leftMs(picture);
  const timeText = `${elapsed}${left === undefined ? "" : `, about ${spanText(left)} left`}`;
  const title = plainText(`run ${run.runId}: ${run.suiteName} on ${run.model}`);
  const open = run.itemCount - run.succeededCount - run.failedCount - run.cancelledCount;
  const stages = stageRows(board);
  const scores = setScoreRows(answer.setScores);
  return [
    paint("bold", title),
    `${run.state}${timeText}`,
    `renders ${countsText(run)}, ${open} open; scores ${run.endedScores}/${run.scoreCount}`,
    ...(stages.length === 0 ? [] : ["", renderTable(stages, stageColumns, { width, paint })]),
    ...(scores.length === 0 ? [] : ["", setScoreTable(answer.setScores, { width, paint })]),
    ...failureLines(board, paint),
  ].join("\n");
}

function failureLines({ failures, failureCount }: RunBoard, paint: Paint): readonly string[] {
  if (failureCount === 0) return [];
  const title = `${failureCount} ${failureCount === 1 ? "task has" : "tasks have"} failed for good${failureCount > failures.length ? ", the last of them" : ""}:`;
  return ["", paint("red", title), ...failures.map((text) => plainText(`  ${text}`))];
}

type StageRow = {
  readonly stage: string;
  readonly running: number;
  readonly done: number;
  readonly meanMs: number;
  readonly detail: string;
};

/** Stages that something is known of, in the order in which they were first seen. */
export function stageRows({ running, done }: RunBoard): readonly StageRow[] {
  const tasks = [...running.values()];
  const stages = new Set([...done.keys(), ...tasks.map(({ stage }) => stage)]);
  return [...stages].map((stage) => {
    const own = tasks.filter((task) => task.stage === stage);
    const { count = 0, computeMs = 0 } = done.get(stage) ?? {};
    const shown = own.find(({ steps }) => steps > 1) ?? own[0];
    const step = shown !== undefined && shown.steps > 1 ? `step ${shown.step}/${shown.steps} ` : "";
    const detail = shown === undefined ? "" : `${step}on ${shown.worker}${own.length > 1 ? ` and ${own.length - 1} more` : ""}`;
    return { stage, running: own.length, done: count, meanMs: count === 0 ? 0 : computeMs / count, detail };
  });
}

const stageColumns: readonly Column<StageRow>[] = [
  { title: "stage", cell: ({ stage }) => stage, weight: 6 },
  { title: "running", cell: ({ running }) => (running === 0 ? "" : { text: String(running), format: "cyan" }), align: "right", weight: 5 },
  { title: "done", cell: ({ done }) => String(done), align: "right", weight: 5 },
  { title: "each", cell: ({ done, meanMs }) => (done === 0 ? "" : seconds(meanMs)), align: "right", weight: 4 },
  { title: "now", cell: ({ detail }) => detail, weight: 1, least: 10 },
];

/**
 * What is known of a job's tasks while it runs, and the row per stage that a person sees.
 *
 * Pure and monotonic per task: a task that succeeded never goes back, and late or doubled updates change nothing.
 */
import { stageNames } from "../../domain/stage.ts";
import { clock, seconds } from "../text-table.ts";

/** A task as it is planned. */
export type BoardTask = {
  readonly taskId: string;
  readonly stage: string;
  readonly label: string;
  readonly isDone: boolean;
  readonly isReused: boolean;
};

/** What happened to a task. */
export type BoardUpdate =
  | { readonly kind: "started"; readonly taskId: string; readonly workerName: string }
  | { readonly kind: "succeeded"; readonly taskId: string; readonly computeMs: number }
  | { readonly kind: "retried"; readonly taskId: string }
  | {
      readonly kind: "progress";
      readonly taskId: string;
      readonly phase: string;
      readonly step: number;
      readonly steps: number;
      readonly remainingMs: number;
    };

type TaskRow = BoardTask & {
  readonly isRunning: boolean;
  readonly workerName: string;
  readonly phase: string;
  readonly step: number;
  readonly steps: number;
  /** 0 .. 1; only grows within an attempt, although a phase may follow another. */
  readonly fraction: number;
  readonly remainingMs: number;
  readonly computeMs: number;
};

/** Task id → what is known, in the order of the plan. */
export type Board = ReadonlyMap<string, TaskRow>;

/** All tasks of one stage together. */
export type StageRow = {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** 0 .. 1 */
  readonly fraction: number;
  readonly isRunning: boolean;
  readonly detail: string;
};

const stageOrder: readonly string[] = stageNames;

/** A board before anything ran. */
export function createBoard(tasks: readonly BoardTask[]): Board {
  const idle = { isRunning: false, workerName: "", phase: "", step: 0, steps: 0, fraction: 0, remainingMs: 0, computeMs: 0 };
  return new Map(tasks.map((task) => [task.taskId, { ...task, ...idle }]));
}

/** The board after an update; updates about unknown or finished tasks change nothing. */
export function updateBoard(board: Board, update: BoardUpdate): Board {
  const row = board.get(update.taskId);
  if (row === undefined || row.isDone) return board;
  return new Map(board).set(update.taskId, changeRow(row, update));
}

function changeRow(row: TaskRow, update: BoardUpdate): TaskRow {
  switch (update.kind) {
    case "started":
      return { ...row, isRunning: true, workerName: update.workerName, phase: "", step: 0, steps: 0, fraction: 0, remainingMs: 0 };
    case "succeeded":
      return { ...row, isDone: true, isRunning: false, computeMs: update.computeMs };
    case "retried":
      return { ...row, isRunning: false, phase: "", step: 0, steps: 0, fraction: 0, remainingMs: 0 };
    case "progress":
      return progressed(row, update);
  }
}

/** A phase of one step (loading, a single session run) tells nothing of how far the task is. */
function progressed(row: TaskRow, { phase, step, steps, remainingMs }: Extract<BoardUpdate, { kind: "progress" }>): TaskRow {
  const reached = steps > 1 ? Math.min(1, step / steps) : 0;
  return { ...row, isRunning: true, phase, step, steps, remainingMs, fraction: Math.max(row.fraction, reached) };
}

/** One row per stage, in the order of a render. */
export function stageRows(board: Board): readonly StageRow[] {
  const stages = new Set([...board.values()].map(({ stage }) => stage));
  const rank = (stage: string): number => (stageOrder.includes(stage) ? stageOrder.indexOf(stage) : stageOrder.length);
  return [...stages]
    .toSorted((left, right) => rank(left) - rank(right))
    .map((stage) => {
      const rows = [...board.values()].filter((row) => row.stage === stage);
      return stageRow(stage, rows);
    });
}

function stageRow(stage: string, rows: readonly TaskRow[]): StageRow {
  const finished = rows.filter(({ isDone }) => isDone);
  const running = rows.filter(({ isRunning }) => isRunning);
  const begun = running.reduce((sum, { fraction }) => sum + fraction, 0);
  const done = finished.length;
  const total = rows.length;
  return {
    stage,
    done,
    total,
    fraction: (done + begun) / total,
    isRunning: running.length > 0,
    detail: detailOf(finished, running, total),
  };
}

function detailOf(finished: readonly TaskRow[], running: readonly TaskRow[], total: number): string {
  const count = total > 1 ? [`${finished.length}/${total}`] : [];
  const current = running.find(({ steps }) => steps > 1) ?? running[0];
  if (current !== undefined) return [...count, ...runningText(current)].join(", ");
  if (finished.length < total) return [...count, "waits"].join(", ");
  const computeMs = finished.reduce((sum, row) => sum + row.computeMs, 0);
  const isReused = finished.every((row) => row.isReused);
  return [...count, isReused ? "reused" : seconds(computeMs)].join(", ");
}

function runningText(row: TaskRow): readonly string[] {
  const where = row.workerName === "" ? [] : [`on ${row.workerName}`];
  const step =
    row.steps > 1
      ? [`${row.phase === "" || row.phase === "compute" ? "step" : row.phase} ${row.step}/${row.steps}`]
      : row.phase === ""
        ? []
        : [row.phase];
  const left = row.remainingMs > 0 ? [`${clock(row.remainingMs)} left`] : [];
  return [...step, ...left, ...where];
}

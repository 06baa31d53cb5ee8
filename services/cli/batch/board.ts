/**
 * How far the jobs of a batch are: a pure fold over their events, and the one row that a person sees.
 */
import type { JobEvent, JobProgress, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { StageRow } from "../render/progress-board.ts";
import { clock } from "../text-table.ts";

type Ended = "succeeded" | "failed" | "cancelled";
type Running = {
  readonly stage: string;
  readonly worker: string;
  readonly step: number;
  readonly steps: number;
  readonly remainingMs: number;
};

/** One job: how its renders ended, by position, and the tasks that run. */
export type JobBoard = {
  readonly total: number;
  readonly ended: ReadonlyMap<number, Ended>;
  readonly running: ReadonlyMap<bigint, Running>;
};

/** A job of which nothing is known yet. */
export function createJobBoard(total: number): JobBoard {
  return { total, ended: new Map(), running: new Map() };
}

/** The board after what the farm said; repeated and late messages change nothing that has ended. */
export function foldJob(board: JobBoard, { update }: WatchJobResponse): JobBoard {
  if (update === undefined) return board;
  return update.$case === "event" ? foldEvent(board, update.value) : foldProgress(board, update.value);
}

function foldEvent(board: JobBoard, event: JobEvent): JobBoard {
  const [about, what] = event.kind.split(".");
  if (about === "task") return foldTask(board, event, what === "started");
  if (what === "retried") return foldRetry(board, event);
  const isOfRender = about === "render" || (about === "job" && board.total === 1);
  if (!isOfRender || (what !== "succeeded" && what !== "failed" && what !== "cancelled")) return board;
  return { ...board, ended: new Map(board.ended).set(event.renderPosition ?? 0, what) };
}

function foldTask(board: JobBoard, { taskId, stage, workerName }: JobEvent, isStart: boolean): JobBoard {
  const running = new Map(board.running);
  if (isStart) running.set(taskId, { stage, worker: workerName, step: 0, steps: 0, remainingMs: 0 });
  else running.delete(taskId);
  return { ...board, running };
}

/** What had succeeded stays; a retried render, or all that ended badly, is open again. */
function foldRetry(board: JobBoard, event: JobEvent): JobBoard {
  const isRetried = (position: number, how: Ended): boolean =>
    event.renderPosition === undefined ? how !== "succeeded" : position === event.renderPosition;
  return { ...board, ended: new Map([...board.ended].filter(([position, how]) => !isRetried(position, how))) };
}

function foldProgress(board: JobBoard, { taskId, stage, workerName, step, steps, remainingMs }: JobProgress): JobBoard {
  if (!board.running.has(taskId)) return board;
  return { ...board, running: new Map(board.running).set(taskId, { stage, worker: workerName, step, steps, remainingMs }) };
}

/** All jobs as one row: renders that have ended of all, and what runs. */
export function batchRow(boards: readonly JobBoard[]): StageRow {
  const total = boards.reduce((sum, board) => sum + board.total, 0);
  const ended = boards.flatMap((board) => [...board.ended.values()]);
  const running = boards.flatMap((board) => [...board.running.values()]);
  const bad = (["failed", "cancelled"] as const).flatMap((how) => {
    const count = ended.filter((each) => each === how).length;
    return count === 0 ? [] : [`${count} ${how}`];
  });
  const detail = [`${ended.length}/${total}`, ...bad, ...runningText(running)].join(", ");
  const fraction = total === 0 ? 1 : Math.min(1, ended.length / total);
  return { stage: "renders", done: ended.length, total, fraction, isRunning: running.length > 0, detail };
}

function runningText(running: readonly Running[]): readonly string[] {
  const shown = running.find(({ steps }) => steps > 1) ?? running[0];
  if (shown === undefined) return [];
  const step = shown.steps > 1 ? ` ${shown.step}/${shown.steps}` : "";
  const left = shown.remainingMs > 0 ? [`${clock(shown.remainingMs)} left`] : [];
  const others = running.length > 1 ? [`${running.length - 1} more`] : [];
  return [`${shown.stage}${step} on ${shown.worker}`, ...left, ...others];
}

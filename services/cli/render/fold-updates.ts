/**
 * What the farm says of a job, as changes of the progress board.
 */
import type { Job, JobEvent, JobProgress, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { TaskState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { type Board, type BoardUpdate, createBoard, updateBoard } from "./progress-board.ts";

/** The job's tasks as the board's first state. */
export function boardOf(job: Job): Board {
  return createBoard(
    job.tasks.map((task) => ({
      taskId: task.taskId.toString(),
      stage: task.stage,
      label: task.label,
      isDone: task.state === TaskState.TASK_STATE_SUCCEEDED,
      isReused: task.reused,
    })),
  );
}

/** The board after what the farm said; what does not concern it leaves it as it is. */
export function foldResponse(board: Board, response: WatchJobResponse): Board {
  const update = response.update;
  if (update === undefined) return board;
  const change = update.$case === "event" ? fromEvent(update.value) : fromProgress(update.value);
  return change === undefined ? board : updateBoard(board, change);
}

function fromEvent(event: JobEvent): BoardUpdate | undefined {
  const taskId = event.taskId.toString();
  switch (event.kind) {
    case "task.started":
      return { kind: "started", taskId, workerName: event.workerName };
    case "task.succeeded":
      return { kind: "succeeded", taskId, computeMs: event.computeMs };
    case "task.retried":
      return { kind: "retried", taskId };
    default:
      return undefined;
  }
}

function fromProgress(progress: JobProgress): BoardUpdate {
  const { phase, step, steps, remainingMs } = progress;
  return { kind: "progress", taskId: progress.taskId.toString(), phase, step, steps, remainingMs };
}

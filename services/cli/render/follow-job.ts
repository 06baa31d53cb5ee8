/**
 * Follows a job to its end: events by number, live progress between them.
 *
 * A farm that stops answering is asked again from the last event seen, so a coordinator that restarts
 * costs no event and ends no watch; after `patienceMs` without an answer the error is the caller's.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import type { Job, JobEvent, JobProgress, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { JobState, TaskState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../../platform/deadline.ts";
import type { FarmClient } from "../farm-client.ts";
import { type Board, type BoardUpdate, createBoard, updateBoard } from "./progress-board.ts";

export type FollowOptions = {
  readonly client: FarmClient;
  readonly jobId: string;
  readonly afterEventNumber: bigint;
  readonly signal: AbortSignal;
  /** Told once per outage. */
  readonly onOutage: (error: FarmError) => void;
};

const patienceMs = 120_000;
const againMs = 500;

/** Every update until the job has ended or the signal aborts. */
export async function* followJob(options: FollowOptions): AsyncGenerator<WatchJobResponse> {
  let after = options.afterEventNumber;
  let lostAt: number | undefined;
  for (;;) {
    try {
      for await (const response of options.client.watch(options.jobId, after, options.signal)) {
        lostAt = undefined;
        if (response.update?.$case === "event") after = response.update.value.number;
        yield response;
      }
      return;
    } catch (thrown) {
      const error = toFarmError(thrown);
      if (options.signal.aborted) return;
      if (error.code !== "DEADLINE_PASSED") lostAt = patientSince(options, { error, lostAt });
      else lostAt = undefined;
      await pause(againMs, options.signal);
    }
  }
}

/** Since when the farm has not answered; throws once patience ends. The watch's own deadline is no outage: a long job is watched in pieces. */
function patientSince(
  options: FollowOptions,
  { error, lostAt }: { readonly error: FarmError; readonly lostAt: number | undefined },
): number {
  if (!isOutage(error)) throw error;
  if (lostAt === undefined) {
    options.onOutage(error);
    return performance.now();
  }
  if (performance.now() - lostAt > patienceMs) throw error;
  return lostAt;
}

function isOutage(error: FarmError): boolean {
  return error.retry && error.code !== "STAGE_CANCELLED";
}

/** The job's answer, asked again through an outage like `followJob`. */
export async function getJobPatiently(client: FarmClient, jobId: string, signal: AbortSignal): Promise<Job> {
  const began = performance.now();
  for (;;) {
    try {
      return await client.getJob(jobId);
    } catch (thrown) {
      const error = toFarmError(thrown);
      if (!isOutage(error) || signal.aborted || performance.now() - began > patienceMs) throw error;
      await pause(againMs, signal);
    }
  }
}

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

/** Whether nothing more will happen to the job. */
export function hasEnded(state: JobState): boolean {
  return state === JobState.JOB_STATE_SUCCEEDED || state === JobState.JOB_STATE_FAILED || state === JobState.JOB_STATE_CANCELLED;
}

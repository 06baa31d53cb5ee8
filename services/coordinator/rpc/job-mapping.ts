/**
 * What the store says of jobs, events, progress and workers → farm.proto. Generated types stop here.
 */
import { errorTable, isErrorCode } from "../../domain/errors.ts";
import { renderWarnings } from "../../domain/render-warnings.ts";
import type { ProgressMessage } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import {
  Artifact,
  Job,
  JobClass,
  JobEvent,
  JobFailure,
  JobProgress,
  JobState,
  TaskState,
  TaskSummary,
  Worker,
  WorkerState,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type * as store from "../store/store-contract.ts";
import { renderSpecToProto } from "./submit-mapping.ts";

const jobStates = {
  queued: JobState.JOB_STATE_QUEUED,
  running: JobState.JOB_STATE_RUNNING,
  succeeded: JobState.JOB_STATE_SUCCEEDED,
  failed: JobState.JOB_STATE_FAILED,
  cancelled: JobState.JOB_STATE_CANCELLED,
} as const satisfies Readonly<Record<store.JobState, JobState>>;

const taskStates = {
  blocked: TaskState.TASK_STATE_BLOCKED,
  ready: TaskState.TASK_STATE_READY,
  running: TaskState.TASK_STATE_RUNNING,
  delayed: TaskState.TASK_STATE_DELAYED,
  succeeded: TaskState.TASK_STATE_SUCCEEDED,
  failed: TaskState.TASK_STATE_FAILED,
  cancelled: TaskState.TASK_STATE_CANCELLED,
} as const satisfies Readonly<Record<store.TaskState, TaskState>>;

const workerStates = {
  idle: WorkerState.WORKER_STATE_IDLE,
  busy: WorkerState.WORKER_STATE_BUSY,
  lost: WorkerState.WORKER_STATE_LOST,
  stopped: WorkerState.WORKER_STATE_STOPPED,
} as const satisfies Readonly<Record<store.WorkerView["state"], WorkerState>>;

/** A job with its tasks, artifacts and warnings; warnings that follow from the settings come first. */
export function jobToProto(job: store.JobView): Job {
  const settings = renderWarnings(job.render);
  const known = new Set(settings.map(({ code }) => code));
  return Job.create({
    jobId: job.jobId,
    tenant: job.tenant,
    state: jobStates[job.state],
    jobClass: job.jobClass === "benchmark" ? JobClass.JOB_CLASS_BENCHMARK : JobClass.JOB_CLASS_PRODUCTION,
    priority: job.priority,
    createTime: job.createdAt,
    endTime: job.endedAt,
    render: renderSpecToProto(job.render),
    tasks: job.tasks.map(taskToProto),
    artifacts: job.artifacts.map(artifactToProto),
    warnings: [...settings, ...job.warnings.filter(({ code }) => !known.has(code))],
    failure: job.failure === undefined ? undefined : failureToProto(job.failure),
    lastEventNumber: BigInt(job.lastEventNumber),
    modelWeights: job.modelWeights,
    fps: job.fps,
  });
}

function failureToProto(failure: NonNullable<store.JobView["failure"]>): JobFailure {
  const remedy = isErrorCode(failure.code) ? errorTable[failure.code].remedy : "";
  return JobFailure.create({ ...failure, remedy });
}

function taskToProto(task: store.TaskView): TaskSummary {
  return TaskSummary.create({
    taskId: BigInt(task.taskId),
    stage: task.stage,
    label: task.label,
    state: taskStates[task.state],
    attempts: task.attempts,
    workerName: task.workerName ?? "",
    computeMs: task.computeMs,
    loadMs: task.loadMs,
    provider: task.provider ?? "",
    profile: task.profile ?? "",
    reused: task.reused,
  });
}

/** One result of a job: name, hash, size. */
export function artifactToProto(artifact: store.ArtifactView): Artifact {
  return Artifact.create({ ...artifact, sizeBytes: BigInt(artifact.sizeBytes) });
}

/** One row of a job's log. */
export function eventToProto(event: store.EventView): JobEvent {
  return JobEvent.create({
    number: BigInt(event.number),
    time: event.at,
    kind: event.kind,
    stage: event.stage,
    taskId: BigInt(event.taskId),
    workerName: event.workerName,
    message: event.message,
    jobState: event.jobState === undefined ? JobState.JOB_STATE_UNSPECIFIED : jobStates[event.jobState],
    computeMs: event.computeMs,
  });
}

/** What a worker tells live; it is stored nowhere. */
export function progressToProto(progress: ProgressMessage): JobProgress {
  const { stage, taskId, phase, step, steps, remainingMs, workerName } = progress;
  return JobProgress.create({ stage, taskId, phase, step, steps, remainingMs, workerName });
}

/** A worker as its last beat left it, with what it runs. */
export function workerToProto(worker: store.WorkerView): Worker {
  return Worker.create({
    workerId: worker.workerId,
    name: worker.name,
    host: worker.host,
    pool: worker.pool,
    provider: worker.provider,
    profile: worker.profile,
    device: worker.device,
    state: workerStates[worker.state],
    lastBeatTime: worker.lastBeatAt,
    models: [...worker.models],
    running: worker.running.map(({ taskId, stage, jobId, step, steps }) => ({
      taskId: BigInt(taskId),
      stage,
      jobId,
      progress: { step, steps },
    })),
  });
}

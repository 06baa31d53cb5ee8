/**
 * What the store says of jobs, renders, events and progress → farm.proto. Generated types stop here.
 */
import { errorTable, isErrorCode } from "../../domain/errors.ts";
import type { ProgressMessage } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import {
  Artifact,
  Job,
  JobEvent,
  JobFailure,
  JobProgress,
  JobState,
  Render,
  RenderCounts,
  TaskSummary,
  Webhook,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type { StageWarning } from "../../gen/proto/vapfarm/v1/stage.ts";
import type * as store from "../store/store-contract.ts";
import { renderSpecToProto } from "./submit-mapping.ts";
import { deadlineStandings, jobClasses, jobStates, reuses, taskStates } from "./wire-names.ts";

/** A job as lists show it. */
export function jobSummaryToProto(job: store.JobSummary): Job {
  const { only } = job;
  return Job.create({
    jobId: job.jobId,
    tenant: job.tenant,
    state: jobStates[job.state],
    jobClass: jobClasses[job.jobClass],
    priority: job.priority,
    createTime: job.createdAt,
    endTime: job.endedAt,
    deadline: job.deadline,
    ...(job.deadlineStanding === undefined ? {} : { deadlineStanding: deadlineStandings[job.deadlineStanding] }),
    reuse: reuses[job.reuse],
    failure: failureToProto(job.failure),
    lastEventNumber: BigInt(job.lastEventNumber),
    renderCounts: RenderCounts.create(job.renderCounts),
    webhook: webhookToProto(job.webhook),
    render: only === undefined ? undefined : renderSpecToProto(only.spec),
    modelWeights: only?.modelWeights ?? "",
    fps: only?.fps ?? 0,
  });
}

/** A job with what belongs to its only render: tasks, artifacts, warnings. */
export function jobToProto(job: store.JobView): Job {
  const summary = jobSummaryToProto(job);
  const { only } = job;
  if (only === undefined) return summary;
  return { ...summary, tasks: only.tasks.map(taskToProto), artifacts: only.artifacts.map(artifactToProto), warnings: warningsOf(only) };
}

/** A render as lists show it. */
export function renderSummaryToProto(render: store.RenderSummary): Render {
  return Render.create({
    jobId: render.jobId,
    position: render.position,
    state: jobStates[render.state],
    spec: renderSpecToProto(render.spec),
    failure: failureToProto(render.failure),
    endTime: render.endedAt,
    modelWeights: render.modelWeights,
    fps: render.fps,
  });
}

/** A render with its graph. */
export function renderToProto(render: store.RenderView): Render {
  return {
    ...renderSummaryToProto(render),
    tasks: render.tasks.map(taskToProto),
    artifacts: render.artifacts.map(artifactToProto),
    inputs: render.inputs.map(artifactToProto),
    warnings: warningsOf(render),
  };
}

/** Warnings that follow from the settings come first. */
function warningsOf(render: store.RenderView): StageWarning[] {
  const settings = render.spec.warnings ?? [];
  const known = new Set(settings.map(({ code }) => code));
  return [...settings, ...render.warnings.filter(({ code }) => !known.has(code))];
}

function webhookToProto(webhook: store.WebhookView | undefined): Webhook | undefined {
  if (webhook === undefined) return undefined;
  const { url, delivery } = webhook;
  if (delivery === undefined) return Webhook.create({ url });
  return Webhook.create({
    url,
    delivery: {
      eventNumber: BigInt(delivery.eventNumber),
      tries: delivery.tries,
      deliveredTime: delivery.deliveredAt,
      nextTryTime: delivery.nextTryAt,
      lastError: delivery.lastError,
    },
  });
}

function failureToProto(failure: store.FailureView | undefined): JobFailure | undefined {
  if (failure === undefined) return undefined;
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
    preemptions: task.preemptions,
    workerName: task.workerName ?? "",
    computeMs: task.computeMs,
    loadMs: task.loadMs,
    provider: task.provider ?? "",
    profile: task.profile ?? "",
    reused: task.reused,
    dependsOn: task.dependsOn.map(BigInt),
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
    renderPosition: event.renderPosition,
  });
}

/** What a worker tells live; it is stored nowhere. */
export function progressToProto(progress: ProgressMessage): JobProgress {
  const { stage, taskId, phase, step, steps, remainingMs, workerName } = progress;
  return JobProgress.create({ stage, taskId, phase, step, steps, remainingMs, workerName });
}

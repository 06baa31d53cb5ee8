/**
 * A job with its tasks, artifacts and warnings, put together from Prisma's rows.
 *
 * Invariants: artifacts are shown only of a job that succeeded; what a task cost is its last attempt's.
 */
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { TaskState } from "../../domain/task-state.ts";
import type { Prisma } from "../../gen/prisma/client.ts";
import type { ArtifactView, JobClass, JobState, JobView, TaskView, WarningView } from "./store-contract.ts";

export const jobInclude = {
  renders: {
    include: {
      users: {
        orderBy: { position: "asc" },
        include: {
          task: {
            include: {
              attempts: { orderBy: { number: "desc" }, take: 1 },
              outputs: { include: { artifact: true } },
            },
          },
        },
      },
    },
  },
} as const satisfies Prisma.JobInclude;

export type JobRow = Prisma.JobGetPayload<{ include: typeof jobInclude }>;
type UserRow = JobRow["renders"][number]["users"][number];

/** The job of one render from its row. */
export function jobFromRow(row: JobRow): JobView {
  const [render] = row.renders;
  const users = render?.users ?? [];
  const state = row.state as JobState;
  const spec = render?.spec as unknown as RenderSpec;
  return {
    jobId: row.id,
    tenant: row.tenantId,
    state,
    jobClass: row.jobClass as JobClass,
    priority: row.priority,
    createdAt: row.createdAt,
    endedAt: row.endedAt ?? undefined,
    render: spec,
    tasks: users.map(taskFromRow),
    artifacts: state === "succeeded" ? artifactsOf(users, spec.outputs) : [],
    warnings: warningsOf(users),
    failure: failureOf(row),
    lastEventNumber: row.lastEvent,
    modelWeights: render?.modelWeights ?? "",
    fps: render?.fps ?? 0,
  };
}

function failureOf(row: JobRow): JobView["failure"] {
  if (row.failureCode === null) return undefined;
  return { code: row.failureCode, message: row.failureMessage ?? "", stage: row.failureStage ?? "" };
}

function taskFromRow({ task, label, isReused }: UserRow): TaskView {
  const [attempt] = task.attempts;
  return {
    taskId: Number(task.id),
    stage: task.stage,
    label,
    state: task.state as TaskState,
    attempts: task.attemptCount,
    workerName: attempt?.workerName,
    computeMs: attempt?.computeMs ?? 0,
    loadMs: attempt?.loadMs ?? 0,
    provider: attempt?.provider ?? undefined,
    profile: attempt?.profile ?? undefined,
    reused: isReused,
  };
}

/** In the order in which the render asked for them. */
function artifactsOf(users: readonly UserRow[], order: readonly string[]): readonly ArtifactView[] {
  const found = users.flatMap(({ task, artifacts }) =>
    task.outputs
      .filter(({ name }) => artifacts.includes(name))
      .map(({ name, artifact }) => ({
        name,
        sha256: artifact.sha256,
        sizeBytes: Number(artifact.sizeBytes),
        mediaType: artifact.mediaType,
      })),
  );
  return found.sort((left, right) => order.indexOf(left.name) - order.indexOf(right.name));
}

function warningsOf(users: readonly UserRow[]): readonly WarningView[] {
  const all = users.flatMap(({ task }) => task.attempts.flatMap(({ warnings }) => warnings as unknown as readonly WarningView[]));
  return [...new Map(all.map((warning) => [JSON.stringify(warning), warning])).values()];
}

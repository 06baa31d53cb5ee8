/**
 * A render, alone and with its tasks, inputs, artifacts and warnings, put together from Prisma's rows.
 *
 * Invariants: artifacts are shown only of a render that succeeded; what a task cost is its last attempt's; a task depends on
 * tasks of the same render.
 */
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { TaskState } from "../../domain/task-state.ts";
import type { Prisma } from "../../gen/prisma/client.ts";
import type { ArtifactView, FailureView, RenderState, RenderSummary, RenderView, TaskView, WarningView } from "./store-contract.ts";

export const renderInclude = {
  users: {
    orderBy: [{ position: "asc" }, { taskId: "asc" }],
    include: {
      task: {
        include: {
          attempts: { orderBy: { number: "desc" }, take: 1 },
          outputs: { include: { artifact: true } },
          _count: { select: { madeWay: { where: { madeWayAt: { not: null } } } } },
          inputs: { where: { producerId: { not: null } }, select: { producer: { select: { id: true, contentKey: true } } } },
        },
      },
    },
  },
} as const satisfies Prisma.RenderInclude;

export type RenderRow = Prisma.RenderGetPayload<{ include: typeof renderInclude }>;
export type RenderSummaryRow = Prisma.RenderGetPayload<object>;
export type UploadRow = Prisma.UploadGetPayload<{ include: { artifact: true } }>;
type ArtifactRow = Prisma.ArtifactGetPayload<object>;
type UserRow = RenderRow["users"][number];

/** What the render asked for, with every default filled in. */
export const specOf = (row: RenderSummaryRow): RenderSpec => row.spec as unknown as RenderSpec;

/** A render without its graph. */
export function renderSummaryFromRow(row: RenderSummaryRow): RenderSummary {
  return {
    jobId: row.jobId,
    position: row.position,
    state: row.state as RenderState,
    spec: specOf(row),
    endedAt: row.endedAt ?? undefined,
    failure: failureOf(row),
    modelWeights: row.modelWeights,
    fps: row.fps,
  };
}

/** A render with its graph; `uploads` are what it starts from. */
export function renderFromRow(row: RenderRow, uploads: readonly UploadRow[]): RenderView {
  const summary = renderSummaryFromRow(row);
  const idByKey = new Map(row.users.map(({ task }) => [task.contentKey, task.id]));
  return {
    ...summary,
    tasks: row.users.map((user) => taskFromRow(user, idByKey)),
    artifacts: summary.state === "succeeded" ? artifactsOf(row.users, summary.spec.outputs) : [],
    inputs: inputsOf(summary.spec, uploads),
    warnings: warningsOf(row.users),
  };
}

function failureOf(row: RenderSummaryRow): FailureView | undefined {
  if (row.failureCode === null) return undefined;
  return { code: row.failureCode, message: row.failureMessage ?? "", stage: row.failureStage ?? "" };
}

function taskFromRow({ task, label, isReused }: UserRow, idByKey: ReadonlyMap<string, bigint>): TaskView {
  const [attempt] = task.attempts;
  return {
    taskId: Number(task.id),
    stage: task.stage,
    label,
    state: task.state as TaskState,
    attempts: task.attemptCount,
    preemptions: task._count.madeWay,
    workerName: attempt?.workerName,
    computeMs: attempt?.computeMs ?? 0,
    loadMs: attempt?.loadMs ?? 0,
    provider: attempt?.provider ?? undefined,
    profile: attempt?.profile ?? undefined,
    reused: isReused,
    dependsOn: dependsOn(task, idByKey),
  };
}

/** A producer of an older generation is shown as the render's own task of the same key. */
function dependsOn({ inputs }: UserRow["task"], idByKey: ReadonlyMap<string, bigint>): readonly number[] {
  const producers = inputs.flatMap(({ producer }) => (producer === null ? [] : [idByKey.get(producer.contentKey)]));
  const known = producers.filter((id) => id !== undefined).map(Number);
  return [...new Set(known)].sort((left, right) => left - right);
}

function artifactFromRow(name: string, { sha256, sizeBytes, mediaType }: ArtifactRow): ArtifactView {
  return { name, sha256, sizeBytes: Number(sizeBytes), mediaType };
}

/** In the order in which the render asked for them. */
function artifactsOf(users: readonly UserRow[], order: readonly string[]): readonly ArtifactView[] {
  const found = users.flatMap(({ task, artifacts }) =>
    task.outputs.filter(({ name }) => artifacts.includes(name)).map(({ name, artifact }) => artifactFromRow(name, artifact)),
  );
  return found.sort((left, right) => order.indexOf(left.name) - order.indexOf(right.name));
}

function inputsOf({ image, references }: RenderSpec, uploads: readonly UploadRow[]): readonly ArtifactView[] {
  const named = [
    { name: "input_image", sha256: image.sha256 },
    ...references.map(({ sha256 }, index) => ({ name: `input_reference_${index + 1}`, sha256 })),
  ];
  return named.flatMap(({ name, sha256 }) => {
    const upload = uploads.find((each) => each.sha256 === sha256);
    // The media's own type: bytes that came in parts are stored without one.
    return upload === undefined ? [] : [{ ...artifactFromRow(name, upload.artifact), mediaType: upload.mediaType }];
  });
}

function warningsOf(users: readonly UserRow[]): readonly WarningView[] {
  const all = users.flatMap(({ task }) => task.attempts.flatMap(({ warnings }) => warnings as unknown as readonly WarningView[]));
  return [...new Map(all.map((warning) => [JSON.stringify(warning), warning])).values()];
}

/**
 * A job as the submit statement takes it, and what its answer about missing uploads means to the fields of a request.
 *
 * Invariant: a task that many renders share is sent once; renders name it by its place, with what is their own (label, artifacts).
 */
import type { FieldViolation } from "../../domain/errors.ts";
import type { RenderSpec } from "../../domain/render-spec.ts";
import type { PlannedTask } from "../../domain/planned-task.ts";
import type { MissingUpload, SubmitJob } from "./store-contract.ts";

type Planned = { readonly tasks: readonly PlannedTask[] };

/** What renders share. */
export type SharedTasks = {
  /**
   * Each key once, in dependency order: plans are, and a task's producers come before it in its own. Its artifacts are what any of the
   * renders hands out; its label is not read.
   */
  readonly tasks: readonly PlannedTask[];
  readonly uploads: readonly string[];
  /** What a render uses, by place in `tasks`. */
  readonly usesOf: (
    render: Planned,
  ) => readonly { readonly task: number | undefined; readonly label: string; readonly artifacts: readonly string[] }[];
};

/** The tasks of renders, each once. */
export function sharedTasks(renders: readonly Planned[]): SharedTasks {
  const places = new Map<string, number>();
  const tasks: PlannedTask[] = [];
  for (const task of renders.flatMap((render) => render.tasks)) {
    const place = places.get(task.contentKey) ?? tasks.length;
    const artifacts = [...new Set([...(tasks[place]?.artifacts ?? []), ...task.artifacts])];
    places.set(task.contentKey, place);
    tasks[place] = { ...task, artifacts };
  }
  return {
    tasks,
    uploads: uploadsOf(tasks),
    usesOf: (render) => render.tasks.map(({ contentKey, label, artifacts }) => ({ task: places.get(contentKey), label, artifacts })),
  };
}

/** A render is counted in the pool of its tasks. */
export function submitPayload({ renders, ...job }: Omit<SubmitJob, "traceparent">): object {
  const { tasks, uploads, usesOf } = sharedTasks(renders);
  return {
    ...job,
    uploads,
    tasks,
    renders: renders.map((planned) => {
      const { render, modelWeights, fps, modelDigest } = planned;
      return { spec: render, modelWeights, fps, modelDigest, pool: planned.tasks[0]?.pool, uses: usesOf(planned) };
    }),
  };
}

function uploadsOf(tasks: readonly Pick<PlannedTask, "inputs">[]): readonly string[] {
  const sources = tasks.flatMap(({ inputs }) => inputs.map(({ source }) => source));
  return [...new Set(sources.flatMap((source) => (source.kind === "upload" ? [source.sha256] : [])))];
}

/** One for each field of a render that names an upload which is missing. */
export function missingUploads(
  renders: readonly { readonly position: number; readonly spec: RenderSpec }[],
  missing: readonly string[],
): readonly MissingUpload[] {
  const gone = new Set(missing);
  return renders.flatMap(({ position, spec }) => violations(spec, gone).map((violation) => ({ position, violation })));
}

function violations({ image, references, target }: RenderSpec, missing: ReadonlySet<string>): readonly FieldViolation[] {
  const named = [
    { field: "image", sha256: image.sha256 },
    ...references.map(({ sha256 }, index) => ({ field: `references[${index}]`, sha256 })),
    ...(target === undefined ? [] : [{ field: "target", sha256: target.sha256 }]),
  ];
  return named
    .filter(({ sha256 }) => missing.has(sha256))
    .map(({ field, sha256 }) => ({ field, reason: `no such upload: ${sha256}`, remedy: "upload the media first" }));
}

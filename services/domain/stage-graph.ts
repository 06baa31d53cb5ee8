/**
 * The graph of one render as planned tasks (design §6).
 */
import type { StageName } from "./stage.ts";

/** Where a task's input comes from: an upload, or an earlier task of the same plan. */
export type TaskInputSource =
  { readonly kind: "upload"; readonly sha256: string } | { readonly kind: "task"; readonly contentKey: string; readonly output: string };

export type TaskInput = { readonly name: string; readonly source: TaskInputSource };

export type PlannedTask = {
  /** SHA-256 (hex) that names stage and inputs; equal keys are one task. */
  readonly contentKey: string;
  /** Whose results it may share: tenant, or tenant and job. */
  readonly sharingDomain: string;
  readonly stage: StageName;
  /** What it is in this render, e.g. "reference 1". */
  readonly label: string;
  readonly pool: string;
  /** What a worker must hold to run it: `<stage>/<engine digest>`, `prepare/-`. */
  readonly shape: string;
  readonly model: string;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
  /** Stage parameters as protobuf JSON of vapfarm.v1.StageParameters. */
  readonly parameters: unknown;
  readonly inputs: readonly TaskInput[];
  /** Names that the render hands out from this task's outputs, e.g. "mp4". */
  readonly artifacts: readonly string[];
};

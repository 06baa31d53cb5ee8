/**
 * What a render's plan is made of, and what it is made from.
 */
import type { Sha256Function } from "./content-key.ts";
import type { RenderSpec } from "./render-spec.ts";
import type { StageName } from "./stage.ts";
import type { VariantName } from "./variants/registry.ts";

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

/** What CLIP reads of an image: its shortest edge is scaled to this, then the middle is cut out; pixels. */
export type ClipView = { readonly shortestEdge: number; readonly height: number; readonly width: number };

/** What a model's manifest says that a plan needs. */
export type PlannedModel = {
  readonly name: string;
  readonly variant: VariantName;
  readonly fps: number;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
  /** Absent where no image is read by CLIP. */
  readonly clip?: ClipView | undefined;
};

/** What a repository of metric networks says that a plan needs, and who computes with it. */
export type PlannedMetrics = {
  readonly name: string;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
  readonly pool: string;
  readonly profile: string;
};

export type PlanRequest = {
  readonly render: RenderSpec;
  readonly model: PlannedModel;
  /** Of a render that has scores. */
  readonly metrics?: PlannedMetrics | undefined;
  readonly pool: string;
  /** The pool's profile: what may change the last bits. */
  readonly profile: string;
  readonly tenant: string;
  readonly jobId: string;
  /** What results of other jobs it may take: every stage's, those before denoise, none. */
  readonly reuse: "all" | "inputs" | "none";
  readonly sha256: Sha256Function;
};

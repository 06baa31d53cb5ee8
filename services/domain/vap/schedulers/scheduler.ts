/**
 * What every scheduler is to the denoise loop: timesteps to tell the model, and steps over an explicit state.
 *
 * Invariants: a scheduler holds no state of its own; whatever one step leaves for the next is in the `SchedulerState` that it returns, as
 * named arrays and counts, so that a checkpoint can hold it without knowing which scheduler it is. Inputs are never written to; results
 * are fresh arrays.
 */
import type { RenderWarning, SchedulerKind } from "../../render-spec.ts";

export type SchedulerState = {
  /** Named memories between steps, float32 [n] each, n = the latents' length. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
  /** Named counts between steps. */
  readonly counts: Readonly<Record<string, number>>;
};

export type SchedulerStep = {
  /** Of the loop, 0 for the first. */
  readonly index: number;
  /** float32 [n]. */
  readonly latents: Float32Array;
  /** The model's answer after guidance, float32 [n]. */
  readonly velocity: Float32Array;
  /** As the step before left it. */
  readonly state: SchedulerState;
  /** Draws float32 [n] from the render's generator. */
  readonly drawNoise: () => Float32Array;
};

export type SchedulerResult = { readonly latents: Float32Array; readonly state: SchedulerState };

export type Scheduler = {
  /** What the model is told in each step, in order; its length is the number of steps. */
  readonly timesteps: readonly number[];
  /** State before step 0. */
  readonly beginning: SchedulerState;
  /** Names of what a state holds before step `index`: a checkpoint is held to it. */
  memoriesBefore(index: number): { readonly tensors: readonly string[]; readonly counts: readonly string[] };
  /** Takes one step. */
  step(input: SchedulerStep): SchedulerResult;
};

/** The schedulers of one noise schedule, read from a scheduler_config.json. */
export type SchedulerFamily = {
  /** The one that the config names. */
  readonly kind: SchedulerKind;
  /** Those that a render may choose, `kind` among them. */
  readonly kinds: readonly SchedulerKind[];
  /** Length of the training schedule, 1000 for every released model. */
  readonly trainTimesteps: number;
  /** A scheduler of `steps` steps; a count that the schedule does not have is FIELD_INVALID. */
  create(kind: SchedulerKind, steps: number): Scheduler;
  /** What is odd about a count that `create` takes; empty for most. */
  cautions(kind: SchedulerKind, steps: number): readonly RenderWarning[];
};

/**
 * What its renders make of a job. The database decides by the same rule (`vf_job_state`); a test holds both together.
 */
import type { RenderState } from "./render-state.ts";

export type JobState = RenderState;

/** How many of a job's renders are in each state. */
export type RenderTally = Readonly<Record<RenderState, number>>;

/** Its state now: open while a render is, and running from the first render that started; then the worst that a render came to. */
export function jobState(was: JobState | undefined, { queued, running, succeeded, failed, cancelled }: RenderTally): JobState {
  if (queued + running > 0) return was === "running" || running + succeeded + failed > 0 ? "running" : "queued";
  if (failed > 0) return "failed";
  return cancelled > 0 ? "cancelled" : "succeeded";
}

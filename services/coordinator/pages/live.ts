/**
 * Which pages of a job stay fresh.
 */
import { type Job, JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Page } from "./page.ts";

/** Whether nothing of a job or render can change by itself any more. */
export function hasEnded(state: JobState): boolean {
  return state === JobState.JOB_STATE_SUCCEEDED || state === JobState.JOB_STATE_FAILED || state === JobState.JOB_STATE_CANCELLED;
}

/** Ended jobs stay as they are. */
export function liveOf(job: Job): Pick<Page, "live"> {
  return hasEnded(job.state) ? {} : { live: { jobId: job.jobId, afterEventNumber: job.lastEventNumber } };
}

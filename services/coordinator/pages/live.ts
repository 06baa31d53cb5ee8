/**
 * Which pages of a job stay fresh.
 */
import type { Job } from "../../gen/proto/vapfarm/v1/farm.ts";
import { hasEnded } from "../../platform/words.ts";
import type { Page } from "./page.ts";

/** Ended jobs stay as they are. */
export function liveOf(job: Job): Pick<Page, "live"> {
  return hasEnded(job.state) ? {} : { live: { jobId: job.jobId, afterEventNumber: job.lastEventNumber } };
}

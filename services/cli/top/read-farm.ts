/**
 * One look at a farm for the live view: three calls at once, each with a short deadline, so that a farm that hangs is noticed.
 */
import type { FarmClient } from "../../client/farm-client.ts";
import { JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { Farm } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { FarmPicture } from "./layout.ts";

const deadlineMs = 5_000;
/** Heads of the queue that are shown. */
const queueSize = 20;

/** The farm as it is now. */
export async function readFarm({ calls }: Pick<FarmClient, "calls">, signal?: AbortSignal): Promise<FarmPicture> {
  const control = { deadlineMs, signal };
  const waiting = { states: [JobState.JOB_STATE_QUEUED], orderBy: "priority desc", pageSize: queueSize };
  const [{ farm }, { workers }, { jobs }] = await Promise.all([
    calls.getFarm({}, control),
    calls.listWorkers({}, control),
    calls.listJobs(waiting, control),
  ]);
  return { farm: farm ?? Farm.create(), workers, queue: jobs };
}

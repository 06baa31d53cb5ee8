/**
 * GetJob, CancelJob and ListWorkers: reads, and the one write that is not a submit.
 */
import { FarmError } from "../../domain/errors.ts";
import { isJobId } from "../../domain/ids.ts";
import type {
  CancelJobRequest,
  CancelJobResponse,
  GetJobRequest,
  GetJobResponse,
  ListWorkersResponse,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type { Aftermath, JobStore, JobView, OverviewStore } from "../store/store-contract.ts";
import { jobToProto, workerToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";

/** The caller's job; JOB_UNKNOWN when the tenant has no such job. */
export async function jobOfCaller(store: Pick<JobStore, "getJob">, jobId: string, call: Call): Promise<JobView> {
  const job = isJobId(jobId) ? await store.getJob(call.caller.tenant, jobId) : undefined;
  if (job === undefined) throw jobUnknown(jobId);
  return job;
}

function jobUnknown(jobId: string): FarmError {
  const field = { field: "job_id", reason: `no job "${jobId.slice(0, 80)}" of this tenant`, remedy: "check the job id" };
  return new FarmError("JOB_UNKNOWN", { details: { fields: [field] } });
}

/** The handler of GetJob. */
export function createGetJob(store: Pick<JobStore, "getJob">) {
  return async ({ jobId }: GetJobRequest, call: Call): Promise<GetJobResponse> => ({
    job: jobToProto(await jobOfCaller(store, jobId, call)),
  });
}

/** What CancelJob works with; `onCommitted` is called after the commit. */
export type CancelDependencies = {
  readonly store: Pick<JobStore, "cancelJob">;
  readonly onCommitted: (aftermath: Aftermath) => void;
};

/** The handler of CancelJob: idempotent, and an ended job stays as it ended. */
export function createCancelJob({ store, onCommitted }: CancelDependencies) {
  return async ({ jobId }: CancelJobRequest, { caller }: Call): Promise<CancelJobResponse> => {
    const outcome = isJobId(jobId) ? await store.cancelJob(caller.tenant, jobId) : undefined;
    if (outcome === undefined) throw jobUnknown(jobId);
    onCommitted({ ...outcome.aftermath, pushes: outcome.pushes });
    return { job: jobToProto(outcome.job) };
  };
}

/** The handler of ListWorkers. */
export function createListWorkers(store: Pick<OverviewStore, "listWorkers">) {
  return async (): Promise<ListWorkersResponse> => ({
    workers: (await store.listWorkers()).map(workerToProto),
  });
}

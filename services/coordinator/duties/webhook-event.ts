/**
 * The body of a webhook: WebhookEvent as proto's JSON.
 */
import { WebhookEvent } from "../../gen/proto/vapfarm/v1/farm.ts";
import { jobSummaryToProto } from "../rpc/job-mapping.ts";
import type { DueWebhook, JobStore } from "../store/store-contract.ts";

/** The event and the job as ListJobs shows it now; undefined when there is no such job any more. */
export async function webhookEventOf(store: Pick<JobStore, "getJob">, due: DueWebhook): Promise<string | undefined> {
  const job = await store.getJob(due.tenant, due.jobId);
  if (job === undefined) return undefined;
  const event = WebhookEvent.create({
    type: due.eventKind,
    time: due.at,
    eventNumber: BigInt(due.eventNumber),
    job: jobSummaryToProto(job),
  });
  return JSON.stringify(WebhookEvent.toJSON(event));
}

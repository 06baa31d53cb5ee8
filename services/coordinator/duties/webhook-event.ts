/**
 * The body of a webhook: WebhookEvent in the JSON that HTTP answers with, so that one reader understands both.
 */
import { WebhookEvent } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { MessageJson } from "../../platform/protojson/message-json.ts";
import { jobSummaryToProto } from "../rpc/job-mapping.ts";
import type { DueWebhook, JobStore } from "../store/store-contract.ts";

/** What a body is made with. */
export type WebhookBodyDependencies = { readonly store: Pick<JobStore, "getJob">; readonly toJson: MessageJson };

/** The event and the job as ListJobs shows it now; undefined when there is no such job any more. */
export async function webhookEventOf({ store, toJson }: WebhookBodyDependencies, due: DueWebhook): Promise<string | undefined> {
  const job = await store.getJob(due.tenant, due.jobId);
  if (job === undefined) return undefined;
  const event = WebhookEvent.create({
    type: due.eventKind,
    time: due.at,
    eventNumber: BigInt(due.eventNumber),
    job: jobSummaryToProto(job),
  });
  return JSON.stringify(toJson("vapfarm.v1.WebhookEvent", WebhookEvent.encode(event).finish()));
}

/**
 * Webhooks: deliveries that are due, and what came of each try. They are made by the commit that ends a job.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { dueWebhooksStatement, recordWebhookStatement } from "./sql/webhooks.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { WebhookStore } from "./store-contract.ts";

type DueRow = {
  readonly job_id: string;
  readonly event_number: number;
  readonly kind: string;
  readonly at: Date;
  readonly tenant_id: string;
  readonly url: string;
  readonly secret: string;
  readonly tries: number;
};

/** Deliveries that one receiver may have on a page. */
const mostOfOneReceiver = 250;

/** The part of the store that the webhook duty goes through. */
export function createWebhooks({ pool }: StoreContext): WebhookStore {
  return {
    async dueWebhooks(limit) {
      const rows = await runStatement<DueRow>(pool, dueWebhooksStatement, [limit, mostOfOneReceiver]);
      return rows.map(({ job_id, event_number, kind, at, tenant_id, url, secret, tries }) => {
        return { jobId: job_id, eventNumber: event_number, eventKind: kind, at, tenant: tenant_id, url, secret, tries };
      });
    },
    async recordWebhookTry(dutyEpoch, { jobId, eventNumber }, outcome) {
      const wire = outcome.kind === "delivered" ? {} : { error: outcome.error, nextInMs: outcome.nextInMs };
      return await callFunction<boolean>(pool, recordWebhookStatement, [dutyEpoch, jobId, eventNumber, toPayload(wire)]);
    },
  };
}

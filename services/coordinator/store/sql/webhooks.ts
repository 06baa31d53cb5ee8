/**
 * Webhook deliveries. The one statement that reads secrets is here.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: limit. The longest due first. Index: webhook_delivery_due_idx. */
export const dueWebhooksStatement: NamedStatement = {
  name: "vf_due_webhooks",
  text: `select d.job_id, d.event_number, e.kind, e.at, j.tenant_id, w.url, w.secret, d.tries
    from webhook_delivery d join event e on e.job_id = d.job_id and e.number = d.event_number
    join webhook w on w.job_id = d.job_id join job j on j.id = d.job_id
    where d.next_try_at <= clock_timestamp() order by d.next_try_at, d.job_id, d.event_number limit $1`,
};

/** $1: epoch of duty `webhooks`, $2: job, $3: event number, $4: {error?, nextInMs?}. Result: whether the duty is still held. */
export const recordWebhookStatement: NamedStatement = {
  name: "vf_record_webhook_try",
  text: "select vf_record_webhook_try($1, $2, $3, $4::jsonb) as result",
};

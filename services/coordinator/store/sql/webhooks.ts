/**
 * Webhook deliveries. The one statement that reads secrets is here.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/**
 * $1: limit, $2: most of one receiver. The longest due of each receiver, then the second of each, and so on: a receiver that answers nothing
 * fills no page. Receivers are found by one probe of the index for each. Index: webhook_delivery_due_idx.
 */
export const dueWebhooksStatement: NamedStatement = {
  name: "vf_due_webhooks",
  text: `with recursive receiver as (
      (select d.receiver as name from webhook_delivery d where d.next_try_at is not null order by d.receiver limit 1)
      union all
      select (select d.receiver from webhook_delivery d where d.next_try_at is not null and d.receiver > receiver.name
              order by d.receiver limit 1)
      from receiver where receiver.name is not null)
    select d.job_id, d.event_number, e.kind, e.at, j.tenant_id, w.url, w.secret, d.tries
    from receiver cross join lateral (
      select f.*, row_number() over (order by f.next_try_at, f.job_id, f.event_number) as place from (
        select d.* from webhook_delivery d where d.receiver = receiver.name and d.next_try_at <= clock_timestamp()
        order by d.next_try_at, d.job_id, d.event_number limit least($1::integer, $2::integer)) f) d
    join event e on e.job_id = d.job_id and e.number = d.event_number
    join webhook w on w.job_id = d.job_id join job j on j.id = d.job_id
    order by d.place, d.next_try_at, d.job_id, d.event_number limit $1::integer`,
};

/** $1: epoch of duty `webhooks`, $2: job, $3: event number, $4: {error?, nextInMs?}. Result: whether the duty is still held. */
export const recordWebhookStatement: NamedStatement = {
  name: "vf_record_webhook_try",
  text: "select vf_record_webhook_try($1, $2, $3, $4::jsonb) as result",
};

/**
 * Jobs as lists show them, and the statement of one page of a list.
 *
 * A page is read state by state, each from the index that has its order (job_created_idx, job_priority_idx, job_ended_idx, and the same behind
 * the tenant), at most a page of each, and merged: so no filter by state and no place in a long list makes a page cost more than a page.
 * Filters without an index of their own (class, model, key) are checked on the rows that are met.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";
import type { JobListAsk, JobOrder } from "../store-contract.ts";

const columns = `j.id, j.tenant_id, j.state, j.job_class, j.priority, j.deadline, j.reuse, j.created_at, j.ended_at, j.failure_code,
  j.failure_message, j.failure_stage, j.last_event, j.render_total, j.render_queued, j.render_running, j.render_succeeded, j.render_failed,
  j.render_cancelled, w.url, d.event_number, d.tries, d.delivered_at, d.next_try_at, d.last_error,
  r.spec, r.model_weights, r.fps, case when j.deadline is null then null
    when coalesce(j.ended_at, clock_timestamp()) > j.deadline then 'missed'
    when j.ended_at is null and j.deadline_told = 'at_risk' then 'at_risk' else 'in_time' end as deadline_standing`;

/** The webhook without its secret, the delivery of the last end, the render of a job of one. */
const joins = `left join webhook w on w.job_id = j.id
  left join lateral (
    select d.* from webhook_delivery d where d.job_id = j.id and j.ended_at is not null order by d.event_number desc limit 1) d on true
  left join render r on r.job_id = j.id and r.position = 0 and j.render_total = 1`;

/** $1: job, $2: tenant, null: anyone's. */
export const getJobStatement: NamedStatement = {
  name: "vf_get_job",
  text: `select ${columns} from job j ${joins} where j.id = $1 and j.removed_at is null and ($2::text is null or j.tenant_id = $2)`,
};

/** What is compared, as the indexes have it; its text (microseconds for times); and back from the text. */
const orders: Readonly<Record<JobOrder["by"], { readonly key: string; readonly text: string; readonly fromText: string }>> = {
  create_time: {
    key: "j.created_at",
    text: "(extract(epoch from j.created_at) * 1000000)::bigint::text",
    fromText: "timestamptz 'epoch' + @::bigint * interval '1 microsecond'",
  },
  end_time: {
    key: "coalesce(j.ended_at, 'infinity')",
    text: "(extract(epoch from j.ended_at) * 1000000)::bigint::text",
    fromText: "coalesce(timestamptz 'epoch' + @::bigint * interval '1 microsecond', 'infinity')",
  },
  priority: { key: "j.priority", text: "j.priority::text", fromText: "@::smallint" },
};

const everyState = ["queued", "running", "succeeded", "failed", "cancelled"];

/** One row more than `limit` is asked for, to know whether there is another page. */
export function listJobsStatement(ask: JobListAsk): { readonly text: string; readonly values: readonly unknown[] } {
  const { filter, after, order } = ask;
  const { key, text, fromText } = orders[order.by];
  const values: unknown[] = [];
  const conditions: string[] = [];
  const bind = (value: unknown): string => `$${values.push(value)}`;
  const add = (value: unknown, condition: (parameter: string) => string): void => {
    if (value !== undefined) conditions.push(condition(bind(value)));
  };
  const states = bind(filter.states.length > 0 ? [...new Set(filter.states)] : everyState);
  const limit = bind(ask.limit + 1);
  add(ask.scope, (parameter) => `j.tenant_id = ${parameter}`);
  add(filter.jobClass, (parameter) => `j.job_class = ${parameter}`);
  add(filter.model, (parameter) => `${parameter} = any (j.models)`);
  add(filter.createdAfter, (parameter) => `j.created_at >= ${parameter}`);
  add(filter.createdBefore, (parameter) => `j.created_at < ${parameter}`);
  add(filter.idempotencyKey, (parameter) => `j.idempotency_key = ${parameter}`);
  if (after !== undefined) {
    const value = fromText.replace("@", bind(after.value));
    conditions.push(`(${key}, j.id) ${order.descending ? "<" : ">"} (${value}, ${bind(after.jobId)})`);
  }
  const direction = order.descending ? "desc" : "asc";
  const where = ["j.state = s.state", "j.removed_at is null", ...conditions].join(" and ");
  const page = `select p.id, p.key from unnest(${states}::text[]) s(state) cross join lateral (
      select j.id, ${key} as key from job j where ${where} order by ${key} ${direction}, j.id ${direction} limit ${limit}) p
    order by p.key ${direction}, p.id ${direction} limit ${limit}`;
  const all = `select ${columns}, ${text} as order_value from (${page}) p join job j on j.id = p.id ${joins}
    order by p.key ${direction}, p.id ${direction}`;
  return { text: all, values };
}

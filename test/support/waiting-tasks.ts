/**
 * A queue of very many ready tasks, written straight into the database: nobody submits a million renders for a test.
 */
import type { World } from "./store-world.ts";

export type Spread = { readonly tenants: number; readonly shapes: number };

/** Ready tasks without renders, spread evenly over tenants and shapes. */
export async function fillQueue({ sql }: Pick<World, "sql">, waiting: number, { tenants, shapes }: Spread): Promise<void> {
  await sql("insert into tenant select 'tenant ' || t from generate_series(0, $1 - 1) t", [tenants]);
  const step = 1_000;
  for (let from = 0; from < waiting; from += step) {
    await sql(
      `with made as (
          insert into task (content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters, state)
          select encode(sha256(n::text::bytea), 'hex'), 'tenant ' || n / $3 % $4, '', 'denoise', 'pool', 'denoise/e' || n % $3, 'demo', '{}', '{}',
            'ready' from generate_series($1::integer, $2::integer - 1) n
          returning id, pool, shape, tenant_id)
        insert into ready (task_id, pool, shape, tenant_id, class_rank, priority, queued_at, avoid)
        select id, pool, shape, tenant_id, 0, 0, now(), '{}' from made`,
      [from, Math.min(waiting, from + step), shapes, tenants],
    );
  }
  await sql("analyze");
}

import { expect, test } from "vitest";
import type { JobListAsk, JobOrder } from "../../../services/coordinator/store/store-contract.ts";
import { listJobsStatement } from "../../../services/coordinator/store/sql/jobs.ts";
import { useWorld } from "../../support/store-suite.ts";
import { batch, createWorker, noFilter, plannedRender, submit, submitBatch, task } from "../../support/store-world.ts";

const world = useWorld();

const newestFirst: JobOrder = { by: "create_time", descending: true };

const ask = (overrides: Partial<JobListAsk> = {}): JobListAsk => ({
  scope: "local",
  filter: noFilter,
  order: newestFirst,
  after: undefined,
  limit: 100,
  ...overrides,
});

/** All pages, one after the other. */
async function listAll(overrides: Partial<JobListAsk>): Promise<readonly string[]> {
  const { store } = world();
  const ids: string[] = [];
  for (let after: JobListAsk["after"]; ;) {
    const page = await store.listJobs(ask({ ...overrides, after }));
    ids.push(...page.jobs.map(({ jobId }) => jobId));
    if (page.next === undefined) return ids;
    after = page.next;
  }
}

const listed = (filter: Partial<JobListAsk["filter"]>): Promise<readonly string[]> => listAll({ filter: { ...noFilter, ...filter } });

/** As an admin sees them. */
const listedOfAll = (filter: Partial<JobListAsk["filter"]>): Promise<readonly string[]> =>
  listAll({ scope: undefined, filter: { ...noFilter, ...filter } });

test("pages of any size put together are the whole list, in every order and both ways", async () => {
  const { store, sql } = world();
  const jobs: { id: string; priority: number; createdAt: Date; endedAt: Date | undefined }[] = [];
  for (let index = 0; index < 9; index += 1) {
    const id = await submit(store, [task(`${index}`)], { priority: index % 3 });
    if (index % 2 === 0) await store.cancelJob("local", id);
  }
  // Equal times, so that the id decides.
  await sql("update job set created_at = date_trunc('minute', created_at) where priority = 1");
  for (const { jobId, priority, createdAt, endedAt } of (await store.listJobs(ask())).jobs)
    jobs.push({ id: jobId, priority, createdAt, endedAt });
  const keys = {
    create_time: ({ createdAt }: (typeof jobs)[number]) => createdAt.getTime(),
    end_time: ({ endedAt }: (typeof jobs)[number]) => endedAt?.getTime() ?? Infinity,
    priority: ({ priority }: (typeof jobs)[number]) => priority,
  };
  for (const by of ["create_time", "end_time", "priority"] as const) {
    const ascending = [...jobs].sort((a, b) => keys[by](a) - keys[by](b) || (a.id < b.id ? -1 : 1)).map(({ id }) => id);
    for (const limit of [1, 2, 4, 100]) {
      expect(await listAll({ order: { by, descending: false }, limit })).toEqual(ascending);
      expect(await listAll({ order: { by, descending: true }, limit })).toEqual([...ascending].reverse());
    }
  }
});

test("every filter keeps what it says; another tenant's jobs are an admin's to see", async () => {
  const { store, sql } = world();
  const plain = await submit(store, [task("plain")]);
  await sql("update job set created_at = now() - interval '1 hour'");
  const other = await submit(store, [task("other", { domain: "b" })], { tenant: "b", idempotencyKey: "key" });
  const failed = await submit(store, [task("failed")], { jobClass: "benchmark", priority: 9 });
  await sql("update job set created_at = now() - interval '1 minute' where id = $1", [failed]);
  const worker = createWorker(store);
  await worker.claim();
  const outcome = await store.submitJob(
    batch([], { renders: [plannedRender([task("big")], { model: "big" }), plannedRender([task("small")])] }),
  );
  const big = outcome.kind === "stored" ? outcome.job.jobId : "";
  expect(await listed({})).toEqual([big, failed, plain]);
  expect(await listedOfAll({})).toEqual([big, other, failed, plain]);
  expect(await listAll({ scope: "c" })).toEqual([]);
  expect(await listedOfAll({ states: ["running", "failed"] })).toHaveLength(1);
  expect(await listed({ jobClass: "benchmark" })).toEqual([failed]);
  expect(await listed({ model: "big" })).toEqual([big]);
  expect(await listed({ model: "demo" })).toEqual([big, failed, plain]);
  expect(await listed({ idempotencyKey: "key" })).toEqual([]);
  expect(await listedOfAll({ idempotencyKey: "key" })).toEqual([other]);
  const halfAnHourAgo = new Date(Date.now() - 1_800_000);
  expect(await listed({ createdBefore: halfAnHourAgo })).toEqual([plain]);
  expect(await listed({ createdAfter: halfAnHourAgo })).toEqual([big, failed]);
});

test("a list shows a job of one render with it, a batch with its counts, and never a secret", async () => {
  const { store } = world();
  const webhook = { url: "https://example.test/hook", secret: "c2VjcmV0" };
  const one = await submit(store, [task("a")], { webhook });
  const many = await submitBatch(store, [[task("a")], [task("b")]]);
  const { jobs } = await store.listJobs(ask());
  expect(jobs).toMatchObject([
    { jobId: many, only: undefined, renderCounts: { total: 2, queued: 2 }, webhook: undefined },
    { jobId: one, only: { position: 0, state: "queued", spec: { prompt: "a prompt" }, fps: 16 }, webhook: { url: webhook.url } },
  ]);
  expect(JSON.stringify(jobs)).not.toContain(webhook.secret);
});

type Plan = {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly Plans?: readonly Plan[];
};
const nodesOf = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

test("a page of a hundred thousand jobs is read from indexes, whatever the order, filter by state and place", async () => {
  const { sql, pool } = world();
  await sql("insert into tenant values ('local'), ('b')");
  const insert = `insert into job (id, tenant_id, body_digest, job_class, reuse, priority, state, created_at, ended_at, failure_code, models,
      render_total, render_queued, render_succeeded, render_failed)
    select md5(n::text), case when n % 10 = 0 then 'b' else 'local' end, repeat('0', 64), 'production', 'all', n % 7 - 3, s.state,
      now() - n * interval '1 s', case when s.state <> 'queued' then now() - (n % 1000) * interval '1 min' end,
      case when s.state = 'failed' then 'STAGE_FAILED' end, '{demo}', 1, (s.state = 'queued')::integer, (s.state = 'succeeded')::integer,
      (s.state = 'failed')::integer
    from generate_series($1::integer + 1, $1 + 5000) n
    cross join lateral (select case when n % 997 = 0 then 'failed' when n % 100 = 0 then 'queued' else 'succeeded' end as state) s`;
  for (let stored = 0; stored < 100_000; stored += 5_000) await sql(insert, [stored]);
  await sql("analyze job");
  const values = { create_time: "1700000000000000", end_time: "1700000000000000", priority: "1" } as const;
  for (const by of ["create_time", "end_time", "priority"] as const) {
    for (const descending of [false, true]) {
      for (const scope of ["local", undefined]) {
        for (const states of [[], ["failed"]] as const) {
          for (const after of [undefined, { value: values[by], jobId: "8" }]) {
            const { text, values: bound } = listJobsStatement(
              ask({ scope, order: { by, descending }, filter: { ...noFilter, states }, after, limit: 50 }),
            );
            const { rows } = await pool.query<{ "QUERY PLAN": readonly { readonly Plan: Plan }[] }>(
              `explain (analyze, format json) ${text}`,
              [...bound],
            );
            const nodes = rows[0]?.["QUERY PLAN"].flatMap(({ Plan: plan }) => nodesOf(plan)) ?? [];
            const label = JSON.stringify({ by, descending, scope, states, after });
            expect(nodes.length, label).toBeGreaterThan(3);
            const scans = nodes.filter((node) => node["Index Name"]?.startsWith("job_") ?? node["Node Type"] === "Seq Scan");
            expect(
              scans.filter((node) => node["Actual Rows"] > 51),
              label,
            ).toEqual([]);
          }
        }
      }
    }
  }
});

import { expect, test } from "vitest";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, diamond, job, submit, type World } from "../../support/store-world.ts";

const world = useWorld();

/** Everything that a half-done transaction could have left behind. */
async function picture({ sql }: World): Promise<unknown> {
  const tables = ["job", "task", "task_user", "task_input", "ready", "attempt", "artifact", "task_output", "event", "usage"];
  const rows = tables.map(async (table) => [
    table,
    await sql(`select md5(string_agg(t::text, '|' order by t::text)) as rows from ${table} t`),
  ]);
  return Object.fromEntries(await Promise.all(rows)) as unknown;
}

/**
 * Runs a statement of the store until it waits for a lock that the test holds, then ends its connection there,
 * as a crash of the coordinator at that point does.
 */
async function crashAt(lock: string, run: () => Promise<unknown>): Promise<void> {
  const { pool, sql } = world();
  const holder = await pool.connect();
  await holder.query("begin");
  await holder.query(lock);
  const running = run().then(
    () => "done",
    () => "crashed",
  );
  for (;;) {
    const killed = await sql(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'store' and wait_event_type = 'Lock' and datname = current_database()",
    );
    if (killed.length > 0) break;
  }
  expect(await running).toBe("crashed");
  await holder.query("rollback");
  holder.release();
}

const points: readonly (readonly [string, string])[] = [
  ["the job's events", "select 1 from job for update"],
  ["the dependent tasks", "select 1 from task where state = 'blocked' for update"],
  ["the artifact's row", "lock table artifact in exclusive mode"],
  ["the books", "lock table usage in exclusive mode"],
  ["the stored answer", "lock table session_answer in exclusive mode"],
];

test.each(points)(
  "a report that crashes before it writes %s leaves nothing half, and takes effect once when sent again",
  async (_name, lock) => {
    const { store, sql } = world();
    const jobId = await submit(store, diamond());
    const worker = createWorker(store);
    const claim = await worker.claim();
    const before = await picture(world());
    await crashAt(lock, () => worker.succeed(claim));
    expect(await picture(world())).toEqual(before);
    expect(await worker.succeed(claim)).toMatchObject([{ reportOutcomes: [{ disposition: "committed" }] }]);
    for (let done = 1; done < 4; done += 1) await worker.succeed(await worker.claim());
    expect(await store.getJob("local", jobId)).toMatchObject({ state: "succeeded" });
    expect(await sql("select 1 from usage")).toHaveLength(4);
  },
);

test("a next that crashes after its claim leaves the task to be claimed", async () => {
  const { store } = world();
  await submit(store, diamond());
  const worker = createWorker(store);
  const before = await picture(world());
  await crashAt("select 1 from job for update", () => worker.next());
  expect(await picture(world())).toEqual(before);
  expect(await worker.claim()).toMatchObject({ attemptNumber: 1 });
});

test("a submit that crashes stores nothing, and its retry is the first", async () => {
  const { store } = world();
  const before = await picture(world());
  const sent = job(diamond(), { idempotencyKey: "key" });
  await crashAt("lock table event in exclusive mode", () => store.submitJob(sent));
  expect(await picture(world())).toEqual(before);
  expect(await store.submitJob(sent)).toMatchObject({ kind: "stored" });
});

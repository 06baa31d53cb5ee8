import fc from "fast-check";
import type { PoolClient } from "pg";
import { expect, test } from "vitest";
import { chooseTask, type LaneHead, type OrderPolicy, type TenantStanding, workerMemoryClass } from "../../../services/domain/order.ts";
import { defaultOrder } from "../../../services/coordinator/store/store.ts";
import { useWorld } from "../../support/store-suite.ts";
import { description } from "../../support/store-world.ts";

const world = useWorld();
const gibibyte = 1024 ** 3;
const policy: OrderPolicy = { floors: [0, 0.2], residentPatienceMs: 60_000 };
const options = { ...defaultOrder, ...policy, isAhead: false };
const asker = description({
  name: "asker",
  shapes: ["denoise/e1", "vae_decode/e2", "prepare/-"],
  memoryBytes: 48 * gibibyte,
  resident: ["e1"],
});

type DrawnTask = Omit<LaneHead, "taskId" | "memoryClass" | "dueAtMs" | "queuedAtMs" | "readyAtMs"> & {
  readonly memoryBytes: number;
  readonly dueInS: number | null;
  readonly queuedAgoS: number;
  /** Longer ago than the patience, or just now. */
  readonly hasWaited: boolean;
};

const drawnTask = fc.record<DrawnTask>({
  shape: fc.constantFrom("denoise/e1", "vae_decode/e2", "prepare/-", "denoise/other"),
  memoryBytes: fc.constantFrom(0, 20 * gibibyte, 40 * gibibyte, 80 * gibibyte),
  classRank: fc.constantFrom(0, 1),
  priority: fc.constantFrom(0, 0, 5),
  tenant: fc.constantFrom("a", "b", "c"),
  dueInS: fc.constantFrom(null, null, 100, 200),
  tasksLeft: fc.integer({ min: 1, max: 3 }),
  queuedAgoS: fc.integer({ min: 1, max: 3 }),
  hasWaited: fc.boolean(),
  isLocal: fc.boolean(),
});

const drawnTenant = fc.record({
  charged: fc.integer({ min: 0, max: 3 }),
  weight: fc.constantFrom(1, 2),
  isAtLimit: fc.nat(3).map((draw) => draw === 0),
});

const drawnScene = fc.record({
  tasks: fc.array(drawnTask, { minLength: 1, maxLength: 14 }),
  tenants: fc.tuple(drawnTenant, drawnTenant, drawnTenant),
  classes: fc.tuple(fc.nat(20), fc.nat(20)),
  leastMemoryBytes: fc.constantFrom(10 * gibibyte, 48 * gibibyte),
});

type DrawnScene = typeof drawnScene extends fc.Arbitrary<infer Scene> ? Scene : never;

/** Stores the scene; the ids of its tasks, in their order. */
async function store(client: PoolClient, scene: DrawnScene): Promise<readonly number[]> {
  const names = ["a", "b", "c"];
  for (const [index, { charged, weight, isAtLimit }] of scene.tenants.entries()) {
    await client.query("insert into tenant values ($1) on conflict do nothing", [names[index]]);
    await client.query("insert into tenant_share values ('pool', $1, $2)", [names[index], charged]);
    await client.query("insert into tenant_limit values ($1, $2, $3)", [names[index], weight, isAtLimit ? 0 : null]);
  }
  await client.query("insert into class_share values ('pool', 0, $1), ('pool', 1, $2)", scene.classes);
  await client.query("insert into pool_order values ('pool', vf_worker_class($1))", [scene.leastMemoryBytes]);
  const ids: number[] = [];
  for (const task of scene.tasks) ids.push(await storeTask(client, task));
  return ids;
}

async function storeTask(client: PoolClient, task: DrawnTask): Promise<number> {
  const { rows } = await client.query<{ id: string }>(
    `with producer as (
        insert into task (content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters, state, ended_at)
        values (encode(sha256(gen_random_uuid()::text::bytea), 'hex'), $1, '', 'prepare', 'pool', 'prepare/-', 'demo', '{}', '{}', 'succeeded', now())
        returning id),
      run as (
        insert into attempt (task_id, number, shape, session_id, worker_id, worker_name, state, ended_at)
        select id, 1, 'prepare/-', 's', $2, '', 'succeeded', now() from producer),
      made as (
        insert into task (content_key, tenant_id, sharing_domain, stage, pool, shape, model, engine_digests, parameters, state)
        values (encode(sha256(gen_random_uuid()::text::bytea), 'hex'), $1, '', 'denoise', 'pool', $3, 'demo', '{}', '{}', 'ready') returning id),
      wired as (insert into task_input (task_id, name, producer_id, producer_output) select made.id, 'in', producer.id, 'out' from made, producer)
      select id from made`,
    [task.tenant, task.isLocal ? "asker" : "other", task.shape],
  );
  const id = Number(rows[0]?.id);
  await client.query(
    `insert into ready (task_id, pool, shape, tenant_id, class_rank, priority, queued_at, avoid, ready_at, memory_bytes, due_at, tasks_left)
     values ($1, 'pool', $2, $3, $4, $5, now() - $6 * interval '1 s', '{}', now() - $7 * interval '1 s', $8,
       coalesce(now() + $9 * interval '1 s', 'infinity'), $10)`,
    [
      id,
      task.shape,
      task.tenant,
      task.classRank,
      task.priority,
      task.queuedAgoS,
      task.hasWaited ? 600 : 0,
      task.memoryBytes,
      task.dueInS,
      task.tasksLeft,
    ],
  );
  return id;
}

/** The heads of the scene's lanes: of each, what is due first, nearest its end, oldest, of the lowest id. */
async function headsOf(client: PoolClient, scene: DrawnScene, ids: readonly number[]): Promise<readonly LaneHead[]> {
  const classes = await client.query<{ task_id: string; memory_class: number }>("select task_id, memory_class from ready");
  const classOf = new Map(classes.rows.map((row) => [Number(row.task_id), row.memory_class]));
  const all = scene.tasks.map(({ dueInS, queuedAgoS, hasWaited, ...task }, index): LaneHead => {
    const taskId = ids[index] ?? 0;
    const dueAtMs = dueInS === null ? Infinity : dueInS * 1_000;
    const readyAtMs = hasWaited ? -600_000 : 0;
    return { ...task, taskId, memoryClass: classOf.get(taskId) ?? -1, dueAtMs, queuedAtMs: -queuedAgoS * 1_000, readyAtMs };
  });
  const lanes = Map.groupBy(all, (each) => [each.shape, each.memoryClass, each.classRank, each.priority, each.tenant].join());
  return [...lanes.values()].flatMap(
    (lane) =>
      lane.toSorted(
        (one, other) =>
          (one.dueAtMs === other.dueAtMs ? 0 : one.dueAtMs - other.dueAtMs) ||
          one.tasksLeft - other.tasksLeft ||
          one.queuedAtMs - other.queuedAtMs ||
          one.taskId - other.taskId,
      )[0] ?? [],
  );
}

test("the database chooses as the pure function does", { timeout: 60_000 }, async () => {
  const client = await world().pool.connect();
  try {
    await fc.assert(
      fc.asyncProperty(drawnScene, async (scene) => {
        await client.query("begin");
        try {
          const ids = await store(client, scene);
          const { rows } = await client.query<{ chosen: string | null }>("select vf_choose($1, $2) as chosen", [
            JSON.stringify(asker),
            JSON.stringify(options),
          ]);
          const tenants = new Map<string, TenantStanding>(
            ["a", "b", "c"].map((name, index) => [name, scene.tenants[index] as TenantStanding]),
          );
          const expected = chooseTask(
            {
              heads: await headsOf(client, scene, ids),
              tenants,
              classes: scene.classes,
              worker: { shapes: asker.shapes, memoryClass: workerMemoryClass(asker.memoryBytes), residentEngines: ["e1"] },
              leastMemoryClass: workerMemoryClass(scene.leastMemoryBytes),
              nowMs: 0,
            },
            policy,
          );
          const chosen = rows[0]?.chosen ?? undefined;
          expect(chosen === undefined ? undefined : Number(chosen)).toBe(expected);
        } finally {
          await client.query("rollback");
        }
      }),
      { numRuns: 150 },
    );
  } finally {
    client.release();
  }
});

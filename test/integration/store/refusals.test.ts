import { expect, test } from "vitest";
import { createDispatchService } from "../../../services/coordinator/dispatch/dispatch-service.ts";
import { createReaper } from "../../../services/coordinator/duties/reaper.ts";
import { createCoordinatorMetrics } from "../../../services/coordinator/metrics.ts";
import type { Store } from "../../../services/coordinator/store/store-contract.ts";
import { ReportRequest, ReportResponse } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { createSampler } from "../../../services/platform/sample.ts";
import type { RequestHandler } from "../../../services/platform/nats/broker.ts";
import { noTracer } from "../../../services/platform/tracing/tracer.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker, submit, task, type Worker } from "../../support/store-world.ts";

const world = useWorld();

const logger = createLogger({ name: "test", level: "silent" });
const subjects = subjectsOf("test");

/** What a coordinator counts, and its handler of reports without a broker. */
async function serveReports(store: Store) {
  const registry = createMetrics();
  const metrics = createCoordinatorMetrics(registry, {
    store,
    pools: ["pool"],
    sampler: createSampler({ clock: () => 0, logger, leastAgeMs: 0 }),
  });
  const handlers = new Map<string, RequestHandler>();
  const broker = {
    serve: (_service: unknown, endpoints: readonly { readonly subject: string; readonly handler: RequestHandler }[]) => {
      for (const { subject, handler } of endpoints) handlers.set(subject, handler);
      return Promise.resolve(() => Promise.resolve());
    },
  };
  await createDispatchService({
    store,
    broker,
    subjects,
    pools: ["pool"],
    version: "0",
    onCommitted: () => undefined,
    observer: metrics,
    tracer: noTracer,
  }).start();
  return {
    metrics,
    async report(payload: Uint8Array) {
      const handler = handlers.get(subjects.report("pool"));
      if (handler === undefined) throw new TypeError("nobody answers reports");
      return ReportResponse.decode(await handler(payload, () => undefined)).outcome;
    },
    counted: async (): Promise<number> => {
      const metric = await registry.registry.getSingleMetric("vapfarm_illegal_transitions_total")?.get();
      return metric?.values[0]?.value ?? 0;
    },
  };
}

/** A worker with a claim, and its report that the claim's run failed for a passing reason. */
async function claimed(
  store: Store,
  name: string,
): Promise<{ readonly worker: Worker; readonly taskId: number; readonly payload: Uint8Array }> {
  const worker = createWorker(store, { name });
  const { attemptId, taskId } = await worker.claim();
  const failure = { code: "STAGE_FAILED", message: "", abandoned: false, badInputSha256: [] };
  const times = { deviceMs: 1, loadMs: 0, computeMs: 0, fetchMs: 0, finishMs: 0 };
  const request = ReportRequest.create({
    header: { protocolVersion: 1, sessionId: worker.sessionId, sequence: BigInt(worker.nextSequence()), farmEpoch: 0n },
    pool: "pool",
    reports: [{ attemptId, outcome: { $case: "failure", value: failure }, ...times }],
  });
  return { worker, taskId, payload: ReportRequest.encode(request).finish() };
}

/** From now on no move of the task is legal. */
async function pin(taskId: number): Promise<void> {
  await world().sql(
    `create trigger pin before update of state on task for each row when (old.id = ${taskId} and old.state <> new.state) execute function vf_refuse_move()`,
  );
}

test("an illegal move is refused and counted, alone or in a batch, and fails its own ask only", async () => {
  const { store, sql } = world();
  await submit(store, [task("one"), task("two"), task("three")]);
  const [first, pinned, last] = [await claimed(store, "w1"), await claimed(store, "w2"), await claimed(store, "w3")];
  await pin(pinned.taskId);
  const coordinator = await serveReports(store);
  const committed = { $case: "answer", value: { reportOutcomes: [{ disposition: 1 }] } };
  // The first goes at once; the two that come meanwhile go together.
  const outcomes = await Promise.all([first, pinned, last].map(({ payload }) => coordinator.report(payload)));
  expect(outcomes).toMatchObject([
    committed,
    { $case: "refusal", value: { code: "TRANSITION_ILLEGAL", message: `task ${pinned.taskId} cannot move from running to delayed` } },
    committed,
  ]);
  expect(await coordinator.counted()).toBe(1);
  await expect(coordinator.report(pinned.payload)).rejects.toMatchObject({ code: "TRANSITION_ILLEGAL" });
  expect(await coordinator.counted()).toBe(2);
  const states = await sql("select id, state from task order by id");
  expect(states).toMatchObject(
    [first, pinned, last].map(({ taskId }) => ({ id: String(taskId), state: taskId === pinned.taskId ? "running" : "delayed" })),
  );
});

test("a round of the reaper in which a move is illegal counts it and ends the other sessions", async () => {
  const { store, sql } = world();
  await submit(store, [task("one"), task("two"), task("three")]);
  const [first, pinned] = [await claimed(store, "w1"), await claimed(store, "w2"), await claimed(store, "w3")];
  await pin(pinned.taskId);
  await sql("update session set lease_until = now() - interval '1 s' where id = any ($1)", [
    [first.worker.sessionId, pinned.worker.sessionId],
  ]);
  await sql("insert into canary (last_at, unbroken_since) values (now(), now() - interval '1 minute')");
  const { metrics, counted } = await serveReports(store);
  const ready: string[] = [];
  const reaper = createReaper({
    store,
    intervalMs: 1,
    logger,
    onReap: metrics.onReap,
    onCommitted: (aftermath) => ready.push(...aftermath.ready.map(({ count }) => `${count}`)),
  });
  const epoch = (await store.holdDuty("reaper", "test", 60_000))?.epoch ?? 0;
  await reaper.run(epoch, AbortSignal.abort());
  expect(await counted()).toBe(1);
  expect(ready).toEqual(["1"]);
  expect(await sql("select id from session where not is_live")).toEqual([{ id: first.worker.sessionId }]);
});

test("the fence of a running task changes only with its state, and a refusal names the row", async () => {
  const { store, sql } = world();
  await submit(store, [task("only")]);
  const { taskId } = await claimed(store, "w1");
  await expect(sql("update task set current_attempt = gen_random_uuid()")).rejects.toMatchObject({
    code: "VF001",
    message: `task ${taskId} cannot move from running to running`,
  });
  await sql("update attempt set state = 'lost', ended_at = now()");
  const [attempt] = await sql<{ id: string }>("select id from attempt");
  await expect(sql("update attempt set state = 'failed'")).rejects.toMatchObject({
    code: "VF001",
    message: `attempt ${attempt?.id ?? ""} cannot move from lost to failed`,
  });
});

import { expect, test } from "vitest";
import { useScaledPool } from "../../support/kube/scaled-pool.ts";
import { reapAll } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";

const world = useWorld();
const its = useScaledPool(world);

test("a pod that the cluster evicts is told at once to give back what it runs, and a spot node's too", async () => {
  await its().submit("a", "b");
  await its().round();
  await its().startWorkers();
  const [first = "", second = ""] = its().controlled.pods();
  await its().worker(first).claim();
  await its().worker(second).claim();
  expect(await its().disruptionRound()).toEqual([]);
  const pushes: unknown[] = [];
  its().api.objects.change(
    "pods",
    first,
    ({ status }) => void (status["conditions"] = [{ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI" }]),
  );
  await expect.poll(() => its().pods.items()?.get(first)?.disruption).toBeDefined();
  expect(await its().disruptionRound({ onCommitted: (aftermath) => void pushes.push(...(aftermath.pushes ?? [])) })).toEqual(["evicted"]);
  expect(pushes).toEqual([{ workerId: first, attemptId: [...its().worker(first).held][0], level: "drain" }]);
  its().api.objects.change("nodes", "node-1", ({ spec }) => void (spec["taints"] = [{ key: "aws-node-termination-handler/spot-itn" }]));
  await expect.poll(() => its().nodes.items()?.get("node-1")?.taints).toHaveLength(1);
  expect(await its().disruptionRound()).toEqual(["reclaimed"]);
});

test("a list of nodes or pods that was not renewed for long excuses nothing", async () => {
  await its().submit("a");
  await its().round();
  await its().startWorkers();
  const [name = ""] = its().controlled.pods();
  await its().worker(name).claim();
  await its().disruptionRound();
  const later = () => Date.now() + 3_600_000;
  const nodes = { items: () => new Map<string, never>(), silentMs: () => 151_000 };
  expect(await its().disruptionRound({ now: later, nodes })).toEqual([]);
  const fresh = { ...nodes, silentMs: () => 149_000 };
  expect(await its().disruptionRound({ now: () => Date.now() + 200_000, nodes: fresh })).toEqual([]);
  await reapAll(world());
  const pods = { items: () => new Map<string, never>(), silentMs: () => 151_000 };
  expect(await its().disruptionRound({ pods })).toEqual([]);
  expect(await world().sql("select error_class from attempt where state = 'lost'")).toEqual([{ error_class: "unexplained" }]);
  expect(await its().disruptionRound({ now: later, nodes: fresh })).toEqual(["node_gone"]);
});

test.each(["evicted", "vanished", "node not ready", "node gone"] as const)("what a worker loses that is %s costs no retry", async (how) => {
  await its().submit("a");
  await its().round();
  await its().startWorkers();
  const [name = ""] = its().controlled.pods();
  await its().worker(name).claim();
  await its().disruptionRound();
  const age = (): void =>
    void its().api.objects.change("pods", name, ({ metadata, status }) => {
      metadata.creationTimestamp = new Date(0).toISOString();
      status["containerStatuses"] = [];
    });
  if (how === "evicted")
    its().api.objects.change(
      "pods",
      name,
      ({ status }) => void (status["conditions"] = [{ type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler" }]),
    );
  if (how === "vanished") its().api.objects.remove("pods", name);
  if (how === "node not ready")
    its().api.objects.change("nodes", "node-1", ({ status }) => void (status["conditions"] = [{ type: "Ready", status: "Unknown" }]));
  if (how === "node gone") {
    age();
    its().api.objects.remove("nodes", "node-1");
  }
  if (how === "evicted") await expect.poll(() => its().pods.items()?.get(name)?.disruption).toBeDefined();
  if (how === "node not ready") await expect.poll(() => its().nodes.items()?.get("node-1")?.isReady).toBe(false);
  if (how === "node gone") await expect.poll(() => [its().nodes.items()?.size, its().pods.items()?.get(name)?.createdAtMs]).toEqual([0, 0]);
  if (how === "evicted" || how === "node not ready") await its().disruptionRound();
  await reapAll(world());
  await its().disruptionRound();
  expect(await world().sql("select error_code, error_class from attempt where state = 'lost'")).toEqual([
    { error_code: "WORKER_DISRUPTED", error_class: "infrastructure" },
  ]);
  expect(await world().sql("select failures from task")).toEqual([{ failures: { infrastructure: 1 } }]);
});

test("a worker that ran out of memory pays for it, though its pod is taken away then", async () => {
  await its().submit("a");
  await its().round();
  await its().startWorkers();
  const [name = ""] = its().controlled.pods();
  await its().worker(name).claim();
  await its().disruptionRound();
  its().api.objects.change("pods", name, ({ status }) => {
    status["containerStatuses"] = [{ restartCount: 1, state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }];
  });
  await expect.poll(() => its().pods.items()?.get(name)?.ended).toBeDefined();
  expect(await its().disruptionRound()).toEqual(["own_fault"]);
  await reapAll(world());
  its().api.objects.remove("pods", name);
  await its().disruptionRound();
  expect(await world().sql("select error_class from attempt where state = 'lost'")).toEqual([{ error_class: "unexplained" }]);
});

import { expect, test } from "vitest";
import { createScaling, type ScalingOptions } from "../../../services/coordinator/kube/scaling-duty.ts";
import type { ScaledPool } from "../../../services/coordinator/kube/settings.ts";
import { rule, target, useScaledPool } from "../../support/kube/scaled-pool.ts";
import { epochOf } from "../../support/store-duties.ts";
import { useWorld } from "../../support/store-suite.ts";
import { createWorker } from "../../support/store-world.ts";

const world = useWorld();
const its = useScaledPool(world);
const { signal } = new AbortController();

test("a pool grows from nothing with its first task, and as far as its work needs and may go", async () => {
  await its().round();
  expect(its().replicas()).toBe(0);
  await its().submit("a");
  await its().round();
  expect(its().replicas()).toBe(1);
  await its().submit("b", "c", "d", "e", "f", "g", "h");
  await its().round();
  expect(its().replicas()).toBe(5);
  expect(its().scaled).toEqual(["pool up", "pool up"]);
  expect(await world().store.scaleRecords()).toMatchObject([{ pool: "pool", desired: 5, asked: 5, serving: 0, starting: 1 }]);
});

test("a held farm, pool or tenant grows no pool", async () => {
  const { store } = world();
  await its().submit("a", "b");
  for (const hold of [
    { scope: "farm", name: "" },
    { scope: "pool", name: "pool" },
    { scope: "tenant", name: "local" },
  ] as const) {
    await store.placeHold(hold, { by: "ops", reason: "" });
    await its().round();
    expect(its().replicas()).toBe(0);
    await store.releaseHold(hold);
  }
  await its().round();
  expect(its().replicas()).toBe(2);
});

test("a pool shrinks by those that are idle: first they get nothing new, then their pods are marked, then fewer are asked for", async () => {
  await its().submit("a", "b", "c");
  await its().round();
  await its().startWorkers();
  const [first = "", second = "", third = ""] = its().controlled.pods();
  await its().worker(second).claim();
  for (const name of [first, third])
    await its()
      .worker(name)
      .succeed(await its().worker(name).claim());
  await its().round();
  expect(its().replicas()).toBe(3);
  await its().submit("d");
  expect((await its().worker(first).next()).claim).toBeUndefined();
  await world().sql("delete from ready");
  await its().round();
  expect(its().replicas()).toBe(1);
  expect(its().controlled.deleted.toSorted()).toEqual([first, third].toSorted());
  expect(its().controlled.pods()).toEqual([second]);
  expect(its().scaled).toEqual(["pool up", "pool down"]);
});

test("a victim that runs something finishes it before its pod goes", async () => {
  await its().submit("a", "b");
  await its().round();
  await its().startWorkers();
  const [first = "", second = ""] = its().controlled.pods();
  const claims = [await its().worker(first).claim(), await its().worker(second).claim()] as const;
  const smaller: ScaledPool = { name: "pool", rule: { ...rule, max: 1 }, target };
  for (let rounds = 0; rounds < 3; rounds += 1) await its().round({ pools: [smaller] });
  expect(its().replicas()).toBe(2);
  expect(its().controlled.deleted).toEqual([]);
  await its().worker(first).succeed(claims[0]);
  await its().worker(second).succeed(claims[1]);
  await its().round({ pools: [smaller] });
  expect(its().replicas()).toBe(1);
  expect(its().controlled.deleted).toHaveLength(1);
});

test("who was to go is given work again when there is some, and its pod is a pod like others", async () => {
  await its().submit("a", "b");
  await its().round();
  await its().startWorkers();
  const [first = "", second = ""] = its().controlled.pods();
  for (const name of [first, second])
    await its()
      .worker(name)
      .succeed(await its().worker(name).claim());
  await its().round();
  expect((await world().store.getWorker(undefined, first))?.cordon).toBeDefined();
  its().api.objects.change(
    "pods",
    first,
    ({ metadata }) => void (metadata.annotations = { "controller.kubernetes.io/pod-deletion-cost": "-100" }),
  );
  await world().sql("update attempt set compute_ms = 30000");
  await its().submit("c", "d");
  await its().round();
  expect(its().replicas()).toBe(2);
  expect(its().costs()).toEqual([undefined, undefined]);
  expect((await its().worker(first).next()).claim).toBeDefined();
  expect((await its().worker(second).next()).claim).toBeDefined();
});

test.each(["silent", "heard"] as const)("nobody is taken whose lease ran out and was not reaped, while beats are %s", async (beats) => {
  await its().submit("a", "b", "c");
  await its().round();
  await its().startWorkers();
  for (const name of its().controlled.pods()) await its().worker(name).claim();
  await world().sql("update session set lease_until = now() - interval '1 s'");
  const last = beats === "silent" ? "20 s" : "0 s";
  await world().sql(`insert into canary (last_at, unbroken_since) values (now() - interval '${last}', now() - interval '1 h')`);
  const smaller: ScaledPool = { name: "pool", rule: { ...rule, max: 1 }, target };
  for (let rounds = 0; rounds < 3; rounds += 1) await its().round({ pools: [smaller], now: () => Date.now() + 3_600_000 });
  expect(its().replicas()).toBe(3);
  expect(its().controlled.deleted).toEqual([]);
  expect(its().costs()).toEqual([undefined, undefined, undefined]);
  expect(await world().store.scaleRecords()).toMatchObject([{ serving: 3, starting: 0 }]);
  if (beats === "silent") expect(await world().sql("select worker_id from cordon")).toEqual([]);
});

test("an idle worker is not set aside while beats do not arrive, and a pool may grow all the same", async () => {
  await its().submit("a", "b");
  await its().round();
  await its().startWorkers();
  await world().sql("delete from ready");
  await world().sql("insert into canary (last_at, unbroken_since) values (now() - interval '20 s', now() - interval '1 h')");
  for (let rounds = 0; rounds < 2; rounds += 1) await its().round();
  expect(its().replicas()).toBe(2);
  expect(await world().sql("select worker_id from cordon")).toEqual([]);
  await its().submit("c", "d", "e", "f");
  await its().round();
  expect(its().replicas()).toBe(4);
});

test("a pod that has just begun to run goes only once its worker could have been known", async () => {
  await its().submit("a");
  await its().round();
  const [name = ""] = its().controlled.pods();
  its().controlled.run(name);
  await world().sql("delete from ready");
  await its().round();
  expect(its().replicas()).toBe(1);
  await its().round({ now: () => Date.now() + 61_000 });
  expect(its().replicas()).toBe(0);
});

test("what the cluster could not be asked for is not told as asked", async () => {
  await its().submit("a", "b");
  its().api.fail("put", ...Array.from({ length: 8 }, () => ({ status: 500 })));
  await expect(its().round()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  expect(await world().store.scaleRecords()).toMatchObject([{ desired: 2, asked: 0 }]);
});

test("a deletion cost is written when it changes, and not again", async () => {
  await its().submit("a", "b");
  await its().round();
  await its().startWorkers();
  const [first = "", second = ""] = its().controlled.pods();
  const claim = await its().worker(second).claim();
  await its()
    .worker(first)
    .succeed(await its().worker(first).claim());
  await its().round();
  its().api.fail("put", ...Array.from({ length: 8 }, () => ({ status: 500 })));
  const patches = () => its().api.requests.filter(({ verb }) => verb === "patch").length;
  await expect(its().round()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  expect(patches()).toBe(1);
  await expect(its().round()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  expect(patches()).toBe(1);
  await its().round();
  expect(patches()).toBe(1);
  expect(its().controlled.pods()).toEqual([second]);
  await its().worker(second).succeed(claim);
});

test("a conflict is looked at again: a number that nobody else changed is written, another's stays", async () => {
  await its().submit("a", "b");
  const touch = (edit: (spec: Record<string, unknown>) => void) => ({
    ...(its().options.cluster as NonNullable<ScalingOptions["cluster"]>),
    writeScale: async (...[to, scale, signal]: Parameters<NonNullable<ScalingOptions["cluster"]>["writeScale"]>) => {
      if (!touched) its().api.objects.change("deployments", "cog", ({ spec }) => edit(spec));
      touched = true;
      return await (its().options.cluster as NonNullable<ScalingOptions["cluster"]>).writeScale(to, scale, signal);
    },
  });
  let touched = false;
  await its().round({ cluster: touch((spec) => void (spec["paused"] = true)) });
  expect(its().replicas()).toBe(2);
  await its().submit("c", "d");
  touched = false;
  await its().round({ cluster: touch((spec) => void (spec["replicas"] = 3)) });
  expect(its().replicas()).toBe(3);
});

test("a holder of the duty that slept asks the cluster for nothing", async () => {
  await its().submit("a");
  const epoch = await epochOf(world(), "scaling");
  await world().sql("update duty set until = now() - interval '1 s'");
  await world().store.holdDuty("scaling", "another", 60_000);
  await createScaling(its().options).run(epoch, signal);
  expect(its().replicas()).toBe(0);
  expect(its().api.requests.filter(({ verb }) => verb === "put")).toEqual([]);
});

test("nothing is taken while nobody knows which pods there are", async () => {
  await its().submit("a");
  const unknown = { items: () => undefined, silentMs: () => Infinity };
  await expect(its().round({ pods: unknown })).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  const silent = { items: () => its().pods.items(), silentMs: () => 200_000 };
  await expect(its().round({ pods: silent })).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  expect(its().replicas()).toBe(0);
});

test("a round gives up before the duty's time is over when the cluster does not answer", async () => {
  await its().submit("a");
  its().api.fail("get", "hang");
  await expect(its().round({ budgetMs: 30 })).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  expect(its().replicas()).toBe(0);
  await its().round();
  expect(its().replicas()).toBe(1);
});

test("one pool's missing object keeps no other from its round", async () => {
  await its().submit("a");
  const broken: ScaledPool = { name: "other", rule, target: { kind: "Deployment", name: "missing" } };
  await expect(its().round({ pools: [broken, ...its().options.pools] })).rejects.toMatchObject({ code: "KUBERNETES_REFUSED" });
  expect(its().replicas()).toBe(1);
});

test("without an object the number is only told", async () => {
  await its().submit("a", "b", "c");
  await createWorker(world().store, { name: "by hand" }).next({ freeSlots: 0 });
  await its().round({ pools: [{ name: "pool", rule, target: undefined }], cluster: undefined, pods: undefined });
  expect(await world().store.scaleRecords()).toMatchObject([{ desired: 3, asked: 1, serving: 1, starting: 0 }]);
  expect(its().replicas()).toBe(0);
});

test("load time is what pods took until they ran and their workers until they could work", async () => {
  await its().submit("a");
  await its().round();
  const [name = ""] = its().controlled.pods();
  its().controlled.run(name);
  its().api.objects.change("pods", name, ({ metadata }) => void (metadata.creationTimestamp = new Date(Date.now() - 40_000).toISOString()));
  const known = createWorker(world().store, { name });
  const ask = known.ask({ freeSlots: 0 });
  await world().store.next([{ ...ask, worker: { ...ask.worker, startupMs: 20_000 } }]);
  await expect.poll(() => its().pods.items()?.get(name)?.startedAtMs).toBeDefined();
  await its().round();
  const [record] = await world().store.scaleRecords();
  expect(record?.loadMs).toBeGreaterThan(59_000);
  expect(record?.loadMs).toBeLessThan(65_000);
});

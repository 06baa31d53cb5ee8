import { afterEach, beforeEach, expect, test } from "vitest";
import type { ClusterPod } from "../../../services/coordinator/kube/cluster.ts";
import { createInformer, type Informer } from "../../../services/coordinator/kube/informer.ts";
import type { Logger } from "../../../services/platform/logging.ts";
import { type KubeApi, startKubeApi } from "../../support/kube/api-server.ts";
import { connectKube } from "../../support/kube/cluster-client.ts";

let api: KubeApi;
let informer: Informer<ClusterPod>;
let logged: string[];
let wake: () => void = () => undefined;
beforeEach(async () => {
  api = await startKubeApi();
  logged = [];
  const log = (_facts: unknown, message?: string): void => void logged.push(message ?? "");
  const logger = { debug: log, info: log, warn: log, error: log, fatal: log, child: () => logger } as unknown as Logger;
  informer = createInformer({
    name: "pods",
    source: connectKube(api).cluster.pods,
    logger,
    onChange: () => wake(),
    draw: () => 0.5,
    firstWaitMs: 4,
    mostWaitMs: 20,
    clock: () => performance.now(),
  });
});
afterEach(async () => {
  await informer.stop();
  await api.stop();
});

const labels = { "app.kubernetes.io/name": "vapfarm", "app.kubernetes.io/component": "worker", "vapfarm.io/pool": "cog" };
const add = (name: string) => api.objects.create("pods", { name, labels, status: {} });
const names = () => [...(informer.items()?.keys() ?? [])].sort();
const lists = () => api.requests.filter(({ verb, path }) => verb === "get" && path.endsWith("/pods")).length;

const watchesOpened = () => api.requests.filter(({ verb }) => verb === "watch").length;

/** Until the informer shows these. */
async function shows(...wanted: readonly string[]): Promise<void> {
  while (names().join() !== wanted.join()) await new Promise<void>((resolve) => (wake = resolve));
}

test("an informer shows nothing before the first list, then what is there and what comes and goes", async () => {
  add("a");
  expect(informer.items()).toBeUndefined();
  expect(informer.silentMs()).toBe(Infinity);
  await informer.start();
  await informer.start();
  await shows("a");
  await api.watched(1);
  add("b");
  await shows("a", "b");
  api.objects.remove("pods", "a");
  await shows("b");
  api.objects.change("pods", "b", ({ status }) => void (status["phase"] = "Failed"));
  await expect.poll(() => informer.items()?.get("b")?.phase).toBe("Failed");
  expect(informer.silentMs()).toBeLessThan(60_000);
  expect(lists()).toBe(1);
});

test.each(["close", "reset", "half a line"] as const)(
  "goes on from the last version when a watch ends by %s, without a list",
  async (how) => {
    await informer.start();
    await api.watched(1);
    add("a");
    await shows("a");
    api.endWatches(how);
    add("b");
    await shows("a", "b");
    expect(lists()).toBe(1);
  },
);

test("lists anew when its version has expired, and sees then what went meanwhile", async () => {
  add("a");
  add("b");
  await informer.start();
  await api.watched(1);
  api.endWatches("close");
  api.objects.remove("pods", "a");
  api.objects.compact();
  await shows("b");
  expect(lists()).toBeGreaterThan(1);
});

test("a bookmark moves its version on, so that a quiet time expires nothing", async () => {
  await informer.start();
  await api.watched(1);
  api.objects.create("nodes", { name: "n" });
  api.objects.compact();
  api.bookmark();
  api.endWatches("close");
  add("a");
  await shows("a");
  expect(lists()).toBe(1);
});

test("an API that is away costs freshness and two lines in the log", async () => {
  add("a");
  await informer.start();
  await api.watched(1);
  await shows("a");
  api.fail("watch", ...Array.from({ length: 7 }, () => ({ status: 503 })));
  api.fail("get", ...Array.from({ length: 8 }, () => ({ status: 503 })));
  api.endWatches("reset");
  add("b");
  expect(names()).toEqual(["a"]);
  await shows("a", "b");
  expect(logged).toEqual(["the cluster cannot be watched", "the cluster is watched again"]);
});

test("a watch that fails again and again after its first event is told, waited for ever longer, and listed anew", async () => {
  await informer.start();
  for (let failure = 1; failure <= 3; failure += 1) {
    await api.watched(1);
    add(`p${failure}`);
    await shows(...Array.from({ length: failure }, (_, index) => `p${index + 1}`));
    api.tell("{no JSON");
    await expect.poll(watchesOpened).toBe(failure + 1);
    if (failure < 3) expect(lists()).toBe(1);
  }
  expect(lists()).toBeGreaterThan(1);
  expect(logged).toContain("the cluster cannot be watched");
});

test("what may not be looked at is told once, and asked for again ever more seldom", async () => {
  api.fail("get", ...Array.from({ length: 5 }, () => ({ status: 403 })));
  await informer.start();
  add("a");
  await shows("a");
  expect(logged).toEqual(["the cluster cannot be watched", "the cluster is watched again"]);
});

test("a stop before the start and a second one are safe", async () => {
  await informer.stop();
  await informer.start();
  await api.watched(1);
  await informer.stop();
  await informer.stop();
  await expect.poll(() => api.watches).toBe(0);
});

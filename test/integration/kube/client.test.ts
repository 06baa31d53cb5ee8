import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { WatchEvent } from "../../../services/coordinator/kube/cluster.ts";
import { type KubeApi, startKubeApi } from "../../support/kube/api-server.ts";
import { connectKube, type TestClient } from "../../support/kube/cluster-client.ts";

let api: KubeApi;
let client: TestClient;
const { signal } = new AbortController();
beforeEach(async () => {
  api = await startKubeApi();
  client = connectKube(api);
  api.objects.create("deployments", { name: "cog", spec: { replicas: 2 } });
});
afterEach(() => api.stop());

const cog = { kind: "Deployment", name: "cog" } as const;
const labels = { "app.kubernetes.io/name": "vapfarm", "app.kubernetes.io/component": "worker", "vapfarm.io/pool": "cog" };
const addPod = (name: string, status: Record<string, unknown> = {}) => api.objects.create("pods", { name, labels, status });
const replicas = () => api.objects.get("deployments", "cog")?.spec["replicas"];

describe("the scale of an object", () => {
  test("is read and written with the version that was read, by name of this program", async () => {
    const scale = await client.cluster.readScale(cog, signal);
    expect(scale.replicas).toBe(2);
    expect(await client.cluster.writeScale(cog, { ...scale, replicas: 5 }, signal)).toBe("written");
    expect(replicas()).toBe(5);
    expect(api.requests.at(-1)).toMatchObject({ verb: "put", userAgent: "vapfarm-coordinator/test" });
    expect(api.requests.at(-1)?.query.get("fieldManager")).toBe("vapfarm");
  });

  test("is a StatefulSet's as well", async () => {
    api.objects.create("statefulsets", { name: "wan", spec: { replicas: 1 } });
    const wan = { kind: "StatefulSet", name: "wan" } as const;
    const scale = await client.cluster.readScale(wan, signal);
    await client.cluster.writeScale(wan, { ...scale, replicas: 3 }, signal);
    expect(api.objects.get("statefulsets", "wan")?.spec["replicas"]).toBe(3);
  });

  test("is not written over what somebody else wrote meanwhile", async () => {
    const scale = await client.cluster.readScale(cog, signal);
    api.objects.change("deployments", "cog", ({ spec }) => void (spec["replicas"] = 9));
    expect(await client.cluster.writeScale(cog, { ...scale, replicas: 5 }, signal)).toBe("conflict");
    expect(replicas()).toBe(9);
  });

  test("that was written, but whose answer was lost, is a conflict to who wrote it, and written once", async () => {
    const scale = await client.cluster.readScale(cog, signal);
    api.fail("put", "reset after");
    expect(await client.cluster.writeScale(cog, { ...scale, replicas: 5 }, signal)).toBe("conflict");
    expect((await client.cluster.readScale(cog, signal)).replicas).toBe(5);
    expect(client.answers).toEqual(["get 200", "put 0", "put 409", "get 200"]);
  });

  test("of an object that is not there, or that nobody may look at, is refused and not tried again", async () => {
    await expect(client.cluster.readScale({ kind: "Deployment", name: "none" }, signal)).rejects.toMatchObject({
      code: "KUBERNETES_REFUSED",
      message: "Deployment none: answered with 404",
    });
    api.fail("get", { status: 403 });
    await expect(client.cluster.readScale(cog, signal)).rejects.toMatchObject({ code: "KUBERNETES_REFUSED" });
    expect(client.answers).toEqual(["get 404", "get 403"]);
  });
});

describe("a request that gets no good answer", () => {
  test.each([
    ["a server that fails", { status: 500 }, { status: 503 }],
    ["a server that asks to wait", { status: 429, headers: { "retry-after": "0" } }, { status: 429 }],
    ["a connection that ends", "reset", "reset"],
    ["no answer at all", "hang", { status: 500 }],
  ] as const)("is sent again after %s", async (...faults) => {
    const [, first, second] = faults;
    api.fail("get", first, second);
    expect((await client.cluster.readScale(cog, signal)).replicas).toBe(2);
    expect(client.answers).toHaveLength(3);
    expect(client.answers.at(-1)).toBe("get 200");
  });

  test("is given up after some tries", async () => {
    api.fail("get", ...Array.from({ length: 9 }, () => ({ status: 500 })));
    await expect(client.cluster.readScale(cog, signal)).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
    expect(client.answers).toHaveLength(4);
  });

  test("waits as long as the server says, within its own bound", async () => {
    const patient = connectKube(api, { mostWaitMs: 150 });
    api.fail("get", { status: 429, headers: { "retry-after": "30" } });
    const beganAt = performance.now();
    await patient.cluster.readScale(cog, signal);
    expect(performance.now() - beganAt).toBeGreaterThanOrEqual(149);
  });

  test("ends with who asked", async () => {
    const own = new AbortController();
    api.fail("get", "hang");
    const reading = client.cluster.readScale(cog, own.signal);
    own.abort();
    await expect(reading).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
    expect(client.answers).toEqual(["get 0"]);
  });

  test("reads the token anew when it is refused, once", async () => {
    await client.cluster.readScale(cog, signal);
    await api.renewToken();
    await client.cluster.readScale(cog, signal);
    expect(client.answers).toEqual(["get 200", "get 401", "get 200"]);
    api.fail("get", { status: 401 }, { status: 401 });
    await expect(client.cluster.readScale(cog, signal)).rejects.toMatchObject({ code: "KUBERNETES_REFUSED" });
    expect(client.answers.slice(3)).toEqual(["get 401", "get 401"]);
  });

  test("is refused without an account", async () => {
    const lost = connectKube({ address: api.address, accountFolder: "/nowhere" });
    await expect(lost.cluster.readScale(cog, signal)).rejects.toMatchObject({ code: "KUBERNETES_REFUSED" });
  });
});

describe("a pod's deletion cost", () => {
  const cost = (name: string) => api.objects.get("pods", name)?.metadata.annotations;

  test("is written beside what else the pod says, and taken away", async () => {
    addPod("a");
    api.objects.change("pods", "a", ({ metadata }) => void (metadata.annotations = { other: "kept" }));
    expect(await client.cluster.setDeletionCost("a", -100, signal)).toBe("written");
    expect(cost("a")).toEqual({ other: "kept", "controller.kubernetes.io/pod-deletion-cost": "-100" });
    expect(await client.cluster.setDeletionCost("a", undefined, signal)).toBe("written");
    expect(cost("a")).toEqual({ other: "kept" });
  });

  test("of a pod that is gone is nobody's loss", async () => {
    expect(await client.cluster.setDeletionCost("gone", -100, signal)).toBe("gone");
  });
});

describe("the pods of workers", () => {
  test("are listed page by page, and those of others not", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) addPod(name);
    api.objects.create("pods", { name: "other", labels: {} });
    const { items, resourceVersion } = await client.cluster.pods.list(signal);
    expect(items.map(({ name }) => name)).toEqual(["a", "b", "c", "d", "e"]);
    expect(resourceVersion).toBe(String(api.objects.version));
    expect(client.answers).toEqual(["get 200", "get 200", "get 200"]);
  });

  test("are listed anew when the list expires between two pages, and given up when it always does", async () => {
    for (const name of ["a", "b", "c"]) addPod(name);
    api.fail("get", { status: 410 }, { status: 410 });
    expect((await client.cluster.pods.list(signal)).items).toHaveLength(3);
    api.fail("get", { status: 410 }, { status: 410 }, { status: 410 });
    await expect(client.cluster.pods.list(signal)).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  });

  test("say what is done to them, and how their containers ended", async () => {
    addPod("evicted", {
      phase: "Running",
      conditions: [{ type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI", message: "m" }],
    });
    addPod("hungry", {
      phase: "Running",
      containerStatuses: [{ restartCount: 3, state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }],
    });
    addPod("strange", { phase: 7, conditions: "none" });
    const { items } = await client.cluster.pods.list(signal);
    expect(items).toMatchObject([
      { name: "evicted", pool: "cog", disruption: { reason: "EvictionByEvictionAPI", message: "m" }, ended: undefined },
      { name: "hungry", disruption: undefined, ended: { exitCode: 137, reason: "OOMKilled" }, startedAtMs: undefined },
    ]);
  });
});

/** Watches until it ends; the events so far, and how it ended. */
function watch(version: string) {
  const events: WatchEvent<{ readonly name: string }>[] = [];
  const own = new AbortController();
  const end = client.cluster.pods.watch(version, (event) => void events.push(event), own.signal);
  return { events, end, abort: own };
}

describe("a watch", () => {
  test.each(["{no JSON", '{"type":"ERROR","object":{"code":500}}'])("fails by what it cannot go on from: %s", async (line) => {
    const { end } = watch(String(api.objects.version));
    await api.watched(1);
    api.tell(line);
    await expect(end).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  });

  test("hands on what its reader throws", async () => {
    const { end } = {
      end: client.cluster.pods.watch(
        String(api.objects.version),
        () => {
          throw new TypeError("the reader's");
        },
        signal,
      ),
    };
    await api.watched(1);
    addPod("a");
    await expect(end).rejects.toThrow("the reader's");
  });

  test("tells what came after its version, then what comes, and bookmarks", async () => {
    const from = String(api.objects.version);
    addPod("missed");
    const { events, end } = watch(from);
    await api.watched(1);
    addPod("a");
    api.objects.remove("pods", "missed");
    api.objects.change("pods", "a", ({ metadata }) => void (metadata.labels = {}));
    api.bookmark();
    api.endWatches("close");
    expect(await end).toBe("closed");
    expect(events.map((event) => [event.kind, "item" in event ? event.item.name : "name" in event ? event.name : ""])).toEqual([
      ["set", "missed"],
      ["set", "a"],
      ["gone", "missed"],
      ["bookmark", ""],
    ]);
    expect(events.at(-1)?.resourceVersion).toBe(String(api.objects.version));
    expect(api.requests.at(-1)?.query.get("allowWatchBookmarks")).toBe("true");
  });

  test("ends as expired when its version is too old, before or while it runs", async () => {
    const from = String(api.objects.version);
    api.objects.compact();
    expect(await watch(from).end).toBe("expired");
    const running = watch(String(api.objects.version));
    await api.watched(1);
    api.endWatches("expire");
    expect(await running.end).toBe("expired");
  });

  test.each(["reset", "half a line"] as const)("keeps what it told when it ends by %s", async (how) => {
    const { events, end } = watch(String(api.objects.version));
    await api.watched(1);
    addPod("a");
    await expect.poll(() => events.length).toBe(1);
    api.endWatches(how);
    expect(await end).toBe("closed");
    expect(events).toHaveLength(1);
  });

  test("ends when nothing is heard for too long", async () => {
    const { end } = watch(String(api.objects.version));
    await api.watched(1);
    expect(await end).toBe("closed");
  });

  test("that cannot be opened says why", async () => {
    api.fail("watch", { status: 403 }, { status: 503 }, "reset", "hang");
    const open = () => watch(String(api.objects.version)).end;
    await expect(open()).rejects.toMatchObject({ code: "KUBERNETES_REFUSED" });
    await expect(open()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
    await expect(open()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
    await expect(open()).rejects.toMatchObject({ code: "KUBERNETES_UNAVAILABLE" });
  });

  test("ends with who asked", async () => {
    const { end, abort } = watch(String(api.objects.version));
    await api.watched(1);
    abort.abort();
    expect(await end).toBe("closed");
    await expect.poll(() => api.watches).toBe(0);
  });
});

/**
 * A farm of real processes whose workers are pods of a stand-in cluster: the cluster evicts one, loses a node, deletes a pod, and the worker is
 * killed, with and without a notice. What the cluster did costs no retry; what the worker did itself does.
 */
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { attemptsOf } from "../support/fault/renders.ts";
import { faultTimeoutMs as timeoutMs, useScene } from "../support/fault/scene.ts";
import { type KubeApi, namespace, startKubeApi } from "../support/kube/api-server.ts";
import { until } from "../support/until.ts";

const pool = "local";
const labels = { "app.kubernetes.io/name": "vapfarm", "app.kubernetes.io/component": "worker", "vapfarm.io/pool": pool };
const names = ["worker-1", "worker-2"];
let api: KubeApi;

const running = () => ({
  phase: "Running",
  conditions: [{ type: "Ready", status: "True" }],
  containerStatuses: [{ restartCount: 0, state: { running: { startedAt: new Date().toISOString() } } }],
});

/** Each is a pod on a node of its own, and nothing is done to it. */
function placePods(of: readonly string[]): void {
  for (const name of of) {
    api.objects.remove("pods", name);
    api.objects.remove("nodes", `node of ${name}`);
    api.objects.create("nodes", { name: `node of ${name}`, status: { conditions: [{ type: "Ready", status: "True" }] } });
    api.objects.create("pods", { name, labels, spec: { nodeName: `node of ${name}` }, status: running() });
  }
}

afterAll(() => api.stop());
const scene = useScene(async () => {
  api = await startKubeApi();
  placePods(names);
  const scaling = { namespace, pools: [{ name: pool, max: 9 }] };
  return {
    environment: {
      VAPFARM_SCALING: JSON.stringify(scaling),
      VAPFARM_KUBE_API: api.address,
      VAPFARM_KUBE_ACCOUNT: api.accountFolder,
    },
  };
});

afterEach(async () => {
  // A pod is there before its worker is.
  const { farm } = scene();
  placePods(names.filter((_, index) => farm.workers[index]?.program.isRunning() === false));
  await farm.restore();
  await until("nothing is said of any worker", async () => (await scene().farm.sql("select 1 from cordon")).length === 0, 30_000);
}, timeoutMs);

/** A render in the middle of its denoise, on a worker that is known to be a pod. */
async function disturbedPod() {
  const { farm, disturbed } = scene();
  await until("the workers are pods", async () => (await farm.sql("select 1 from worker where pod = name")).length === names.length);
  return await disturbed();
}

const target = { type: "DisruptionTarget", status: "True", reason: "EvictionByEvictionAPI", message: "evicted" };
const evict = (name: string) => api.objects.change("pods", name, ({ status }) => void (status["conditions"] = [target]));
const told = (cause: string) =>
  until(
    `the farm knows of ${cause}`,
    async () => (await scene().farm.sql("select 1 from disruption where cause = $1", [cause])).length > 0,
  );
const free = { state: "lost", code: "WORKER_DISRUPTED", charged: { infrastructure: 1 } };

describe("a worker whose pod is evicted", () => {
  it(
    "gives back what it runs with a last checkpoint, and is killed without a loss",
    async () => {
      const { farm, worker, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbedPod();
      evict(name);
      await until("it gave its run back", async () => (await attemptsOf(farm, jobId))[0]?.state === "abandoned", 20_000);
      await worker(name).program.kill();
      await expectSucceeded(jobId);
      expect(await attemptsOf(farm, jobId)).toMatchObject([
        { worker: name, state: "abandoned", charged: {} },
        { state: "succeeded", charged: {} },
      ]);
    },
    timeoutMs,
  );

  it(
    "and that is killed before it could leave, is charged for nothing",
    async () => {
      const { farm, worker, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbedPod();
      await worker(name).program.freeze();
      evict(name);
      await told("evicted");
      await worker(name).program.kill();
      await expectSucceeded(jobId);
      expect(await attemptsOf(farm, jobId)).toMatchObject([{ ...free, worker: name }, { state: "succeeded" }]);
    },
    timeoutMs,
  );
});

describe("a worker that is killed without a notice", () => {
  it(
    "is charged for nothing once the cluster says that its node is lost",
    async () => {
      const { farm, worker, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbedPod();
      await worker(name).program.kill();
      await until("its lease ran out", async () => (await attemptsOf(farm, jobId))[0]?.state === "lost", 30_000);
      expect((await attemptsOf(farm, jobId))[0]).toMatchObject({ code: "LEASE_LAPSED", charged: { unexplained: 1 } });
      api.objects.change("nodes", `node of ${name}`, ({ status }) => {
        status["conditions"] = [{ type: "Ready", status: "Unknown" }];
      });
      await until("the charge is taken back", async () => (await attemptsOf(farm, jobId))[0]?.code === "WORKER_DISRUPTED", 20_000);
      await expectSucceeded(jobId);
      expect(await attemptsOf(farm, jobId)).toMatchObject([{ ...free, worker: name }, { state: "succeeded" }]);
    },
    timeoutMs,
  );

  it(
    "is charged for nothing when its pod is gone",
    async () => {
      const { farm, worker, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbedPod();
      await worker(name).program.kill();
      api.objects.remove("pods", name);
      await expectSucceeded(jobId);
      await until("nothing is charged", async () => (await attemptsOf(farm, jobId))[0]?.code === "WORKER_DISRUPTED", 20_000);
      expect((await attemptsOf(farm, jobId))[0]).toMatchObject(free);
    },
    timeoutMs,
  );

  it(
    "because it ran out of memory is charged for it, whatever becomes of its pod",
    async () => {
      const { farm, worker, expectSucceeded } = scene();
      const { jobId, worker: name } = await disturbedPod();
      await worker(name).program.kill();
      api.objects.change("pods", name, ({ status }) => {
        status["containerStatuses"] = [{ restartCount: 0, state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }];
      });
      await told("own_fault");
      api.objects.remove("pods", name);
      await expectSucceeded(jobId);
      expect((await attemptsOf(farm, jobId))[0]).toMatchObject({ state: "lost", code: "LEASE_LAPSED", charged: { unexplained: 1 } });
    },
    timeoutMs,
  );
});

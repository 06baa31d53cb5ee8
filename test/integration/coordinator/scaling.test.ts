/**
 * Two coordinators on a stand-in cluster: one scales, both tell the same, and the other goes on when it stops.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ExplainJobRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type CoordinatorFarm, type RunningCoordinator, startCoordinatorFarm, testPool } from "../../support/coordinator-farm.ts";
import { call, type Media, renderRequest, submit, uploadMedia } from "../../support/farm-calls.ts";
import { type KubeApi, namespace, startKubeApi } from "../../support/kube/api-server.ts";
import { type Controlled, controlReplicas } from "../../support/kube/replica-sets.ts";

const patience = { timeout: 30_000, interval: 50 };
let api: KubeApi;
let controlled: Controlled;
let farm: CoordinatorFarm;
let running: readonly RunningCoordinator[];
let media: Media;

beforeAll(async () => {
  api = await startKubeApi();
  api.objects.create("deployments", { name: "workers", spec: { replicas: 0 } });
  controlled = controlReplicas(api, [{ kind: "deployments", name: "workers", pool: testPool.name }]);
  farm = await startCoordinatorFarm();
  const pool = { name: testPool.name, object: "workers", max: 3, targetWaitMs: 1_000, loadMs: 1_000 };
  const environment = {
    VAPFARM_SCALING: JSON.stringify({ namespace, watchNodes: false, pools: [pool] }),
    VAPFARM_KUBE_API: api.address,
    VAPFARM_KUBE_ACCOUNT: api.accountFolder,
  };
  const timings = { scalingMs: 100, dutyHoldMs: 2_000 };
  running = [await farm.start({ environment, timings }), await farm.start({ environment, timings })];
  media = await uploadMedia(running[0]?.client ?? expect.fail());
});
afterAll(async () => {
  await farm.stop();
  controlled.stop();
  await api.stop();
});

const replicas = (): unknown => api.objects.get("deployments", "workers")?.spec["replicas"];
const client = (index: number) => running[index]?.client ?? expect.fail();

async function metric(index: number, name: string): Promise<string | undefined> {
  const text = await (await fetch(`http://${running[index]?.coordinator.httpAddress() ?? ""}/metrics`)).text();
  return text.split("\n").find((line) => line.startsWith(name));
}

it("asks the cluster for workers when there is work, tells how many, and goes on on another coordinator", async () => {
  const { jobId } = await submit(client(0), renderRequest(media, {}));
  await expect.poll(replicas, patience).toBe(3);
  const other = client(1);
  const { farm: view } = await call(other.getFarm.bind(other), {});
  expect(view?.pools.find(({ name }) => name === testPool.name)?.scaling).toMatchObject({ desired: 3, asked: 3 });
  const explained = await call(other.explainJob.bind(other), ExplainJobRequest.create({ jobId }));
  expect(explained.summary).toContain(`no worker of pool ${testPool.name} is live, 3 are asked for`);
  for (const index of [0, 1])
    await expect
      .poll(() => metric(index, "vapfarm_pool_workers_desired"), patience)
      .toBe(`vapfarm_pool_workers_desired{pool="${testPool.name}"} 3`);
  api.objects.change("deployments", "workers", ({ spec }) => void (spec["replicas"] = 1));
  await expect.poll(replicas, patience).toBe(3);
  await running[0]?.stop();
  api.objects.change("deployments", "workers", ({ spec }) => void (spec["replicas"] = 1));
  await expect.poll(replicas, patience).toBe(3);
  expect(await metric(1, `vapfarm_scale_changes_total{pool="${testPool.name}",direction="up"}`)).toMatch(/ [1-9]/);
});

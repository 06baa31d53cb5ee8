/**
 * What the chart tells the programs is what they read: every variable is one of theirs, every value one that they take.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import packageManifest from "../../../package.json" with { type: "json" };
import { type CoordinatorConfig, coordinatorSchema, readCoordinatorConfig } from "../../../services/coordinator/config.ts";
import { parseStoreAddress } from "../../../services/platform/artifacts/store-address.ts";
import { cpuProfile, installedOnnxruntimeVersion, runtimeProfile } from "../../../services/platform/profile.ts";
import { stopDeadlineMs } from "../../../services/worker/app.ts";
import { readWorkerConfig, runtimeEnvironment, type WorkerConfig, workerSettings } from "../../../services/worker/config.ts";
import { readRuntimeConfig, runtimeSettings } from "../../../services/worker/runtime/config.ts";
import { environmentOf } from "../../support/chart/environment.ts";
import { type Container, type KubeObject, ofKind, type Pod, podsOf, render, thePod } from "../../support/chart/objects.ts";
import { leastBut, valueSets } from "../../support/chart/value-sets.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

const ofAws = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
/** Read once workers load models before they are ready. */
const ofPreload = ["VAPFARM_PRELOAD"];
const coordinatorNames = new Set([...Object.keys(coordinatorSchema.shape), ...ofAws]);
const workerNames = new Set([...Object.keys(workerSettings.shape), ...Object.keys(runtimeSettings.shape), ...ofAws, ...ofPreload]);

const coordinatorOf = (objects: readonly KubeObject[]): Pod => thePod(objects, { "app.kubernetes.io/component": "coordinator" });
const workersOf = (objects: readonly KubeObject[]): readonly Pod[] =>
  podsOf(objects).filter(({ labels }) => labels["app.kubernetes.io/component"] === "worker");
const poolOf = ({ labels }: Pod): string => labels["vapfarm.io/pool"] ?? "";

/** One of the folders that the container may write to. */
function isWritable({ spec }: Pod, path: string): boolean {
  const mounts = spec.containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
  return mounts.some(({ mountPath, readOnly }) => mountPath === path && readOnly !== true);
}

function portOf({ spec }: Pod, name: string): number | undefined {
  return spec.containers.flatMap(({ ports = [] }: Container) => ports).find((port) => port.name === name)?.containerPort;
}

/** What a coordinator makes of its environment, and that its folders and ports are those of its pod. */
function readCoordinator(pod: Pod): CoordinatorConfig {
  const environment = environmentOf(pod, "coordinator");
  expect(Object.keys(environment).filter((name) => !coordinatorNames.has(name))).toEqual([]);
  const config = readCoordinatorConfig(environment);
  expect(config.VAPFARM_HTTP_ADDRESS).toBe(`0.0.0.0:${portOf(pod, "http") ?? ""}`);
  expect(config.VAPFARM_GRPC_ADDRESS).toBe(`0.0.0.0:${portOf(pod, "grpc") ?? ""}`);
  expect(["/tmp", config.VAPFARM_STATE_FOLDER].filter((path) => !isWritable(pod, path))).toEqual([]);
  expect(isWritable(pod, config.VAPFARM_MODELS)).toBe(false);
  const [, folder] = /^folder:(.*)$/.exec(config.VAPFARM_ARTIFACTS) ?? [];
  expect(folder === undefined || isWritable(pod, folder)).toBe(true);
  return config;
}

/** The same of a worker, and that it is one of the pool that the coordinator knows. */
function readWorker(pod: Pod, { VAPFARM_POOLS: pools, VAPFARM_FARM: farm, VAPFARM_ARTIFACTS: artifacts }: CoordinatorConfig): void {
  const environment = environmentOf(pod, "worker");
  expect(Object.keys(environment).filter((name) => !workerNames.has(name))).toEqual([]);
  const config = readWorkerConfig(environment);
  const pool = pools.find(({ name }) => name === config.pool);
  expect([config.farm, config.artifacts, pool?.profile]).toEqual([farm, artifacts, profileOf(config, environment)]);
  expect(pool?.models ?? []).toEqual(config.models ?? []);
  const others = pools.flatMap(({ models = [] }) => models);
  expect(config.exceptModels).toEqual(config.models === undefined ? others : []);
  expect(pool?.memoryBytes ?? config.memoryBytes).toBe(config.memoryBytes);
  expect(config.httpAddress).toBe(`0.0.0.0:${portOf(pod, "http") ?? ""}`);
  expect(["/tmp", "/dev/shm", config.folder].filter((path) => !isWritable(pod, path))).toEqual([]);
  expect(isWritable(pod, config.modelsFolder)).toBe(false);
  expect((pod.spec.terminationGracePeriodSeconds ?? 0) * 1_000).toBeGreaterThanOrEqual(stopDeadlineMs(config) + 10_000);
}

/** As the worker will form it, on nodes of the architecture that the pool says. */
function profileOf(config: WorkerConfig, environment: Readonly<Record<string, string>>): string {
  const { architecture, inference } = readRuntimeConfig(runtimeEnvironment(config, environment), "/none");
  const { providers, threads } = inference;
  const onnxruntimeVersion = installedOnnxruntimeVersion();
  const own = runtimeProfile({ providers, threads, onnxruntimeVersion, architecture });
  if (own !== cpuProfile({ threads, onnxruntimeVersion })) return own;
  const [name, version, , count] = own.split(";");
  return [name, version, "x86_64-avx2", count].join(";");
}

describe("the environment of the chart's pods", () => {
  it.each(valueSets)("is read by coordinator, agent and runtime, with $name", async ({ values, options }) => {
    const objects = await render(values, options);
    const config = readCoordinator(coordinatorOf(objects));
    const workers = workersOf(objects);
    expect(workers.map(poolOf).toSorted()).toEqual(config.VAPFARM_POOLS.map(({ name }) => name).toSorted());
    for (const pod of workers) readWorker(pod, config);
  });
});

describe("a coordinator", () => {
  it("is given longer to end than it takes by itself, after the pause before", async () => {
    const { spec } = coordinatorOf(await render(leastBut({})));
    const own = /const stopDeadlineMs = ([\d_]+);/.exec(readFileSync(join(projectRoot, "services/coordinator/main.ts"), "utf8"))?.[1];
    const [container] = spec.containers as readonly (Container & { lifecycle?: { preStop: { sleep: { seconds: number } } } })[];
    const pauseMs = (container?.lifecycle?.preStop.sleep.seconds ?? 0) * 1_000;
    expect(pauseMs).toBeGreaterThan(0);
    expect((spec.terminationGracePeriodSeconds ?? 0) * 1_000).toBeGreaterThanOrEqual(Number(own?.replaceAll("_", "")) + pauseMs + 5_000);
  });
});

describe("a worker", () => {
  it("leaves the memory of a CPU worker to its limit", async () => {
    const cpu = { providers: ["cpu"], architecture: "arm64-neon", device: { resource: "" }, memoryGiB: 0 };
    const limited = { ...cpu, resources: { limits: { memory: "3Gi" } } };
    const [pod] = workersOf(await render(leastBut({ pools: { gpu: limited } })));
    expect(pod === undefined ? "" : environmentOf(pod, "worker")["VAPFARM_MEMORY_BYTES"]).toBe(String(3 * 1024 ** 3));
  });

  it("asks for one device, beside what the pool says", async () => {
    const [pod] = workersOf(await render(leastBut({ pools: { gpu: { device: { resource: "nvidia.com/mig-1g.10gb" } } } })));
    expect(pod?.spec.containers[0]?.resources).toEqual({
      requests: { cpu: "2", memory: "16Gi" },
      limits: { memory: "32Gi", "nvidia.com/mig-1g.10gb": 1 },
    });
  });
});

describe("scaling", () => {
  it("leaves the size of a pool to the farm, and tells it which objects those are", async () => {
    const scaling = { enabled: true, min: 0, max: 7, targetWaitSeconds: 90 };
    const other = { architecture: "sm_80", memoryGiB: 40, models: ["m"], replicas: 3, modelRepository: { volume: { existingClaim: "c" } } };
    const objects = await render(leastBut({ pools: { gpu: { scaling }, other } }), { namespace: "studio" });
    const told = JSON.parse(environmentOf(coordinatorOf(objects), "coordinator")["VAPFARM_SCALING"] ?? "") as unknown;
    const object = "farm-vapfarm-worker-gpu";
    expect(told).toEqual({
      namespace: "studio",
      watchNodes: true,
      pools: [{ name: "gpu", kind: "Deployment", object, min: 0, max: 7, targetWaitMs: 90_000 }],
    });
    const replicas = ofKind(objects, "Deployment").map(({ metadata, spec }) => [metadata.name, spec?.["replicas"]]);
    expect(Object.fromEntries(replicas)).toEqual({ "farm-vapfarm-coordinator": 2, [object]: undefined, "farm-vapfarm-worker-other": 3 });
  });

  it("by others leaves out object and size: the farm tells the number, and may only look at pods", async () => {
    const scaling = { enabled: true, appliedBy: "other", min: 1, max: 9, probeSeconds: 60 };
    const objects = await render(leastBut({ scaling: { unknownTaskSeconds: 45 }, pools: { gpu: { scaling } } }), { namespace: "studio" });
    const coordinator = coordinatorOf(objects);
    expect(JSON.parse(environmentOf(coordinator, "coordinator")["VAPFARM_SCALING"] ?? "")).toEqual({
      namespace: "studio",
      watchNodes: true,
      unknownTaskMs: 45_000,
      pools: [{ name: "gpu", min: 1, max: 9, targetWaitMs: 300_000, probeMs: 60_000 }],
    });
    const workers = ofKind(objects, "Deployment").filter(({ metadata }) => metadata.name.includes("worker"));
    expect(workers.map(({ spec }) => "replicas" in (spec ?? {}))).toEqual([false]);
    expect(ofKind(objects, "Role").map(({ rules }) => rules)).toEqual([
      [{ apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] }],
    ]);
    expect(coordinator.spec.automountServiceAccountToken).toBe(true);
  });

  it("leaves nodes alone where it may not watch them", async () => {
    const objects = await render(leastBut({ scaling: { watchNodes: false }, pools: { gpu: { scaling: { enabled: true } } } }));
    const told = JSON.parse(environmentOf(coordinatorOf(objects), "coordinator")["VAPFARM_SCALING"] ?? "") as {
      readonly watchNodes: boolean;
    };
    expect([told.watchNodes, ofKind(objects, "ClusterRole").length, ofKind(objects, "Role").length]).toEqual([false, 0, 1]);
  });

  it("is not spoken of, and gets no rights, where nobody wants it", async () => {
    const objects = await render(leastBut({}));
    expect(environmentOf(coordinatorOf(objects), "coordinator")).not.toHaveProperty("VAPFARM_SCALING");
    expect([...ofKind(objects, "Role"), ...ofKind(objects, "RoleBinding")]).toEqual([]);
  });
});

describe("artifacts in JetStream", () => {
  const addressOf = async (jetstream: object): Promise<string> => {
    const objects = await render(leastBut({ artifacts: { kind: "jetstream", s3: { bucket: "" }, jetstream } }));
    return environmentOf(coordinatorOf(objects), "coordinator")["VAPFARM_ARTIFACTS"] ?? "";
  };

  it("have the copies and the bounds that values say, as the store reads them", async () => {
    expect(parseStoreAddress(await addressOf({ bucket: "farm", replicas: 3, maxGiB: 500, maxObjectMiB: 128 }))).toEqual({
      kind: "jetstream",
      bucket: "farm",
      replicas: 3,
      maxBytes: 500 * 1024 ** 3,
      maxObjectBytes: 128 * 1024 ** 2,
    });
    expect(await addressOf({})).toBe("jetstream:vapfarm");
  });
});

describe("the chart's versions", () => {
  const chart = readFileSync(join(projectRoot, "deploy/helm/vapfarm/Chart.yaml"), "utf8");
  const values = readFileSync(join(projectRoot, "deploy/helm/vapfarm/values.yaml"), "utf8");

  it("are those of the farm and of ONNX Runtime", () => {
    expect(/^appVersion: "(.*)"$/m.exec(chart)?.[1]).toBe(packageManifest.version);
    expect(/^ {2}onnxruntime: (.*)$/m.exec(values)?.[1]).toBe(installedOnnxruntimeVersion());
  });
});

describe("models", () => {
  const pulled = async (gpu: object): Promise<readonly (readonly string[])[]> => {
    const pull = { enabled: true, budgetGiB: 50 };
    const [pod] = workersOf(await render(leastBut({ pools: { gpu: { modelRepository: { pull }, ...gpu } } })));
    return (pod?.spec.initContainers ?? []).map(({ args = [] }) => args);
  };
  const first = ["models", "pull", "--to", "/models", "--budget", "50GiB"];

  it("that a pool names are there before its worker is, and then those in use", async () => {
    expect(await pulled({ models: ["cog", "wan"] })).toEqual([
      [...first, "cog", "wan"],
      [...first, "--pool", "gpu"],
    ]);
  });

  it("of a pool that names none are those in use", async () => {
    expect(await pulled({})).toEqual([[...first, "--pool", "gpu"]]);
  });
});

/**
 * The matrix: sets of values that must render, each with what it is about.
 */
import { join } from "node:path";
import { chartFolder } from "../helm.ts";
import type { RenderOptions, Values } from "./objects.ts";

export type ValueSet = { readonly name: string; readonly values: Values; readonly options?: RenderOptions };

const cpuPool = {
  providers: ["cpu"],
  architecture: "x86_64-avx2",
  device: { resource: "" },
  modelRepository: { volume: { existingClaim: "models" } },
};
const gpuPool = { architecture: "sm_90", memoryGiB: 80, modelRepository: { volume: { hostPath: "/srv/models" } } };

/** Servers of one's own and one pool: the least that a farm is. */
export const least: Values = {
  postgres: { existingSecret: { name: "database" } },
  nats: { url: "nats://nats.messaging:4222" },
  artifacts: { s3: { bucket: "artifacts" } },
  pools: { gpu: gpuPool },
};

/** `least`, with some of it replaced, field by field. */
export function leastBut(changes: Values): Values {
  return merged(least, changes);
}

function merged(values: Values, changes: Values): Values {
  const both = Object.entries(changes).map(([key, change]): readonly [string, unknown] => {
    const before = values[key];
    return [key, isMapping(before) && isMapping(change) ? merged(before, change) : change];
  });
  return { ...values, ...Object.fromEntries(both) };
}

function isMapping(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const monitoring = {
  serviceMonitor: { enabled: true, labels: { release: "prometheus" } },
  prometheusRule: { enabled: true },
  dashboards: { enabled: true, annotations: { grafana_folder: "Farm" } },
};
const byOthers = { enabled: true, appliedBy: "other", max: 8, probeSeconds: 7200 };
const tenMinutes = { enabled: true, min: 1, max: 8, targetWaitSeconds: 600 };

const databases: Values = {
  external: { existingSecret: { name: "database", key: "url" } },
  pooled: { existingSecret: { name: "database" }, port: 6432, directSecret: { name: "direct", port: 5432 } },
  evaluation: { existingSecret: { name: "" }, evaluation: { enabled: true } },
};
const brokers: Values = {
  address: { url: "nats://nats.messaging:4333" },
  secret: { url: "", existingSecret: { name: "nats" }, port: 4334 },
  evaluation: { url: "", evaluation: { enabled: true, storage: { sizeGiB: 3, storageClassName: "fast" } } },
};
const stores: Values = {
  s3: { s3: { bucket: "artifacts", prefix: "a/b", region: "eu-central-1", existingSecret: "keys" } },
  compatible: { s3: { bucket: "artifacts", endpoint: "https://s3.example:9000", pathStyle: true, existingSecret: "keys" } },
  evaluation: { s3: { bucket: "" }, evaluation: { enabled: true } },
  jetstream: { kind: "jetstream", s3: { bucket: "" }, jetstream: { bucket: "farm", maxGiB: 200, maxObjectMiB: 128 } },
  folder: { kind: "folder", s3: { bucket: "" }, folder: { storageClassName: "nfs" } },
  claim: { kind: "folder", s3: { bucket: "" }, folder: { existingClaim: "shared" } },
};

/** Every database with every broker and every store of artifacts; every other one with scaling and monitoring. */
const crossed: readonly ValueSet[] = Object.entries(databases).flatMap(([database, postgres], one) =>
  Object.entries(brokers).flatMap(([broker, nats], two) =>
    Object.entries(stores).map(([store, artifacts], three): ValueSet => {
      const isMore = (one + two + three) % 2 === 1;
      const more = isMore ? { monitoring, pools: { gpu: { scaling: tenMinutes } } } : {};
      return {
        name: `${database} Postgres, ${broker} NATS, ${store} artifacts${isMore ? ", scaling and monitoring" : ""}`,
        values: leastBut({ postgres, nats, artifacts, ...more }),
      };
    }),
  ),
);

const scheduling = {
  priorityClassName: "high",
  nodeSelector: { disk: "fast" },
  tolerations: [{ key: "gpu", operator: "Exists", effect: "NoSchedule" }],
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [] }] } } },
  podLabels: { team: "render" },
  podAnnotations: { "example.com/note": "a note" },
};

const pools: readonly ValueSet[] = [
  { name: "a pool of CPUs", values: { ...least, pools: { cpu: cpuPool } } },
  { name: "a pool that another scales", values: leastBut({ pools: { gpu: { scaling: byOthers } } }) },
  {
    name: "a pool that another scales beside one that the farm scales",
    values: leastBut({ pools: { gpu: { models: ["cog"], scaling: byOthers }, other: { ...gpuPool, scaling: tenMinutes } } }),
  },
  {
    name: "pools that name models beside one that takes the rest",
    values: leastBut({ pools: { gpu: { models: ["cog"] }, slices: { ...gpuPool, models: ["wan", "draft"] }, rest: cpuPool } }),
  },
  {
    name: "MIG slices with models from an image",
    values: leastBut({
      pools: {
        gpu: {
          device: { resource: "nvidia.com/mig-1g.10gb" },
          memoryGiB: 10,
          modelRepository: { volume: { hostPath: "", image: { reference: "registry.example/models@sha256:0", pullPolicy: "Always" } } },
        },
      },
    }),
  },
  {
    name: "models pulled onto the node, with a token, and onto nothing that stays",
    values: leastBut({
      pools: {
        gpu: {
          models: ["cog"],
          preload: "all",
          modelRepository: {
            pull: { enabled: true, references: ["cog@prod", "cog:0123456789ab"], budgetGiB: 300, tokenSecret: { name: "reader" } },
          },
        },
        cpu: { ...cpuPool, modelRepository: { volume: { emptyDirGiB: 3 }, pull: { enabled: true, references: ["wan"] } } },
      },
    }),
  },
  {
    name: "pools that differ in every way from what pools are by default",
    values: leastBut({
      poolDefaults: { ...scheduling, settings: { VAPFARM_STALL_MS: "60000" }, scaling: tenMinutes, leaveAtOnce: true },
      pools: {
        gpu: {
          replicas: 0,
          scaling: { enabled: false },
          image: { repository: "registry.example/other", digest: `sha256:${"0".repeat(64)}` },
          runtimeClassName: "nvidia",
          workFolder: { storageClassName: "nvme" },
          cacheGiB: 0,
          sharedMemory: "8Gi",
          drainSeconds: 900,
          disruptionBudget: { maxUnavailable: null },
          maxSurge: 1,
          maxUnavailable: 0,
          tolerations: [],
        },
        other: { ...gpuPool, models: ["cog"] },
      },
    }),
  },
];

const rest: readonly ValueSet[] = [
  { name: "ci/evaluation.yaml", values: {}, options: { files: [join(chartFolder, "ci/evaluation.yaml")] } },
  { name: "ci/production.yaml", values: {}, options: { files: [join(chartFolder, "ci/production.yaml")] } },
  { name: "the least", values: least },
  {
    name: "everything that watches",
    values: leastBut({ monitoring, tracing: { endpoint: "http://collector.tracing:4318", share: 0.25 } }),
  },
  { name: "no network policies and no migration", values: leastBut({ networkPolicy: { enabled: false }, migration: { enabled: false } }) },
  {
    name: "network policies without a Prometheus and without the public internet",
    values: leastBut({ networkPolicy: { prometheus: [], publicHttps: false, coordinatorEgress: [{ ports: [{ port: 8443 }] }] } }),
  },
  {
    name: "names as long as Helm allows them",
    values: leastBut({
      postgres: databases["evaluation"],
      nats: brokers["evaluation"],
      artifacts: stores["evaluation"],
      monitoring,
      pools: {
        ["p".repeat(32)]: { ...gpuPool, models: ["a"], scaling: tenMinutes },
        [`${"p".repeat(31)}q`]: { ...gpuPool, models: ["b"] },
      },
    }),
    options: { release: "r".repeat(53), namespace: "n".repeat(63) },
  },
  {
    name: "a farm that others reach",
    values: leastBut({
      coordinator: {
        ...scheduling,
        replicas: 5,
        publicUrl: "https://farm.example",
        callers: { existingSecret: "callers" },
        service: { type: "LoadBalancer", annotations: { "example.com/internal": "true" } },
        ingress: { http: { enabled: true, host: "farm.example", tlsSecret: "tls" }, grpc: { enabled: true, host: "grpc.farm.example" } },
        settings: { VAPFARM_LEASE_MS: "20000" },
        modelRepository: { volume: { existingClaim: "models" } },
        topologySpread: [],
      },
      networkPolicy: { clients: [{ ipBlock: { cidr: "0.0.0.0/0" } }] },
      imagePullSecrets: [{ name: "registry" }],
      user: { runAsUser: 20000, runAsGroup: 20000, fsGroup: 20000 },
      migration: { ...{ priorityClassName: "high" }, ttlSecondsAfterFinished: 600 },
    }),
  },
];

/** All of them. */
export const valueSets: readonly ValueSet[] = [...rest, ...pools, ...crossed];

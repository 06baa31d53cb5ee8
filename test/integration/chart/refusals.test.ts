/**
 * Values that make no sense are refused in words: the place, what is wrong, and where it helps, what to do.
 */
import { describe, expect, it } from "vitest";
import { template, type Values } from "../../support/chart/objects.ts";
import { least, leastBut } from "../../support/chart/value-sets.ts";

const gpu = (changes: Values): Values => leastBut({ pools: { gpu: changes } });
const coordinator = (changes: Values): Values => leastBut({ coordinator: changes });
const repository = (changes: Values): Values => gpu({ modelRepository: changes });
const noServers = { ...least, postgres: {}, nats: {}, artifacts: {}, pools: {} };
const other = { architecture: "sm_90", memoryGiB: 80, modelRepository: { volume: { hostPath: "/srv/models" } } };

const together: readonly (readonly [string, Values, string])[] = [
  ["no database", noServers, "postgres: no database; name a Secret with its address in postgres.existingSecret.name"],
  ["no broker", noServers, "nats: no server; give its address in nats.url"],
  ["no bucket", noServers, "artifacts.s3.bucket: no bucket; name one, or try the farm with artifacts.evaluation.enabled=true"],
  [
    "an engine that is loaded ahead of a model that the pool has not",
    gpu({ models: ["cog"], preload: "cog/denoise,wan@prod/denoise" }),
    "pools.gpu.preload: loads wan, but pools.gpu.models are cog",
  ],
  ["no pool", noServers, "pools: no pool, so nothing would be rendered"],
  [
    "two databases",
    leastBut({ postgres: { evaluation: { enabled: true } } }),
    "both postgres.existingSecret and postgres.evaluation are set",
  ],
  [
    "a way around a pooler that is not there",
    leastBut({ postgres: { existingSecret: { name: "" }, directSecret: { name: "d" }, evaluation: { enabled: true } } }),
    "postgres.directSecret: the evaluation Postgres has no pooler",
  ],
  [
    "two brokers",
    leastBut({ nats: { existingSecret: { name: "nats" } } }),
    "nats: more than one of nats.url, nats.existingSecret and nats.evaluation",
  ],
  ["a password in plain sight", leastBut({ nats: { url: "nats://farm:secret@nats:4222" } }), "nats.url: holds credentials"],
  [
    "S3 for evaluation beside one's own",
    leastBut({ artifacts: { evaluation: { enabled: true }, s3: { endpoint: "http://s3:9000" } } }),
    "both artifacts.s3",
  ],
  [
    "S3 for evaluation that nobody uses",
    leastBut({ artifacts: { kind: "jetstream", s3: { bucket: "" }, evaluation: { enabled: true } } }),
    "artifacts.kind is jetstream",
  ],
  [
    "a bucket beside a folder",
    leastBut({ artifacts: { kind: "folder" } }),
    "artifacts.s3 is set, but artifacts.kind is folder; there is one store",
  ],
  [
    "limits of a JetStream bucket beside S3",
    leastBut({ artifacts: { jetstream: { maxGiB: 5 } } }),
    "artifacts.jetstream is set, but artifacts.kind is s3; there is one store",
  ],
  [
    "three copies on one server",
    leastBut({
      nats: { url: "", evaluation: { enabled: true } },
      artifacts: { kind: "jetstream", s3: { bucket: "" }, jetstream: { replicas: 3 } },
    }),
    "artifacts.jetstream.replicas: 3, but nats.evaluation is one server",
  ],
  [
    "a claim beside a bucket",
    leastBut({ artifacts: { folder: { existingClaim: "shared" } } }),
    "artifacts.folder.existingClaim is set, but artifacts.kind is s3",
  ],
  [
    "a model of two pools",
    leastBut({ pools: { gpu: { models: ["cog"] }, other: { ...other, models: ["cog"] } } }),
    "pools.other.models: names cog, which pools.gpu names too; a model is rendered by one pool",
  ],
  [
    "the rest for two pools",
    leastBut({ pools: { other } }),
    "pools: gpu, other name no models, but only one pool may take the models that are left",
  ],
  [
    "a pool's name that is none",
    leastBut({ pools: { GPU_a: { ...other, models: ["m"] } } }),
    "pools.GPU_a: a pool's name is part of its pods' names",
  ],
  [
    "a GPU that nobody uses",
    gpu({ providers: ["cpu"], architecture: "x86_64-avx2" }),
    "pools.gpu.device.resource: nvidia.com/gpu would be held and not used",
  ],
  ["a provider without a device", gpu({ device: { resource: "" } }), "pools.gpu.device.resource: no device, but providers are cuda"],
  [
    "no architecture",
    gpu({ architecture: "" }),
    'pools.gpu.architecture: "" is no architecture of a device; say the devices\', for example sm_90',
  ],
  ["an instruction set for a GPU", gpu({ architecture: "x86_64-avx2" }), '"x86_64-avx2" is no architecture of a device'],
  ["a GPU's architecture for a CPU", gpu({ providers: ["cpu"], device: { resource: "" } }), '"sm_90" is no instruction set'],
  ["a GPU without memory", gpu({ memoryGiB: 0 }), "pools.gpu.memoryGiB: missing; say how much memory the device has"],
  [
    "a CPU pool without a bound",
    gpu({
      providers: ["cpu"],
      architecture: "arm64-neon",
      device: { resource: "" },
      memoryGiB: 0,
      resources: { limits: { memory: null } },
    }),
    "pools.gpu.resources.limits.memory: missing",
  ],
  [
    "two GPUs for one worker",
    gpu({ resources: { limits: { "nvidia.com/gpu": 2 } } }),
    "pools.gpu.resources.limits: names nvidia.com/gpu, of which a worker always gets one",
  ],
  ["a rollout that cannot go on", gpu({ maxUnavailable: 0 }), "pools.gpu: maxSurge and maxUnavailable are both 0"],
  ["no models", repository({ volume: { hostPath: "" } }), "pools.gpu.modelRepository.volume: no models; give hostPath"],
  [
    "models from two places",
    repository({ volume: { existingClaim: "models" } }),
    "hostPath and existingClaim are set; models come from one place",
  ],
  [
    "pulling into an image",
    repository({ volume: { hostPath: "", image: { reference: "m:1" } }, pull: { enabled: true, references: ["m"] } }),
    "pools.gpu.modelRepository.pull: an image is read-only",
  ],
  [
    "a folder that nobody fills",
    repository({ volume: { hostPath: "", emptyDirGiB: 5 } }),
    "emptyDirGiB: the folder begins empty and nothing fills it",
  ],
  [
    "something to pull, and no pull",
    repository({ pull: { references: ["m"] } }),
    "pull.references: nothing is pulled while pull.enabled is false",
  ],
  [
    "models that may fill a node's disk",
    repository({ pull: { enabled: true, references: ["m"] } }),
    "pools.gpu.modelRepository.pull.budgetGiB: missing; without one no version is ever evicted",
  ],
  [
    "more models than there is room for",
    repository({ volume: { hostPath: "", emptyDirGiB: 5 }, pull: { enabled: true, budgetGiB: 6 } }),
    "pull.budgetGiB: 6 is more than the folder's 5",
  ],
  [
    "an alert that there is not",
    leastBut({ monitoring: { prometheusRule: { disabled: ["VapfarmGpuHot", "VapfarmGpuCold"] } } }),
    'monitoring.prometheusRule.disabled: "VapfarmGpuCold" is none of the chart\'s alerts; rules/ has their names',
  ],
  ["less at most than at least", gpu({ scaling: { enabled: true, min: 5, max: 4 } }), "pools.gpu.scaling: min 5 is above max 4"],
  ["a pool that is never there", gpu({ scaling: { enabled: true, max: 0 } }), "pools.gpu.scaling.max: 0, so the pool could never render"],
  [
    "an Ingress for everybody",
    coordinator({ ingress: { grpc: { enabled: true, host: "a.b" } } }),
    "ingress.grpc: without coordinator.callers.existingSecret everybody",
  ],
  [
    "an Ingress without a host",
    coordinator({ callers: { existingSecret: "c" }, ingress: { grpc: { enabled: true } } }),
    "coordinator.ingress.grpc.host: missing",
  ],
  [
    "pages without an address",
    coordinator({ callers: { existingSecret: "c" }, ingress: { http: { enabled: true, host: "a.b" } } }),
    "coordinator.publicUrl: missing; signed addresses begin with it",
  ],
  [
    "an Ingress whose controller is turned away",
    coordinator({ callers: { existingSecret: "c" }, ingress: { grpc: { enabled: true, host: "a.b" } } }),
    "networkPolicy.clients: names nobody, so what comes from outside this namespace",
  ],
  ["a public address for everybody", coordinator({ service: { type: "LoadBalancer" } }), "coordinator.service.type: LoadBalancer without"],
  [
    "models of the coordinator from two places",
    coordinator({ modelRepository: { volume: { hostPath: "/a", existingClaim: "b" } } }),
    "coordinator.modelRepository.volume: more than one",
  ],
  [
    "a label of the chart's own",
    gpu({ podLabels: { "vapfarm.io/pool": "x" } }),
    "pools.gpu.podLabels: vapfarm.io/pool belongs to the chart",
  ],
];

const each: readonly (readonly [string, Values, string])[] = [
  ["one coordinator", coordinator({ replicas: 1 }), "at '/coordinator/replicas': minimum: got 1, want 2"],
  ["a name with a slip", coordinator({ replica: 3 }), "at '/coordinator': additional properties 'replica' not allowed"],
  ["a part that there is not", leastBut({ coordinators: {} }), "at '': additional properties 'coordinators' not allowed"],
  ["a pool's field with a slip", gpu({ memoryGb: 80 }), "at '/pools/gpu': additional properties 'memoryGb' not allowed"],
  ["a setting with a slip", coordinator({ settings: { VAPFARM_LEAS_MS: "1" } }), "additional properties 'VAPFARM_LEAS_MS' not allowed"],
  [
    "a setting that the chart sets",
    gpu({ settings: { VAPFARM_DRAIN_MS: "1" } }),
    "at '/pools/gpu/settings': additional properties 'VAPFARM_DRAIN_MS'",
  ],
  [
    "a setting that is a number",
    coordinator({ settings: { VAPFARM_LEASE_MS: 15000 } }),
    "at '/coordinator/settings/VAPFARM_LEASE_MS': got number, want string",
  ],
  ["half a pod", gpu({ replicas: 1.5 }), "at '/pools/gpu/replicas': got number, want integer"],
  ["less than nothing", gpu({ replicas: -1 }), "at '/pools/gpu/replicas': minimum: got -1, want 0"],
  ["a text for a switch", leastBut({ networkPolicy: { enabled: "yes" } }), "at '/networkPolicy/enabled': got string, want boolean"],
  [
    "a store that there is not",
    leastBut({ artifacts: { kind: "ftp" } }),
    "at '/artifacts/kind': value must be one of 's3', 'jetstream', 'folder'",
  ],
  ["a digest that is none", leastBut({ image: { digest: "sha256:12" } }), "at '/image/digest': 'sha256:12' does not match pattern"],
  ["root", leastBut({ user: { runAsUser: 0 } }), "at '/user/runAsUser': minimum: got 0, want 1"],
  ["a whole node as models", repository({ volume: { hostPath: "/" } }), "hostPath': '/' does not match pattern"],
  ["a device of no vendor", gpu({ device: { resource: "gpu" } }), "at '/pools/gpu/device/resource': 'gpu' does not match pattern"],
  ["a share above the whole", leastBut({ tracing: { share: 2 } }), "at '/tracing/share': maximum: got 2, want 1"],
  ["a budget that lets no node go", gpu({ disruptionBudget: { maxUnavailable: 0 } }), "at '/pools/gpu/disruptionBudget/maxUnavailable'"],
  ["nobody who resolves names", leastBut({ networkPolicy: { dns: [] } }), "at '/networkPolicy/dns': minItems: got 0, want 1"],
  [
    "a peer with a slip",
    leastBut({ networkPolicy: { clients: [{ podSelektor: {} }] } }),
    "additional properties 'podSelektor' not allowed",
  ],
  ["a part that is taken away", leastBut({ migration: null }), "at '': missing property 'migration'"],
];

describe("the chart refuses", () => {
  it.each(together)("%s", async (_what, values, words) => {
    const { code, stdout, stderr } = await template(values);
    expect(stderr).toContain("These values make no sense together:");
    expect(stderr).toContain(words);
    expect([code, stdout]).toEqual([1, ""]);
  });

  it.each(each)("%s by the schema", async (_what, values, words) => {
    const { code, stdout, stderr } = await template(values);
    expect(stderr).toContain(words);
    expect([code, stdout]).toEqual([1, ""]);
  });

  it("everything at once, each on a line of its own", async () => {
    const { stderr } = await template(noServers);
    expect(stderr.split("\n").filter((line) => line.startsWith("- "))).toHaveLength(4);
  });
});

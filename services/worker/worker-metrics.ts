/**
 * What a worker tells of itself beside its attempts: what it is, whether it can work, its memory, its cache, its calls.
 */
import { totalmem } from "node:os";
import { scoreStage, stageOfEngine } from "../domain/stage.ts";
import { metricNeeds } from "../domain/vbench/metric.ts";
import { createArtifactMetrics, type ObserveArtifact } from "../platform/artifacts/measured-store.ts";
import { type Metrics, seriesOf, startAtZero } from "../platform/metrics.ts";
import { registerBuild, registerConnection } from "../platform/process-metrics.ts";
import { computableMetrics } from "../platform/models/metrics-manifest.ts";
import { type HeldManifest, isMetrics } from "../platform/models/repository.ts";
import type { ServedModel } from "./session/agent-metrics.ts";
import type { DescribedWorker } from "./identity.ts";
import type { EndedRequest } from "./session/observed-link.ts";
import { readMemory } from "./supervise/process-table.ts";
import type { EndedStageCall } from "./supervise/runtime-client.ts";
import type { CacheObserver } from "./transfer/artifact-cache.ts";

export type WorkerMetricsOptions = {
  readonly version: string;
  /** What its tasks may use; the machine's when undefined. */
  readonly memoryBytes: number | undefined;
  /** Resolves while it can take work. */
  readonly ready: () => Promise<void>;
  /** The stage runtime's process, while there is one. */
  readonly runtimeProcessId: () => number | undefined;
};

export type WorkerMetrics = {
  readonly onArtifact: ObserveArtifact;
  readonly cache: CacheObserver;
  readonly onConnected: ReturnType<typeof registerConnection>;
  readonly onRequest: (request: EndedRequest) => void;
  readonly onStageCall: (call: EndedStageCall) => void;
  readonly onRuntimeRestart: () => void;
  /** It can work, so long after its start. */
  readonly onStarted: (worker: DescribedWorker, seconds: number) => void;
};

const requestBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5];
const stageCallBuckets = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1_800];

/** Registers them. */
export function createWorkerMetrics(metrics: Metrics, options: WorkerMetricsOptions): WorkerMetrics {
  registerBuild(metrics, { component: "worker", version: options.version });
  registerReady(metrics, options.ready);
  registerMemory(metrics, options);
  const info = metrics.gauge("vapfarm_worker_info", "1; what this worker is", ["worker", "provider", "device", "version"]);
  const startup = metrics.gauge("vapfarm_worker_startup_seconds", "From the agent's start until it could work; 0 before");
  const restarts = metrics.counter("vapfarm_worker_runtime_restarts_total", "Stage runtimes started after another one ended");
  startAtZero(restarts);
  return {
    onArtifact: createArtifactMetrics(metrics),
    cache: createCacheMetrics(metrics),
    onConnected: registerConnection(metrics),
    ...createCallMetrics(metrics),
    onRuntimeRestart: () => restarts.inc(),
    onStarted({ name, provider, device, softwareVersion }, seconds) {
      info.set({ worker: name, provider, device, version: softwareVersion }, 1);
      startup.set(seconds);
    },
  };
}

/** The stages that a model's engines compute; of networks, the scores that read some. */
export function servedModel(manifest: HeldManifest): ServedModel {
  const { name } = manifest;
  if (isMetrics(manifest)) {
    const read = computableMetrics(manifest).filter((metric) => metricNeeds[metric].engines.length > 0);
    return { name, stages: read.map(scoreStage) };
  }
  const stages = Object.entries(stageOfEngine).flatMap(([engine, stage]) => (manifest.engines[engine] === undefined ? [] : [stage]));
  return { name, stages: [...new Set(stages)] };
}

function createCallMetrics(metrics: Metrics): Pick<WorkerMetrics, "onRequest" | "onStageCall"> {
  const requests = metrics.histogram({
    name: "vapfarm_worker_request_seconds",
    help: "Seconds of requests to the coordinator, by subject and how they ended",
    labels: ["subject", "code"],
    buckets: requestBuckets,
  });
  const calls = metrics.histogram({
    name: "vapfarm_stage_rpc_seconds",
    help: "Seconds of calls to the stage runtime, by method and how they ended",
    labels: ["method", "code"],
    buckets: stageCallBuckets,
  });
  startAtZero(requests, seriesOf("subject", ["next", "beat", "report"], [{ code: "OK" }]));
  startAtZero(calls, seriesOf("method", ["DescribeRuntime", "RunStage", "StopRun"], [{ code: "OK" }]));
  return {
    onRequest: ({ subject, code, seconds }) => requests.observe({ subject, code }, seconds),
    onStageCall: ({ method, code, seconds }) => calls.observe({ method, code }, seconds),
  };
}

function createCacheMetrics(metrics: Metrics): CacheObserver {
  const taken = metrics.counter("vapfarm_worker_cache_total", "Inputs that lay on this machine (hit) or had to be fetched (miss)", [
    "result",
  ]);
  const held = metrics.gauge("vapfarm_worker_cache_bytes", "Bytes of artifacts that lie in the cache");
  startAtZero(taken, seriesOf("result", ["hit", "miss"]));
  return { onTake: (isHit) => taken.inc({ result: isHit ? "hit" : "miss" }), onHeld: (bytes) => held.set(bytes) };
}

function registerReady(metrics: Metrics, ready: () => Promise<void>): void {
  metrics.sampledGauge({
    name: "vapfarm_worker_ready",
    help: "1 while the worker can take work",
    async sample(gauge) {
      const isReady = await ready().then(
        () => true,
        () => false,
      );
      gauge.set(isReady ? 1 : 0);
    },
  });
}

function registerMemory(metrics: Metrics, { memoryBytes, runtimeProcessId }: WorkerMetricsOptions): void {
  metrics.sampledGauge({
    name: "vapfarm_worker_memory_bytes",
    help: "Host memory: what tasks may use, what agent and runtime hold, the most that this runtime held",
    labels: ["kind"],
    async sample(gauge) {
      const processId = runtimeProcessId();
      const runtime = processId === undefined ? undefined : await readMemory(processId);
      gauge.reset();
      gauge.set({ kind: "limit" }, memoryBytes ?? totalmem());
      gauge.set({ kind: "agent_resident" }, process.memoryUsage.rss());
      if (runtime === undefined) return;
      gauge.set({ kind: "runtime_resident" }, runtime.residentBytes);
      gauge.set({ kind: "runtime_peak" }, runtime.peakBytes);
    },
  });
}

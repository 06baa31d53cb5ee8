/**
 * The real agent with everything around it faked: a clock that the test moves, a link in memory, a runtime and a transfer that the test
 * holds in its hands.
 */
import { FarmError } from "../../services/domain/errors.ts";
import {
  type ProducedArtifact,
  WorkerDescription,
  type WorkerSignal,
  WorkerSignal as Signal,
} from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { type RunStageRequest, StageProgress, StageResult } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { createMetrics, type Metrics } from "../../services/platform/metrics.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { type Agent, createAgent } from "../../services/worker/session/agent.ts";
import { createAgentMetrics } from "../../services/worker/session/agent-metrics.ts";
import type { AgentLink, SupervisedRuntime } from "../../services/worker/session/agent-ports.ts";
import type { RunOptions, TransferPort } from "../../services/worker/session/attempt-ports.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { ScriptedCoordinator } from "./scripted-coordinator.ts";

/** One run in the faked runtime. */
export type FakeRun = {
  readonly request: RunStageRequest;
  progress(message: Partial<StageProgress>): void;
  succeed(): void;
  fail(error: FarmError): void;
  readonly isCancelled: () => boolean;
};

type FakeRuntime = SupervisedRuntime & { readonly runs: FakeRun[]; readonly kills: string[]; setReady(ready: boolean): void };

function createFakeRuntime(): FakeRuntime {
  const runs: FakeRun[] = [];
  const kills: string[] = [];
  const listeners = new Set<() => void>();
  let ready = true;
  return {
    runs,
    kills,
    run(request: RunStageRequest, { signal, onProgress }: RunOptions) {
      const settled = Promise.withResolvers<StageResult>();
      signal.addEventListener("abort", () => settled.reject(new FarmError("STAGE_CANCELLED")));
      runs.push({
        request,
        progress: (message) => onProgress(StageProgress.create({ phase: "denoise", ...message })),
        succeed: () => settled.resolve(StageResult.create({ computeMs: 40, deviceMs: 42, provider: "cpu", profile: "p" })),
        fail: (error) => settled.reject(error),
        isCancelled: () => signal.aborted,
      });
      return settled.promise;
    },
    kill(reason) {
      kills.push(reason);
      runs.at(-1)?.fail(new FarmError("RUNTIME_DIED"));
    },
    isReady: () => ready,
    setReady(now) {
      ready = now;
      for (const listener of listeners) listener();
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    restarts: () => 0,
  };
}

type FakeTransfer = TransferPort & {
  readonly puts: string[];
  /** When set, `put` waits for it. */
  putGate: Promise<void> | undefined;
  fetchFailure: FarmError | undefined;
};

const produced: ProducedArtifact = { name: "embeds", sha256: "ab".repeat(32), sizeBytes: 3n, mediaType: "text/plain" };

function createFakeTransfer(): FakeTransfer {
  const transfer: FakeTransfer = {
    puts: [],
    putGate: undefined,
    fetchFailure: undefined,
    open: () =>
      Promise.resolve({
        outputFolder: "/nowhere",
        fetch: () => (transfer.fetchFailure === undefined ? Promise.resolve([]) : Promise.reject(transfer.fetchFailure)),
        hash: () => Promise.resolve([{ artifact: produced, path: "/nowhere/embeds" }]),
        async put(files) {
          await transfer.putGate;
          transfer.puts.push(...files.map(({ artifact }) => artifact.sha256));
        },
        close: () => Promise.resolve(),
      }),
  };
  return transfer;
}

export type FakeAgent = {
  readonly agent: Agent;
  readonly clock: ManualClock;
  readonly coordinator: ScriptedCoordinator;
  readonly runtime: FakeRuntime;
  readonly transfer: FakeTransfer;
  readonly metrics: Metrics;
  readonly published: { readonly subject: string; readonly payload: Uint8Array }[];
  push(kind: WorkerSignal["kind"]): void;
  setConnected(connected: boolean): void;
};

/** Builds it; the test starts it. */
export function createFakeAgent(): FakeAgent {
  const clock = createManualClock();
  const coordinator = new ScriptedCoordinator();
  const runtime = createFakeRuntime();
  const transfer = createFakeTransfer();
  const metrics = createMetrics();
  const published: { readonly subject: string; readonly payload: Uint8Array }[] = [];
  const subscribers = new Set<(payload: Uint8Array) => void>();
  let connected = true;
  const link: AgentLink = {
    isConnected: () => connected,
    publish: (subject, payload) => void published.push({ subject, payload }),
    flush: () => Promise.resolve(),
    subscribe(_subject, onMessage) {
      subscribers.add(onMessage);
      return () => subscribers.delete(onMessage);
    },
    request: (subject, payload, timeoutMs) =>
      new Promise((resolve, reject) => {
        const kind = subject.endsWith(".next") ? "next" : subject.endsWith(".beat") ? "beat" : "report";
        const answered = connected ? coordinator.answer(kind, payload) : undefined;
        if (answered?.fate === "deliver") resolve(answered.reply);
        else clock.after(timeoutMs, () => reject(new FarmError("DEADLINE_PASSED")));
      }),
  };
  const agent = createAgent({
    clock,
    link,
    logger: createLogger({ name: "test", level: "silent" }),
    draw: () => 0.5,
    subjects: subjectsOf("test"),
    pool: "p",
    workerId: "w",
    firstLife: 5n,
    workerName: "worker",
    timings: {
      beatMs: 3_000,
      requestMs: 5_000,
      pollMs: 10_000,
      outageLimitMs: 600_000,
      drainMs: 30_000,
      settleMs: 10_000,
      farewellMs: 6_000,
      progressMs: 250,
      retry: { firstMs: 100, mostMs: 1_000 },
    },
    metrics: createAgentMetrics(metrics),
    runtime,
    attempt: {
      transfer,
      modelFolder: () => "/models/demo",
      limits: { stallMs: 30_000, loadMs: 600_000, unknownStepMs: 600_000, fetchMs: 600_000, uploadMs: 600_000, cancelGraceMs: 5_000 },
    },
    worker: () => WorkerDescription.create({ workerId: "w", name: "worker", pool: "p", profile: "p" }),
  });
  return {
    agent,
    clock,
    coordinator,
    runtime,
    transfer,
    metrics,
    published,
    push: (kind) => subscribers.forEach((subscriber) => subscriber(Signal.encode({ kind }).finish())),
    setConnected(now) {
      connected = now;
    },
  };
}

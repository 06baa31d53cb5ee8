/**
 * The real agent with everything around it faked: a clock that the test moves, a link in memory, a runtime and a transfer that the test
 * holds in its hands.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../services/domain/errors.ts";
import {
  type ProducedArtifact,
  WorkerDescription,
  type WorkerSignal,
  WorkerSignal as Signal,
} from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import { type RunStageRequest, StageProgress, StageResult } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { noJournal } from "../../services/platform/journal.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { createMetrics, type Metrics } from "../../services/platform/metrics.ts";
import { noTracer } from "../../services/platform/tracing/tracer.ts";
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
  /** It has the device, or had it. */
  hasStarted: boolean;
  progress(message: Partial<StageProgress>): void;
  /** Lets go of the device; its outputs are still being written. */
  compute(): void;
  /** Computes, and has its outputs written. */
  succeed(): void;
  fail(error: FarmError): void;
  /** Tells a checkpoint of that step, written to `/nowhere/checkpoint-{step}`, or why it could not be written. */
  checkpoint(step: number, failure?: string): void;
  /** Called when it is asked to end at its next step; fails as cancelled unless the test says otherwise. */
  onLeave: () => void;
  readonly isCancelled: () => boolean;
};

type FakeRuntime = SupervisedRuntime & { readonly runs: FakeRun[]; readonly kills: string[]; setReady(ready: boolean): void };

/** As the real one: a run starts when those before it have computed, however that ended. */
function createFakeRuntime(): FakeRuntime {
  const runs: FakeRun[] = [];
  const kills: string[] = [];
  const listeners = new Set<() => void>();
  /** What is to compute, the one that computes first. */
  const line: { readonly start: () => void; readonly fail: (error: FarmError) => void }[] = [];
  let ready = true;
  return {
    runs,
    kills,
    run(request: RunStageRequest, { signal, leave, ...told }: RunOptions) {
      const settled = Promise.withResolvers<StageResult>();
      const place = {
        start: () => {
          run.hasStarted = true;
          told.onStarted(0);
        },
        fail: (error: FarmError) => settled.reject(error),
      };
      const leaveDevice = (): void => {
        const isFirst = line[0] === place;
        if (line.includes(place)) line.splice(line.indexOf(place), 1);
        if (isFirst) line[0]?.start();
      };
      signal.addEventListener("abort", () => {
        if (!run.hasStarted) leaveDevice();
        settled.reject(new FarmError("STAGE_CANCELLED"));
      });
      leave.addEventListener("abort", () => run.onLeave());
      settled.promise.then(leaveDevice, leaveDevice);
      const run: FakeRun = {
        request,
        hasStarted: false,
        checkpoint: (step, failure = "") =>
          told.onCheckpoint({ path: `/nowhere/checkpoint-${step}`, step, sizeBytes: 3n, tookMs: 2_000, failure }),
        onLeave: () => settled.reject(new FarmError("STAGE_CANCELLED")),
        progress: (message) => told.onProgress(StageProgress.create({ phase: "denoise", ...message })),
        compute() {
          told.onComputed();
          leaveDevice();
        },
        succeed() {
          run.compute();
          settled.resolve(StageResult.create({ computeMs: 40, deviceMs: 42, provider: "cpu", profile: "p" }));
        },
        fail: (error) => settled.reject(error),
        isCancelled: () => signal.aborted || leave.aborted,
      };
      runs.push(run);
      line.push(place);
      if (line[0] === place) place.start();
      return settled.promise;
    },
    kill(reason) {
      kills.push(reason);
      for (const place of line.splice(0)) place.fail(new FarmError("RUNTIME_DIED"));
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
  /** Paths of checkpoints that `putOnce` was asked to store. */
  readonly tries: string[];
  /** Called by each `putOnce`. */
  onPutOnce: (path: string, signal: AbortSignal) => Promise<void>;
  readonly discarded: string[];
};

const produced: ProducedArtifact = { name: "embeds", sha256: "ab".repeat(32), sizeBytes: 3n, mediaType: "text/plain" };

/** The hash that the fake gives a checkpoint of a step. */
export function checkpointHash(step: number): string {
  return createHash("sha256").update(`/nowhere/checkpoint-${step}`).digest("hex");
}

function createFakeTransfer(): FakeTransfer {
  const transfer: FakeTransfer = {
    puts: [],
    putGate: undefined,
    fetchFailure: undefined,
    tries: [],
    onPutOnce: () => Promise.resolve(),
    discarded: [],
    open: () =>
      Promise.resolve({
        outputFolder: "/nowhere",
        fetch: () => (transfer.fetchFailure === undefined ? Promise.resolve([]) : Promise.reject(transfer.fetchFailure)),
        hash: ([output]) => {
          if (output?.name !== "checkpoint") return Promise.resolve([{ artifact: produced, path: "/nowhere/embeds" }]);
          const { name, path, mediaType, sizeBytes } = output;
          return Promise.resolve([
            { artifact: { name, mediaType, sizeBytes, sha256: createHash("sha256").update(path).digest("hex") }, path },
          ]);
        },
        async put(files) {
          await transfer.putGate;
          transfer.puts.push(...files.map(({ artifact }) => artifact.sha256));
        },
        putOnce({ path }, signal) {
          transfer.tries.push(path);
          return transfer.onPutOnce(path, signal);
        },
        discard: (path) => Promise.resolve(void transfer.discarded.push(path)),
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
  /** Lets beats arrive, but their answers come only after the release. */
  holdBeats(): { release(): void };
};

/** Builds it; the test starts it. */
export function createFakeAgent({ leaveAtOnce = false }: { readonly leaveAtOnce?: boolean } = {}): FakeAgent {
  const clock = createManualClock();
  const coordinator = new ScriptedCoordinator();
  const runtime = createFakeRuntime();
  const transfer = createFakeTransfer();
  const metrics = createMetrics();
  const published: { readonly subject: string; readonly payload: Uint8Array }[] = [];
  const subscribers = new Set<(payload: Uint8Array) => void>();
  let connected = true;
  let beatsHeld: Promise<void> = Promise.resolve();
  const link: AgentLink = {
    isConnected: () => connected,
    publish: (subject, payload) => void published.push({ subject, payload }),
    flush: () => Promise.resolve(),
    subscribe(_subject, onMessage) {
      subscribers.add(onMessage);
      return () => subscribers.delete(onMessage);
    },
    request: (subject, payload, options) =>
      new Promise((resolve, reject) => {
        const kind = subject.endsWith(".next") ? "next" : subject.endsWith(".beat") ? "beat" : "report";
        const answered = connected ? coordinator.answer(kind, payload) : undefined;
        const held = kind === "beat" ? beatsHeld : undefined;
        if (answered?.fate === "deliver" && held === undefined) resolve(answered.reply);
        else if (answered?.fate === "deliver") void held?.then(() => resolve(answered.reply));
        else clock.after(typeof options === "number" ? options : options.timeoutMs, () => reject(new FarmError("DEADLINE_PASSED")));
      }),
  };
  const agentMetrics = createAgentMetrics(metrics, clock);
  agentMetrics.serves([{ name: "demo", stages: ["denoise"] }]);
  const agent = createAgent({
    clock,
    link,
    logger: createLogger({ name: "test", level: "silent" }),
    journal: noJournal,
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
    metrics: agentMetrics,
    tracer: noTracer,
    runtime,
    crash: () => undefined,
    attempt: {
      transfer,
      modelFolder: () => "/models/demo",
      checkpoints: { everySteps: 5, everyMs: 30_000, mostShare: 0.01 },
      limits: {
        stallMs: 30_000,
        loadMs: 600_000,
        unknownStepMs: 600_000,
        fetchMs: 600_000,
        uploadMs: 600_000,
        reservedMs: 30_000,
        lastCheckpointMs: 5_000,
        cancelGraceMs: 5_000,
      },
    },
    leaveAtOnce,
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
    holdBeats() {
      const gate = Promise.withResolvers<undefined>();
      beatsHeld = gate.promise.then(() => (beatsHeld = Promise.resolve()));
      return { release: () => gate.resolve(undefined) };
    },
  };
}

/**
 * Builds the worker: the only place where its parts meet.
 *
 * Order of start: runtime, then NATS, then the agent, so that a worker that asks for work can do it. Stop goes the other way: the agent
 * drains while NATS and the runtime are still there.
 */
import { join } from "node:path";
import packageManifest from "../../package.json" with { type: "json" };
import { FarmError } from "../domain/errors.ts";
import { pinnedReference } from "../domain/model-reference.ts";
import type { OpenStore } from "../platform/artifacts/artifact-store.ts";
import { measureStore } from "../platform/artifacts/measured-store.ts";
import { openArtifactStore } from "../platform/artifacts/open-store.ts";
import { createHttpServer, type HttpServer } from "../platform/http.ts";
import { noJournal, openJournal } from "../platform/journal.ts";
import { type Component, sequence } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { HeldManifest } from "../platform/models/repository.ts";
import { type Broker, connectBroker } from "../platform/nats/broker.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import { createTracer } from "../platform/tracing/create-tracer.ts";
import { countDroppedSpans } from "../platform/tracing/dropped-spans.ts";
import type { Tracer } from "../platform/tracing/tracer.ts";
import { WorkerRuntime } from "./app-runtime.ts";
import type { WorkerConfig } from "./config.ts";
import { describeWorker, startIdentity, type WorkerFacts, type WorkerIdentity } from "./identity.ts";
import { createHeldModels, folderOf, type HeldModels } from "./models/held-models.ts";
import { type Agent, createAgent } from "./session/agent.ts";
import { type AgentMetrics, createAgentMetrics } from "./session/agent-metrics.ts";
import { crashPoint } from "../platform/crash-points.ts";
import type { AgentTimings, SupervisedRuntime } from "./session/agent-ports.ts";
import type { TransferPort } from "./session/attempt-ports.ts";
import { type Clock, systemClock } from "./session/clock.ts";
import { observedLink } from "./session/observed-link.ts";
import type { WorkLine } from "./session/work-journal.ts";
import { openArtifactCache } from "./transfer/artifact-cache.ts";
import { openScratch } from "./transfer/scratch.ts";
import { createTransfer } from "./transfer/workspace.ts";
import { createWorkerMetrics, servedModel, type WorkerMetrics } from "./worker-metrics.ts";

export type WorkerApp = Component & {
  httpAddress(): string;
  /** Kills the stage runtime, for a process that ends at once: one that is frozen would not see that its parent is gone. */
  kill(): void;
  /** Resolves with the reason when the worker cannot go on. */
  readonly ended: Promise<FarmError>;
};

export type WorkerAppOptions = {
  readonly config: WorkerConfig;
  readonly logger: Logger;
  /** The runtime's environment. */
  readonly runtimeEnvironment: Readonly<Record<string, string>>;
  /** The runtime's program; the farm's own unless a test brings another. */
  readonly runtimeEntry?: string;
  /** Other intervals than the farm's, for tests. */
  readonly timings?: Partial<AgentTimings>;
  /** When the agent's start began, as `performance.now` counts; when it was built, where that is not told. */
  readonly startedAtMs?: number;
};

const storeRetry = { firstMs: 500, mostMs: 15_000 } as const;
const cancelGraceMs = 5_000;
const lastCheckpointMs = 5_000;
/** Two leases. */
const reservedMs = 30_000;

const farmTimings = {
  beatMs: 3_000,
  requestMs: 5_000,
  pollMs: 10_000,
  settleMs: 10_000,
  farewellMs: 6_000,
  progressMs: 250,
  retry: { firstMs: 100, mostMs: 1_000 },
} as const satisfies Partial<AgentTimings>;

/** Longest that an orderly stop takes, in ms. */
export function stopDeadlineMs(config: WorkerConfig): number {
  return config.drainMs + farmTimings.settleMs + farmTimings.farewellMs + 5_000;
}

/** Nothing runs before `start`. */
export function createWorkerApp(options: WorkerAppOptions): WorkerApp {
  const { config, logger } = options;
  const metrics = createMetrics({ pool: config.pool });
  const resource = { "vapfarm.farm": config.farm, "vapfarm.pool": config.pool, "vapfarm.worker": config.name };
  const onDropped = countDroppedSpans(metrics);
  const tracer = createTracer({ config: config.tracing, service: "worker", resource, logger, onDropped });
  const worker = new Worker(options, metrics, tracer);
  const http: HttpServer = createHttpServer({ address: options.config.httpAddress, metrics, ready: () => worker.ready() });
  return { ...sequence([http, tracer, worker]), httpAddress: () => http.address(), kill: () => worker.kill(), ended: worker.ended.promise };
}

/** What must be opened before the agent can be built. */
type Opened = {
  readonly identity: WorkerIdentity;
  /** What it is at the moment. */
  readonly facts: () => WorkerFacts;
  readonly transfer: TransferPort;
  readonly broker: Broker;
  readonly runtime: SupervisedRuntime;
};

class Worker implements Component {
  readonly ended = Promise.withResolvers<FarmError>();
  private readonly options: WorkerAppOptions;
  private readonly agentMetrics: AgentMetrics;
  private readonly metrics: WorkerMetrics;
  private readonly tracer: Tracer;
  private readonly runtime: WorkerRuntime;
  private readonly clock: Clock = systemClock();
  private readonly startedAtMs: number;
  private broker: Broker | undefined;
  private agent: Agent | undefined;
  private artifacts: OpenStore | undefined;
  private readonly models: HeldModels;

  constructor(options: WorkerAppOptions, metrics: Metrics, tracer: Tracer) {
    this.options = options;
    this.startedAtMs = options.startedAtMs ?? performance.now();
    this.tracer = tracer;
    this.agentMetrics = createAgentMetrics(metrics, this.clock);
    const { modelsFolder: folder, models: wanted, exceptModels: except, rescanMs } = options.config;
    const onHeld = (manifests: readonly HeldManifest[]): void => this.agentMetrics.serves(manifests.map(servedModel));
    this.models = createHeldModels({ folder, wanted, except, rescanMs, logger: options.logger, onHeld });
    this.metrics = createWorkerMetrics(metrics, {
      version: packageManifest.version,
      memoryBytes: options.config.memoryBytes,
      ready: () => this.ready(),
      runtimeProcessId: () => this.runtime.processId(),
    });
    this.runtime = new WorkerRuntime({
      config: options.config,
      logger: options.logger,
      clock: this.clock,
      environment: options.runtimeEnvironment,
      entry: options.runtimeEntry,
      models: this.models,
      metrics: this.metrics,
      agentMetrics: this.agentMetrics,
      onFailed: (error) => this.ended.resolve(error),
    });
  }

  async start(): Promise<void> {
    const { config, logger } = this.options;
    const identity = await startIdentity(config.folder);
    await this.models.start();
    const transfer = await this.openTransfer();
    const runtime = await this.runtime.start();
    this.broker = await connectBroker({ url: config.natsUrl, name: `worker ${config.name}`, logger });
    this.metrics.onConnected(this.broker);
    await this.runtime.tell(this.broker);
    const startupMs = Math.round(performance.now() - this.startedAtMs);
    const facts = (): WorkerFacts => this.factsOf(identity, startupMs);
    this.agent = this.createAgent({ identity, facts, transfer, broker: this.broker, runtime });
    void this.agent.ended.then((error) => this.ended.resolve(error));
    await this.agent.start();
    this.metrics.onStarted(describeWorker(facts(), this.runtime.description()), startupMs / 1_000);
    logger.info({ workerId: identity.workerId, pool: config.pool, models: this.modelNames() }, "worker ready");
  }

  async stop(): Promise<void> {
    this.runtime.interrupt();
    await this.models.stop();
    await this.agent?.stop();
    await this.runtime.stop();
    await this.broker?.close();
    await this.artifacts?.close();
  }

  kill(): void {
    this.runtime.kill();
  }

  ready(): Promise<void> {
    return new Promise((resolve) => {
      if (this.broker === undefined) throw new FarmError("WORKER_STARTING");
      if (!this.broker.isConnected()) throw new FarmError("BROKER_UNAVAILABLE");
      if (this.agent === undefined) throw new FarmError("COORDINATOR_UNAVAILABLE");
      this.agent.checkReady();
      resolve();
    });
  }

  private modelNames(): readonly string[] {
    return this.models.current().map(({ manifest: { name }, version }) => (version === undefined ? name : pinnedReference(name, version)));
  }

  private async openTransfer(): Promise<TransferPort> {
    const { config, logger } = this.options;
    const scratch = await openScratch(join(config.folder, "scratch"), logger);
    const cache = await openArtifactCache(join(config.folder, "cache"), config.cacheBytes, this.metrics.cache);
    const { natsUrl, s3 } = config;
    this.artifacts = await openArtifactStore(config.artifacts, { s3, natsUrl, name: `worker ${config.name}`, logger });
    const store = measureStore(this.artifacts, this.metrics.onArtifact);
    return createTransfer({ scratch, cache, store, clock: this.clock, draw: Math.random, retry: storeRetry });
  }

  private factsOf({ workerId }: WorkerIdentity, startupMs: number): WorkerFacts {
    const { name, pool, memoryBytes } = this.options.config;
    const models = this.models.current().map(({ manifest }) => manifest);
    return { workerId, name, pool, models, memoryBytes, startupMs };
  }

  /** The broker as the agent uses it, each request observed. */
  private link(broker: Broker): Broker {
    const { farm, pool } = this.options.config;
    const asked = subjectsOf(farm);
    const subjects = { [asked.next(pool)]: "next", [asked.beat(pool)]: "beat", [asked.report(pool)]: "report" } as const;
    return observedLink(broker, { subjects, onEnd: this.metrics.onRequest });
  }

  private createAgent(opened: Opened): Agent {
    const { config, logger, timings } = this.options;
    const { facts, transfer, broker, runtime } = opened;
    const { workerId, firstLife } = opened.identity;
    const limits = {
      stallMs: config.stallMs,
      loadMs: config.loadLimitMs,
      unknownStepMs: config.loadLimitMs,
      fetchMs: config.transferLimitMs,
      uploadMs: config.transferLimitMs,
      reservedMs,
      lastCheckpointMs,
      cancelGraceMs,
    };
    return createAgent({
      clock: this.clock,
      link: this.link(broker),
      logger,
      journal: config.journalFolder === undefined ? noJournal : openJournal<WorkLine>(config.journalFolder, "worker", logger),
      draw: Math.random,
      subjects: subjectsOf(config.farm),
      pool: config.pool,
      workerId,
      firstLife,
      workerName: config.name,
      timings: { ...farmTimings, outageLimitMs: config.outageLimitMs, drainMs: config.drainMs, ...timings },
      metrics: this.agentMetrics,
      tracer: this.tracer,
      runtime,
      lostAttempts: this.runtime.lostRuns,
      crash: crashPoint(config.crashAt),
      attempt: { transfer, limits, checkpoints: config.checkpoints, modelFolder: (claim) => folderOf(this.models.current(), claim) },
      worker: () => describeWorker(facts(), this.runtime.description()),
      leaveAtOnce: config.leaveAtOnce,
    });
  }
}

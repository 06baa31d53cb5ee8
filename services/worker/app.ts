/**
 * Builds the worker: the only place where its parts meet.
 *
 * Order of start: runtime, then NATS, then the agent, so that a worker that asks for work can do it. Stop goes the other way: the agent
 * drains while NATS and the runtime are still there.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FarmError } from "../domain/errors.ts";
import { openArtifactStore } from "../platform/artifacts/open-store.ts";
import { createHttpServer, type HttpServer } from "../platform/http.ts";
import { noJournal, openJournal } from "../platform/journal.ts";
import { type Component, sequence } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import { createMetrics } from "../platform/metrics.ts";
import { pinnedReference } from "../domain/model-reference.ts";
import type { HeldManifest } from "../platform/models/repository.ts";
import { type Broker, connectBroker } from "../platform/nats/broker.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import type { WorkerConfig } from "./config.ts";
import { describeWorker, startIdentity, type WorkerIdentity } from "./identity.ts";
import { createHeldModels, folderOf, type HeldModels } from "./models/held-models.ts";
import { preload } from "./models/preload.ts";
import { type Agent, createAgent } from "./session/agent.ts";
import { type AgentMetrics, createAgentMetrics } from "./session/agent-metrics.ts";
import { crashPoint } from "../platform/crash-points.ts";
import type { AgentTimings } from "./session/agent-ports.ts";
import type { TransferPort } from "./session/attempt-ports.ts";
import { type Clock, systemClock } from "./session/clock.ts";
import type { WorkLine } from "./session/work-journal.ts";
import { secretsOf } from "./supervise/log-tail.ts";
import { openPidFile } from "./supervise/pid-file.ts";
import { type LostRun, openRuntimeLog, readLostRuns, type RuntimeLog } from "./supervise/runtime-log.ts";
import { createRuntimeSupervisor, type RuntimeSupervisor } from "./supervise/runtime-supervisor.ts";
import { openArtifactCache } from "./transfer/artifact-cache.ts";
import { openScratch } from "./transfer/scratch.ts";
import { createTransfer } from "./transfer/workspace.ts";

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
};

const runtimeEntry = fileURLToPath(new URL("runtime/main.ts", import.meta.url));
const runtimeReadyMs = 120_000;
const restart = { firstMs: 500, mostMs: 30_000 } as const;
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
  const metrics = createMetrics();
  const worker = new Worker(options, createAgentMetrics(metrics));
  const http: HttpServer = createHttpServer({ address: options.config.httpAddress, metrics, ready: () => worker.ready() });
  return { ...sequence([http, worker]), httpAddress: () => http.address(), kill: () => worker.kill(), ended: worker.ended.promise };
}

/** What must be opened before the agent can be built. */
type Opened = {
  readonly identity: WorkerIdentity;
  readonly transfer: TransferPort;
  readonly broker: Broker;
};

class Worker implements Component {
  readonly ended = Promise.withResolvers<FarmError>();
  private readonly options: WorkerAppOptions;
  private readonly metrics: AgentMetrics;
  private readonly clock: Clock = systemClock();
  private socketFolder: string | undefined;
  private broker: Broker | undefined;
  private supervisor: RuntimeSupervisor | undefined;
  private runtimeLog: RuntimeLog | undefined;
  private lostRuns: readonly LostRun[] = [];
  private agent: Agent | undefined;
  private readonly models: HeldModels;
  private readonly stopping = new AbortController();

  constructor(options: WorkerAppOptions, metrics: AgentMetrics) {
    this.options = options;
    this.metrics = metrics;
    const { modelsFolder: folder, models: wanted, exceptModels: except, rescanMs } = options.config;
    this.models = createHeldModels({ folder, wanted, except, rescanMs, logger: options.logger });
  }

  async start(): Promise<void> {
    const { config, logger } = this.options;
    const identity = await startIdentity(config.folder);
    await this.models.start();
    const transfer = await this.openTransfer();
    this.supervisor = await this.createSupervisor(await this.openLog());
    await this.supervisor.start();
    await this.preload(this.supervisor);
    this.broker = await connectBroker({ url: config.natsUrl, name: `worker ${config.name}`, logger });
    this.agent = this.createAgent({ identity, transfer, broker: this.broker }, this.supervisor);
    void this.agent.ended.then((error) => this.ended.resolve(error));
    await this.agent.start();
    logger.info({ workerId: identity.workerId, pool: config.pool, models: this.modelNames() }, "worker ready");
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.models.stop();
    await this.agent?.stop();
    await this.supervisor?.stop();
    this.runtimeLog?.close();
    await this.broker?.close();
    if (this.socketFolder !== undefined) await rm(this.socketFolder, { recursive: true, force: true });
  }

  kill(): void {
    this.supervisor?.kill("the worker ends at once");
  }

  ready(): Promise<void> {
    return new Promise((resolve) => {
      if (this.supervisor !== undefined && this.broker === undefined) throw new FarmError("WORKER_STARTING");
      if (this.broker?.isConnected() !== true) throw new FarmError("BROKER_UNAVAILABLE");
      if (this.agent === undefined) throw new FarmError("COORDINATOR_UNAVAILABLE");
      this.agent.checkReady();
      resolve();
    });
  }

  private modelNames(): readonly string[] {
    return this.models.current().map(({ manifest: { name }, version }) => (version === undefined ? name : pinnedReference(name, version)));
  }

  private async preload(runtime: RuntimeSupervisor): Promise<void> {
    const { config, logger } = this.options;
    await preload({
      choice: config.preload,
      held: this.models.current(),
      runtime,
      outputFolder: config.folder,
      limitMs: config.loadLimitMs,
      signal: this.stopping.signal,
      logger,
      onLoaded: () => undefined,
    });
  }

  private async openTransfer(): Promise<TransferPort> {
    const { config, logger } = this.options;
    const scratch = await openScratch(join(config.folder, "scratch"), logger);
    const cache = await openArtifactCache(join(config.folder, "cache"), config.cacheBytes);
    const store = await openArtifactStore(config.artifacts);
    return createTransfer({ scratch, cache, store, clock: this.clock, draw: Math.random, retry: storeRetry });
  }

  /** What an earlier life left in the file is read before it is emptied. */
  private async openLog(): Promise<RuntimeLog> {
    const { config, logger, runtimeEnvironment } = this.options;
    const path = join(config.folder, "runtime.log");
    const secrets = secretsOf(runtimeEnvironment);
    this.lostRuns = await readLostRuns(path, secrets);
    const forward = (chunk: Buffer): void => void process.stderr.write(chunk);
    this.runtimeLog = openRuntimeLog({ path, secrets, logger, forward });
    return this.runtimeLog;
  }

  private async createSupervisor(log: RuntimeLog): Promise<RuntimeSupervisor> {
    const { config, logger, runtimeEnvironment } = this.options;
    this.socketFolder = await mkdtemp(join(tmpdir(), "vf-"));
    const entry = this.options.runtimeEntry ?? runtimeEntry;
    const { clock } = this;
    return createRuntimeSupervisor({
      clock,
      logger,
      draw: Math.random,
      pidFile: openPidFile({ path: join(config.folder, "runtime.pid"), entry, clock }),
      log,
      entry,
      socketFolder: this.socketFolder,
      environment: runtimeEnvironment,
      provider: config.providers.join(","),
      readyMs: runtimeReadyMs,
      restart,
      onRestart: () => this.metrics.runtimeRestarted(),
    });
  }

  private createAgent(opened: Opened, runtime: RuntimeSupervisor): Agent {
    const { config, logger, timings } = this.options;
    const { transfer, broker } = opened;
    const { workerId, firstLife } = opened.identity;
    const facts = { workerId, name: config.name, pool: config.pool, memoryBytes: config.memoryBytes };
    const held = (): readonly HeldManifest[] => this.models.current().map(({ manifest }) => manifest);
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
      link: broker,
      logger,
      journal: config.journalFolder === undefined ? noJournal : openJournal<WorkLine>(config.journalFolder, "worker", logger),
      draw: Math.random,
      subjects: subjectsOf(config.farm),
      pool: config.pool,
      workerId,
      firstLife,
      workerName: config.name,
      timings: { ...farmTimings, outageLimitMs: config.outageLimitMs, drainMs: config.drainMs, ...timings },
      metrics: this.metrics,
      runtime,
      lostAttempts: this.lostRuns,
      crash: crashPoint(config.crashAt),
      attempt: { transfer, limits, checkpoints: config.checkpoints, modelFolder: (claim) => folderOf(this.models.current(), claim) },
      worker: () => describeWorker({ ...facts, models: held() }, runtime.description()),
      leaveAtOnce: config.leaveAtOnce,
    });
  }
}

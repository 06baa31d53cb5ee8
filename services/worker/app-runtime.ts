/**
 * The stage runtime as the worker has it: its process, its log, whose last lines are told while they can be, and the engines that are loaded ahead.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FarmError } from "../domain/errors.ts";
import type { Logger } from "../platform/logging.ts";
import type { Broker } from "../platform/nats/broker.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import type { WorkerConfig } from "./config.ts";
import type { HeldModels } from "./models/held-models.ts";
import { keepWarm } from "./models/keep-warm.ts";
import { preload } from "./models/preload.ts";
import type { AgentMetrics } from "./session/agent-metrics.ts";
import type { SupervisedRuntime } from "./session/agent-ports.ts";
import type { Clock } from "./session/clock.ts";
import { secretsOf } from "./supervise/log-tail.ts";
import { openPidFile } from "./supervise/pid-file.ts";
import { type LostRun, openRuntimeLog, readLostRuns, type RuntimeLog } from "./supervise/runtime-log.ts";
import { createRuntimeSupervisor, type RuntimeSupervisor } from "./supervise/runtime-supervisor.ts";
import { createTailTeller, type TailTeller } from "./supervise/tail-teller.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

export type WorkerRuntimeOptions = {
  readonly config: WorkerConfig;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The runtime's environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The runtime's program; the farm's own where undefined. */
  readonly entry: string | undefined;
  readonly models: Pick<HeldModels, "current">;
  readonly metrics: Pick<WorkerMetrics, "onRuntimeRestart" | "onStageCall">;
  readonly agentMetrics: Pick<AgentMetrics, "engineLoading" | "engineLoaded">;
  /** Told when engines that were loaded ahead cannot be again. */
  readonly onFailed: (error: FarmError) => void;
};

const farmsOwn = fileURLToPath(new URL("runtime/main.ts", import.meta.url));
const readyMs = 120_000;
const restart = { firstMs: 500, mostMs: 30_000 } as const;

export class WorkerRuntime {
  /** What earlier lives of the worker left, once `start` has returned. */
  lostRuns: readonly LostRun[] = [];
  private readonly options: WorkerRuntimeOptions;
  private readonly tails: TailTeller;
  private readonly stopping = new AbortController();
  private socketFolder: string | undefined;
  private supervisor: RuntimeSupervisor | undefined;
  private log: RuntimeLog | undefined;
  private broker: Pick<Broker, "publish"> | undefined;

  constructor(options: WorkerRuntimeOptions) {
    this.options = options;
    this.tails = createTailTeller({
      clock: options.clock,
      grown: () => this.log?.grown() ?? [],
      publish: (subject, payload) => this.broker?.publish(subject, payload),
      subjectOf: subjectsOf(options.config.farm).tail,
    });
  }

  /** Returns once it answers and the engines of `preload` have run. */
  async start(): Promise<SupervisedRuntime> {
    this.supervisor = await this.createSupervisor(await this.openLog());
    await this.supervisor.start();
    return await this.warm(this.supervisor);
  }

  /** From now on the log's last lines are told to the coordinator. */
  async tell(broker: Pick<Broker, "publish">): Promise<void> {
    this.broker = broker;
    await this.tails.start();
  }

  /** Loading ahead is given up. */
  interrupt(): void {
    this.stopping.abort();
  }

  async stop(): Promise<void> {
    this.interrupt();
    await this.supervisor?.stop();
    await this.tails.stop();
    this.log?.close();
    if (this.socketFolder !== undefined) await rm(this.socketFolder, { recursive: true, force: true });
  }

  kill(): void {
    this.supervisor?.kill("the worker ends at once");
  }

  processId(): number | undefined {
    return this.supervisor?.processId();
  }

  description(): ReturnType<RuntimeSupervisor["description"]> {
    return this.supervisor?.description();
  }

  /** With the engines of `preload` in it, after each start of its process. */
  private async warm(supervisor: RuntimeSupervisor): Promise<SupervisedRuntime> {
    const { config, logger, onFailed } = this.options;
    if (config.preload.kind === "none") return supervisor;
    const load = (isFirst: boolean): Promise<void> => this.preload(supervisor, isFirst);
    const runtime = keepWarm({ runtime: supervisor, load, stopping: this.stopping.signal, logger, onFailed });
    await runtime.start();
    return runtime;
  }

  private async preload(runtime: RuntimeSupervisor, isFirst: boolean): Promise<void> {
    const { config, logger, models, agentMetrics } = this.options;
    await preload({
      choice: config.preload,
      held: models.current(),
      modelsFolder: config.modelsFolder,
      isFirst,
      runtime,
      outputFolder: config.folder,
      limitMs: config.loadLimitMs,
      signal: this.stopping.signal,
      logger,
      onLoading: ({ model, stage }) => agentMetrics.engineLoading(model, stage),
      onLoaded: (of, seconds) => agentMetrics.engineLoaded(of, seconds),
    });
  }

  /** What an earlier life left in the file is read before it is emptied. */
  private async openLog(): Promise<RuntimeLog> {
    const { config, logger, environment } = this.options;
    const path = join(config.folder, "runtime.log");
    const secrets = secretsOf(environment);
    this.lostRuns = await readLostRuns(path, secrets);
    const forward = (chunk: Buffer): void => void process.stderr.write(chunk);
    this.log = openRuntimeLog({ path, secrets, logger, forward, onWritten: () => this.tails.onWritten() });
    return this.log;
  }

  private async createSupervisor(log: RuntimeLog): Promise<RuntimeSupervisor> {
    const { config, logger, clock, environment, metrics } = this.options;
    this.socketFolder = await mkdtemp(join(tmpdir(), "vf-"));
    const entry = this.options.entry ?? farmsOwn;
    return createRuntimeSupervisor({
      clock,
      logger,
      draw: Math.random,
      pidFile: openPidFile({ path: join(config.folder, "runtime.pid"), entry, clock }),
      log,
      entry,
      socketFolder: this.socketFolder,
      environment,
      provider: config.providers.join(","),
      readyMs,
      restart,
      onRestart: metrics.onRuntimeRestart,
      onCall: metrics.onStageCall,
    });
  }
}

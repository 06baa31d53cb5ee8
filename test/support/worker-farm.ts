/**
 * A worker in a farm of one: real NATS, real files, a real runtime process, and a scripted coordinator that answers over NATS.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FarmError } from "../../services/domain/errors.ts";
import { type WorkerSignal, WorkerSignal as Signal } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { LogFunction, Logger } from "../../services/platform/logging.ts";
import { type Broker, connectBroker } from "../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../services/platform/nats/subjects.ts";
import { createWorkerApp, type WorkerApp } from "../../services/worker/app.ts";
import { readWorkerConfig, runtimeEnvironment } from "../../services/worker/config.ts";
import type { AgentTimings } from "../../services/worker/session/agent-ports.ts";
import { projectRoot } from "./ffmpeg.ts";
import type { Script } from "./fake-runtime.ts";
import { ScriptedCoordinator } from "./scripted-coordinator.ts";
import { startTestNats, type TestNats } from "./nats.ts";

const fakeRuntimeEntry = join(import.meta.dirname, "fake-runtime.ts");

export type WorkerFarm = {
  readonly nats: TestNats;
  readonly coordinator: ScriptedCoordinator;
  readonly broker: Broker;
  readonly folder: string;
  /** Messages that the worker logged. */
  readonly logged: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Starts a worker on the farm's one worker folder; stopped with the farm. */
  startWorker(options?: StartWorker): Promise<WorkerApp>;
  /** The same, before it has started. */
  createWorker(options?: StartWorker): WorkerApp;
  /** Queues a text_encode whose prompt is the script; returns its attempt's id. */
  addScript(script: Script): string;
  /** Sends a signal to the worker that asked last. */
  push(kind: WorkerSignal["kind"]): void;
  /** Process id of the runtime that was started last. */
  runtimeId(): Promise<number>;
  /** Makes the file that scripts wait for. */
  release(name: string): Promise<void>;
  pathOf(name: string): string;
  stop(): Promise<void>;
};

type StartWorker = {
  readonly settings?: Readonly<Record<string, string>>;
  readonly timings?: Partial<AgentTimings>;
  readonly runtimeEntry?: string | undefined;
};

/** A hundredth of the farm's intervals, so that tests wait for events, not for clocks. */
const quick = { beatMs: 60, requestMs: 300, pollMs: 200, progressMs: 10, retry: { firstMs: 10, mostMs: 50 } } as const;

/** Starts NATS and the coordinator. */
export async function startWorkerFarm(): Promise<WorkerFarm> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-worker-"));
  const nats = await startTestNats();
  const coordinator = new ScriptedCoordinator();
  const logged: string[] = [];
  const logger = recordingLogger(logged);
  const broker = await connectBroker({ url: nats.url, name: "scripted coordinator", logger });
  const subjects = subjectsOf("test");
  const endpoint = (kind: "next" | "report" | "beat") => ({
    name: kind,
    subject: subjects[kind]("p"),
    handler: async (payload: Uint8Array) => {
      const reply = await coordinator.play(kind, payload);
      if (reply === undefined) throw new FarmError("DEADLINE_PASSED");
      return reply;
    },
  });
  await broker.serve({ name: "scripted", version: "1.0.0", group: "scripted" }, [endpoint("next"), endpoint("report"), endpoint("beat")]);
  const environment = {
    NATS_URL: nats.url,
    VAPFARM_FARM: "test",
    VAPFARM_POOL: "p",
    VAPFARM_WORKER_NAME: "tested",
    VAPFARM_WORKER_FOLDER: join(folder, "worker"),
    VAPFARM_MODELS: join(projectRoot, "models"),
    VAPFARM_ARTIFACTS: `folder:${join(folder, "store")}`,
    VAPFARM_LOG_LEVEL: "silent",
    PATH: process.env["PATH"] ?? "",
  };
  const workers: WorkerApp[] = [];
  const pathOf = (name: string): string => join(folder, name);
  const createWorker = ({ settings = {}, timings = {}, runtimeEntry = fakeRuntimeEntry }: StartWorker = {}): WorkerApp => {
    const config = readWorkerConfig({ ...environment, ...settings });
    const forRuntime = runtimeEnvironment(config, { ...environment, ...settings });
    const app = createWorkerApp({ config, logger, runtimeEnvironment: forRuntime, runtimeEntry, timings: { ...quick, ...timings } });
    workers.push(app);
    return app;
  };
  return {
    nats,
    coordinator,
    broker,
    folder,
    logged,
    environment,
    pathOf,
    createWorker,
    async startWorker(options) {
      const app = createWorker(options);
      await app.start();
      return app;
    },
    addScript: (script) =>
      coordinator.addTask({ parameters: { kind: { $case: "textEncode", value: { prompt: JSON.stringify(script) } } } }),
    push: (kind) => broker.publish(subjects.worker(coordinator.nexts.at(-1)?.worker?.workerId ?? "none"), Signal.encode({ kind }).finish()),
    runtimeId: async () => Number((await readFile(join(folder, "worker/runtime.pid"), "utf8")).split(" ")[0]),
    release: (name) => writeFile(pathOf(name), ""),
    async stop() {
      for (const worker of workers) await worker.stop();
      await broker.close();
      await nats.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function recordingLogger(messages: string[]): Logger {
  const log: LogFunction = (facts: string | Readonly<Record<string, unknown>>, message?: string) => {
    messages.push(message ?? (typeof facts === "string" ? facts : ""));
  };
  const logger: Logger = { debug: log, info: log, warn: log, error: log, fatal: log, child: () => logger };
  return logger;
}

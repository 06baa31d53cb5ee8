/**
 * A whole farm on this machine: started in order, kept running, stopped in reverse.
 *
 * Order: lock, leftovers of a killed run, Postgres, migrations, NATS, coordinator, workers. A failed or interrupted start stops what
 * had started. Nothing is ever ended that this farm, or the killed run before it on the same folder, did not start.
 */
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { Environment } from "../../platform/config.ts";
import { migrate } from "../../platform/database/migrate.ts";
import { type Component, runEach } from "../../platform/lifecycle.ts";
import { findModels, lackOf } from "../../platform/models/repository.ts";
import { cpuProfile, installedOnnxruntimeVersion } from "../../platform/profile.ts";
import { findFfmpeg } from "../../platform/programs/ffmpeg.ts";
import { type DataLayout, type FarmFile, writeStoreAddress } from "../data-folder.ts";
import { claimFolder } from "./claim-folder.ts";
import { beginNats, beginPostgres, type Embedded } from "./embedded.ts";
import { createKeeper, type Keeper, type KeeperEvent, type Life } from "./keeper.ts";
import { Publication, runningOf } from "./publication.ts";
import { startService } from "./service-child.ts";
import { coordinatorEnvironment, type Foundation, plannedWorkers, workerEnvironment } from "./service-environment.ts";
import type { UpSettings } from "./settings.ts";

/** The farm that is wanted. */
export type FarmRequest = {
  readonly settings: UpSettings;
  readonly environment: Environment;
  readonly projectFolder: string;
  readonly signal: AbortSignal;
  /** What happens, for people. */
  readonly onNote: (text: string) => void;
};

/** The farm that is there. */
export type RunningFarm = {
  readonly layout: DataLayout;
  describe(): FarmFile;
  /** Ends everything that was started, last first, also when an end fails: then it throws the first failure at last. Safe to call twice. */
  stop(): Promise<void>;
  /** Lets a stop that is on its way end at once: services are told a second time. */
  hurry(): void;
};

/** What is undone in reverse; where the processes are written down. */
type Started = { readonly undo: (() => Promise<void>)[]; readonly publication: Publication };

/** Longer than a service takes to end itself: only one that hangs is killed. */
const coordinatorStopMs = 20_000;
const workerDrainMs = 30_000;
const beyondDrainMs = 30_000;

function serviceStopMs(kind: "coordinator" | "worker", { VAPFARM_DRAIN_MS: drainMs }: Environment): number {
  return kind === "coordinator" ? coordinatorStopMs : Number(drainMs ?? workerDrainMs) + beyondDrainMs;
}

/** Starts the farm; throws what hinders it after stopping what had started. */
export async function startFarm(request: FarmRequest): Promise<RunningFarm> {
  const undo: (() => Promise<void>)[] = [];
  const stop = (): Promise<void> => runEach(undo.splice(0).reverse());
  try {
    await requirePoolModels(request.settings);
    const layout = await claimFolder(request, undo);
    const publication = new Publication(layout);
    const foundation = await layFoundation(request, layout, { undo, publication });
    undo.push(() => publication.close());
    await writeStoreAddress(layout, foundation.artifacts);
    await startServices(request, foundation, { undo, publication });
    const describe = (): FarmFile => describeFarm(foundation, publication.keepers);
    await publication.announce(describe);
    const hurry = (): void => publication.keepers.forEach((keeper) => keeper.hurry());
    return { layout, describe, stop, hurry };
  } catch (thrown) {
    await stop().catch((failure: unknown) => request.onNote(`stopping failed too: ${toFarmError(failure).message}`));
    throw thrown;
  }
}

/** A pool that names a model which is not there would have workers that cannot start: told before anything does. */
async function requirePoolModels({ pools, modelsFolder }: UpSettings): Promise<void> {
  const named = pools.flatMap(({ models = [] }) => models);
  const found = await findModels(modelsFolder);
  const reason = lackOf(named, found, modelsFolder);
  if (reason === undefined) return;
  const remedy = `name one of: ${[...found.models.keys(), ...found.metrics.keys()].join(", ")}`;
  throw new FarmError("CONFIG_INVALID", { message: `--pool: ${reason}`, details: { fields: [{ field: "--pool", reason, remedy }] } });
}

async function layFoundation(request: FarmRequest, layout: DataLayout, started: Started): Promise<Foundation> {
  const { settings, environment, projectFolder, onNote } = request;
  const embedded: Embedded = { settings, layout, searchPath: environment["PATH"] };
  const embed = (name: "postgres" | "nats", begin: typeof beginPostgres): Promise<string> =>
    startEmbedded(request, started, { name, begin: (previous) => begin(embedded, previous) });
  const databaseUrl = settings.databaseUrl ?? (await embed("postgres", beginPostgres));
  const applied = await migrate({ url: databaseUrl, folder: join(projectFolder, "prisma", "migrations") });
  if (applied.length > 0) onNote(`applied ${applied.length} migrations`);
  const natsUrl = settings.natsUrl ?? (await embed("nats", beginNats));
  const { ffmpegPath: configured, cacheFolder } = settings;
  const ffmpeg = await findFfmpeg({ configured, cacheFolder, searchPath: environment["PATH"] });
  request.signal.throwIfAborted();
  const artifacts = settings.artifacts ?? `folder:${layout.artifacts}`;
  const profile = cpuProfile({ threads: settings.threads, onnxruntimeVersion: installedOnnxruntimeVersion() });
  return { settings, layout, databaseUrl, natsUrl, artifacts, ffmpegPath: ffmpeg.path, profile, callerEnvironment: environment };
}

type Begin = (previous: Readonly<Record<string, string>> | undefined) => Promise<Life>;

async function startEmbedded(
  request: FarmRequest,
  started: Started,
  program: { readonly name: string; readonly begin: Begin },
): Promise<string> {
  request.signal.throwIfAborted();
  request.onNote(`starting ${program.name}`);
  const keeper = createKeeper({ ...program, onEvent: (event) => onKeeperEvent(request, started, event) });
  await startKept(keeper, started);
  await started.publication.publish();
  return keeper.facts()["url"] ?? "";
}

async function startKept(keeper: Keeper, { undo, publication }: Started): Promise<void> {
  undo.push(() => keeper.stop());
  publication.keepers.push(keeper);
  await keeper.start();
}

async function startServices(request: FarmRequest, foundation: Foundation, started: Started): Promise<void> {
  const { settings, layout } = foundation;
  const keep = (name: string, kind: "coordinator" | "worker", environmentOf: (previous: Parameters<Begin>[0]) => Environment): Keeper => {
    const program = join(request.projectFolder, "services", kind, "main.ts");
    const logPath = join(layout.logs, `${name}.log`);
    const begin: Begin = (previous) =>
      startService({ name, program, environment: environmentOf(previous), logPath, stopMs: serviceStopMs(kind, request.environment) });
    return createKeeper({ name, begin, onEvent: (event) => onKeeperEvent(request, started, event) });
  };
  request.signal.throwIfAborted();
  request.onNote("starting coordinator");
  await startKept(
    keep("coordinator", "coordinator", (previous) => coordinatorEnvironment(foundation, previous)),
    started,
  );
  await started.publication.publish();
  request.signal.throwIfAborted();
  const planned = plannedWorkers(settings);
  request.onNote(`starting ${planned.length} worker${planned.length === 1 ? "" : "s"}`);
  const workers = planned.map((worker) => keep(worker.name, "worker", (previous) => workerEnvironment(foundation, worker, previous)));
  const all: Component = {
    start: () => settleAll(workers.map((worker) => worker.start())),
    stop: () => settleAll(workers.map((worker) => worker.stop())),
  };
  started.undo.push(() => all.stop());
  started.publication.keepers.push(...workers);
  await all.start();
  await started.publication.publish();
}

/** Waits for all, also when one fails: none is left half started. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(promises);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw toFarmError(outcome.reason);
}

function onKeeperEvent(request: FarmRequest, { publication }: Started, event: KeeperEvent): void {
  request.onNote(eventText(event));
  if (event.kind !== "began") return;
  publication.publish().catch((thrown: unknown) => request.onNote(`cannot write down what runs: ${toFarmError(thrown).message}`));
}

function eventText(event: KeeperEvent): string {
  switch (event.kind) {
    case "ended":
      return `${event.name} ended (${event.how}); starts again in ${event.againInMs} ms`;
    case "failed":
      return `${event.error.message}; tries again in ${event.againInMs} ms`;
    case "began":
      return `${event.name} runs again (process ${event.life.processId})`;
  }
}

function describeFarm(foundation: Foundation, keepers: readonly Keeper[]): FarmFile {
  const coordinator = keepers.find(({ name }) => name === "coordinator");
  return {
    grpcAddress: coordinator?.facts()["grpcAddress"] ?? "",
    natsUrl: foundation.natsUrl,
    databaseUrl: foundation.databaseUrl,
    artifacts: foundation.artifacts,
    models: foundation.settings.modelsFolder,
    upProcessId: process.pid,
    processes: runningOf(keepers),
  };
}

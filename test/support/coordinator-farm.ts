/**
 * Real Postgres, real NATS and real gRPC around coordinators that run in the test's own process, and workers that the test plays.
 *
 * Media inspection alone is played: a file that begins with `IMAGE` or `CLIP <frames>` is what it says, all else is no media.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Coordinator, createCoordinator } from "../../services/coordinator/app.ts";
import type { Timings } from "../../services/coordinator/app-parts.ts";
import type { Resources } from "../../services/coordinator/resources.ts";
import { keepingOf } from "../../services/coordinator/open-resources.ts";
import { type CoordinatorConfig, readCoordinatorConfig } from "../../services/coordinator/config.ts";
import { loadCluster } from "../../services/coordinator/kube/open-cluster.ts";
import { createModelCatalogue } from "../../services/coordinator/model-catalogue.ts";
import type { MediaFacts } from "../../services/coordinator/rpc/upload-media.ts";
import { createServing, teachShapes } from "../../services/coordinator/served-models.ts";
import { openStore } from "../../services/coordinator/store/store.ts";
import type { Store } from "../../services/coordinator/store/store-contract.ts";
import { withVersions } from "../../services/coordinator/version-catalogue.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { FarmServiceClient } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import type { ArtifactStore } from "../../services/platform/artifacts/artifact-store.ts";
import { openFolderStore } from "../../services/platform/artifacts/folder-store.ts";
import { openPool } from "../../services/platform/database/pool.ts";
import type { Network } from "../../services/platform/fetch/guarded-request.ts";
import { connectClient } from "../../services/platform/grpc/client.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { type Broker, connectBroker } from "../../services/platform/nats/broker.ts";
import { startTestNats, type TestNats } from "./nats.ts";
import { startTestPostgres, type TestPostgres } from "./postgres.ts";

export const testPool = { name: "test", profile: "cpu;test" };

export type RunningCoordinator = {
  readonly coordinator: Coordinator;
  readonly client: FarmServiceClient;
  readonly store: Store;
  readonly uploadsFolder: string;
  stop(): Promise<void>;
};

export type CoordinatorFarm = {
  readonly nats: TestNats;
  readonly databaseUrl: string;
  readonly artifacts: ArtifactStore;
  readonly artifactsFolder: string;
  /** A connection of the test's own. */
  readonly broker: Broker;
  /** The environment of a coordinator of this farm, for one that is a process of its own. */
  settings(): Readonly<Record<string, string>>;
  start(overrides?: Overrides): Promise<RunningCoordinator>;
  stop(): Promise<void>;
};

type Overrides = {
  readonly environment?: Readonly<Record<string, string>>;
  readonly timings?: Partial<Timings>;
  /** How the outside is reached, names and certificates played; the system's when absent. */
  readonly network?: Network;
};

const logger = createLogger({ name: "test", level: "silent" });
const modelsFolder = join(import.meta.dirname, "../../models");

/** Starts Postgres and NATS; coordinators come with `start`. */
export async function startCoordinatorFarm(): Promise<CoordinatorFarm> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-coordinator-"));
  const [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats()]);
  const databaseUrl = await postgres.createDatabase();
  const artifacts = await openFolderStore(join(folder, "artifacts"));
  const broker = await connectBroker({ url: nats.url, name: "test", logger });
  const running = new Set<RunningCoordinator>();
  const place = { folder, databaseUrl, artifacts, natsUrl: nats.url };
  return {
    nats,
    databaseUrl,
    artifacts,
    artifactsFolder: join(folder, "artifacts"),
    broker,
    settings: () => settingsOf(place),
    async start(overrides = {}) {
      const started = await startOne(place, overrides);
      running.add(started);
      return started;
    },
    async stop() {
      for (const one of running) await one.stop();
      await broker.close();
      await endServers(postgres, nats, folder);
    },
  };
}

async function endServers(postgres: TestPostgres, nats: TestNats, folder: string): Promise<void> {
  await Promise.all([postgres.stop(), nats.stop()]);
  await rm(folder, { recursive: true, force: true });
}

type Place = { readonly folder: string; readonly databaseUrl: string; readonly artifacts: ArtifactStore; readonly natsUrl: string };

function settingsOf({ folder, databaseUrl, natsUrl }: Place): Readonly<Record<string, string>> {
  return {
    DATABASE_URL: databaseUrl,
    NATS_URL: natsUrl,
    VAPFARM_MODELS: modelsFolder,
    VAPFARM_ARTIFACTS: `folder:${join(folder, "artifacts")}`,
    VAPFARM_STATE_FOLDER: join(folder, `state-${randomUUID()}`),
    VAPFARM_POOLS: JSON.stringify([testPool]),
  };
}

async function startOne(place: Place, { environment = {}, timings = {}, network }: Overrides): Promise<RunningCoordinator> {
  const config = readCoordinatorConfig({ ...settingsOf(place), ...environment });
  const resources = await openTestResources(place, config);
  const coordinator = createCoordinator({ config, resources, logger, timings, ...(network === undefined ? {} : { network }) });
  await coordinator.start();
  const client = connectClient(FarmServiceClient, coordinator.grpcAddress(), 4 * 1024 * 1024);
  let isRunning = true;
  return {
    coordinator,
    client,
    store: resources.store,
    uploadsFolder: join(config.VAPFARM_STATE_FOLDER, "uploads"),
    async stop() {
      if (!isRunning) return;
      isRunning = false;
      client.close();
      await coordinator.stop();
      await resources.broker.close();
      await resources.store.close();
    },
  };
}

async function openTestResources({ databaseUrl, natsUrl, artifacts }: Place, config: CoordinatorConfig): Promise<Resources> {
  const { VAPFARM_LEASE_MS: leaseMs, VAPFARM_POOLS: pools } = config;
  const openTestPool = (connections: number) => openPool({ url: databaseUrl, applicationName: "test", connections });
  const store = await openStore({ pool: openTestPool(6), beatPool: openTestPool(2), farm: "local", leaseMs, pools, ...keepingOf(config) });
  const catalogue = withVersions(createModelCatalogue(modelsFolder, logger), store, logger);
  return {
    store,
    broker: await connectBroker({ url: natsUrl, name: "coordinator", logger }),
    artifacts,
    media: { inspect: inspectPlayed },
    ...teachShapes(createServing(catalogue, pools), catalogue, store),
    openCluster: await loadCluster(config, "test"),
  };
}

async function inspectPlayed(path: string): Promise<MediaFacts> {
  const text = (await readFile(path)).subarray(0, 64).toString("latin1");
  if (text.startsWith("IMAGE")) return { kind: "image", width: 64, height: 48, frames: 1, mediaType: "image/png" };
  const frames = /^CLIP (\d+)/.exec(text)?.[1];
  if (frames === undefined) throw new FarmError("MEDIA_NOT_DECODABLE");
  return { kind: "video", width: 64, height: 48, frames: Number(frames), mediaType: "video/mp4" };
}

/** Names of files below a folder. */
export async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

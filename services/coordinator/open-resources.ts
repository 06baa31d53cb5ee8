/**
 * Opens what a coordinator works with, in an order in which each failure has one cause: settings, schema, store, NATS, artifacts, ffmpeg.
 */
import { join } from "node:path";
import type { OpenStore } from "../platform/artifacts/artifact-store.ts";
import { parseModelReference } from "../domain/model-reference.ts";
import packageManifest from "../../package.json" with { type: "json" };
import { openArtifactStore } from "../platform/artifacts/open-store.ts";
import { s3SettingsOf } from "../platform/artifacts/store-settings.ts";
import { openPool } from "../platform/database/pool.ts";
import { requireMigrations } from "../platform/database/pending-migrations.ts";
import type { Component } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import { mediaLimitsOf } from "../platform/media/limits.ts";
import { createMediaReader } from "../platform/media/media-reader.ts";
import { connectBroker } from "../platform/nats/broker.ts";
import { findFfmpeg } from "../platform/programs/ffmpeg.ts";
import type { Resources } from "./resources.ts";
import type { CoordinatorConfig } from "./config.ts";
import { loadCluster } from "./kube/open-cluster.ts";
import { createModelCatalogue } from "./model-catalogue.ts";
import { createServing, type Serving, teachShapes } from "./served-models.ts";
import { withCrashPoint } from "./store/crash-points.ts";
import { openStore, type StoreOptions } from "./store/store.ts";
import type { Store } from "./store/store-contract.ts";
import { withVersions } from "./version-catalogue.ts";

const projectFolder = join(import.meta.dirname, "../..");
const connections = 10;
const beatConnections = 2;

/** Opens everything; what was opened is closed again when something fails. */
export async function openResources(config: CoordinatorConfig, logger: Logger): Promise<Resources & { readonly closing: Component }> {
  const artifacts = await openArtifactStore(config.VAPFARM_ARTIFACTS, {
    s3: s3SettingsOf(config),
    natsUrl: config.NATS_URL,
    name: "vapfarm-coordinator",
    logger,
    sweeps: true,
  });
  try {
    return await openRest(config, logger, artifacts);
  } catch (thrown) {
    await artifacts.close();
    throw thrown;
  }
}

async function openRest(
  config: CoordinatorConfig,
  logger: Logger,
  artifacts: OpenStore,
): Promise<Resources & { readonly closing: Component }> {
  const folders = createModelCatalogue(config.VAPFARM_MODELS, logger);
  // A folder that cannot be read ends the start before anything is opened.
  await folders.held();
  const media = await openMedia(config);
  const openCluster = await loadCluster(config, packageManifest.version);
  const store = await openCoordinatorStore(config);
  try {
    const catalogue = withVersions(folders, store, logger);
    const serving = createServing(catalogue, config.VAPFARM_POOLS);
    await tellServed(serving, config, logger);
    const broker = await connectBroker({ url: config.NATS_URL, name: "vapfarm-coordinator", logger });
    const closing = closer(async () => {
      await broker.close();
      await store.close();
      await artifacts.close();
    });
    return { store, broker, artifacts, media, ...teachShapes(serving, catalogue, store), openCluster, closing };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

async function tellServed(serving: Serving, { VAPFARM_POOLS: pools }: CoordinatorConfig, logger: Logger): Promise<void> {
  const served = new Map<string, { readonly pool: string }>([...(await serving.models()), ...(await serving.metrics())]);
  logger.info({ models: [...served].map(([name, { pool }]) => `${name} in ${pool}`) }, "models found");
  const names = new Set([...served.keys()].map((reference) => parseModelReference(reference)?.name));
  const missing = pools.flatMap((pool) => pool.models ?? []).filter((name) => !names.has(name));
  if (missing.length > 0) logger.warn({ missing }, "pools name models that the farm does not have");
}

async function openMedia(config: CoordinatorConfig) {
  const cacheFolder = config.VAPFARM_CACHE ?? join(projectFolder, ".cache");
  const { path } = await findFfmpeg({ configured: config.VAPFARM_FFMPEG, cacheFolder, searchPath: config.PATH });
  return createMediaReader({ ffmpegPath: path, limits: mediaLimitsOf(config) });
}

async function openCoordinatorStore(config: CoordinatorConfig): Promise<Store> {
  const url = config.DATABASE_URL.reveal();
  await requireMigrations({ url, folder: join(projectFolder, "prisma/migrations") });
  const store = await openStore({
    pool: openPool({ url, applicationName: "vapfarm-coordinator", connections }),
    beatPool: openPool({ url, applicationName: "vapfarm-coordinator-beats", connections: beatConnections }),
    farm: config.VAPFARM_FARM,
    leaseMs: config.VAPFARM_LEASE_MS,
    pools: config.VAPFARM_POOLS,
    order: {
      floors: [config.VAPFARM_CLASS_FLOORS.production, config.VAPFARM_CLASS_FLOORS.benchmark],
      halfLifeMs: config.VAPFARM_SHARE_HALF_LIFE_MS,
    },
    ...keepingOf(config),
  });
  return withCrashPoint(store, config.VAPFARM_CRASH_AT);
}

const dayMs = 24 * 3600 * 1000;
/** Where it is not set: how far below the bound collection goes. */
const lowShare = 0.9;

/** What the settings say of how much there may be, and for how long it is kept. */
export function keepingOf(config: CoordinatorConfig): Required<Pick<StoreOptions, "limits" | "retention" | "room">> {
  const highBytes = config.VAPFARM_ARTIFACT_BYTES;
  return {
    limits: {
      openRenders: config.VAPFARM_OPEN_RENDERS,
      waitingRenders: config.VAPFARM_WAITING_RENDERS,
      waitingRendersOfTenant: config.VAPFARM_WAITING_RENDERS_PER_TENANT,
      openJobs: config.VAPFARM_OPEN_JOBS,
      openJobsOfTenant: config.VAPFARM_OPEN_JOBS_PER_TENANT,
    },
    retention: {
      keepJobsMs: config.VAPFARM_KEEP_JOBS_DAYS * dayMs,
      keepUploadsMs: config.VAPFARM_KEEP_UPLOADS_DAYS * dayMs,
      keepIntermediatesMs: config.VAPFARM_KEEP_INTERMEDIATES_MS,
    },
    room: {
      highBytes,
      lowBytes: config.VAPFARM_ARTIFACT_BYTES_LOW ?? Math.floor((highBytes ?? 0) * lowShare),
      collectResults: config.VAPFARM_COLLECT_RESULTS,
    },
  };
}

function closer(close: () => Promise<void>): Component {
  let isOpen = true;
  return {
    start: () => Promise.resolve(),
    async stop() {
      if (!isOpen) return;
      isOpen = false;
      await close();
    },
  };
}

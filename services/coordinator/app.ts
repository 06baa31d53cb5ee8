/**
 * The only place of the coordinator that builds things: settings and opened resources in, one component out.
 *
 * Order: workers are answered before clients are, and stopping goes the other way round: watchers are sent away, calls end, duties give
 * their rows back, workers get their last answers, then connections close.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import packageManifest from "../../package.json" with { type: "json" };
import { FarmError } from "../domain/errors.ts";
import { createGrpcServer } from "../platform/grpc/server.ts";
import { type Component, sequence } from "../platform/lifecycle.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import { createSlots } from "../platform/slots.ts";
import { createMetricParts } from "./app-metrics.ts";
import { createDuties, dutyOf, expandSpecOf, relaySpecOf } from "./app-duties.ts";
import { createMediaParts, type MediaParts } from "./app-media.ts";
import { type CoordinatorOptions, defaultTimings, descriptors, type Parts } from "./app-parts.ts";
import { createTracing } from "./app-tracing.ts";
import type { CoordinatorConfig } from "./config.ts";
import { createAnnouncer } from "./dispatch/announcer.ts";
import { createDispatchService } from "./dispatch/dispatch-service.ts";
import { createWatchHub } from "./events/watch-hub.ts";
import { createHttpSide } from "./http/http-side.ts";
import { createSignedArtifactRoute } from "./http/signed-artifact.ts";
import { createPages } from "./pages/pages.ts";
import type { Resources } from "./resources.ts";
import { createCallerLookup } from "./rpc/caller.ts";
import { createFarmService } from "./rpc/farm-service.ts";
import type { Aftermath } from "./store/store-contract.ts";

export type Coordinator = Component & {
  /** Known once started. */
  grpcAddress(): string;
  httpAddress(): string;
};

const { version } = packageManifest;
const maxMessageBytes = 4 * 1024 * 1024;
const drainMs = 5_000;
const secondLookMs = 300;
const manifestIdleMs = 60_000;
/** Chunks of pushed models, 16 MiB each, that are received at a time. */
const modelChunks = 16;
const uploadMaxAgeMs = 24 * 3600 * 1000;

/** A coordinator that does not run yet. */
export function createCoordinator(given: CoordinatorOptions): Coordinator {
  const timings = { ...defaultTimings, ...given.timings };
  const { registry, sampler, metrics, resources } = createMetricParts({ ...given, version, sampleMs: timings.sampleMs });
  const options = { ...given, resources };
  const { config, logger } = options;
  const subjects = subjectsOf(config.VAPFARM_FARM);
  const hub = createWatchHub({ ...resources, subjects });
  const onEvents = (): void => {
    relay.nudge();
    if (expandSpec.isWaiting()) expand.nudge();
  };
  const onWaiting = (): void => expand.nudge();
  const announcer = createAnnouncer({ ...metrics, ...resources, subjects, hub, logger, secondLookMs, onEvents, onWaiting });
  const tracing = createTracing(options, registry);
  const parts: Parts = { ...options, tracing, timings, registry, sampler, metrics, hub, announcer, holder: randomUUID() };
  const relay = dutyOf(relaySpecOf(parts), parts);
  const expandSpec = expandSpecOf(parts);
  const expand = dutyOf(expandSpec, parts);
  const grpcAddress = (): string => grpc.address();
  const pages = createPages({ grpcAddress, publicUrl: config.VAPFARM_PUBLIC_URL, now: () => new Date(), logger });
  const temporaryFolder = uploadsOf(config);
  const media = createMediaParts({ ...options, temporaryFolder, httpAddress: () => http.address() });
  const http = createHttpSide({
    ...httpSettings(config),
    ready: () => readiness(resources),
    metrics: registry,
    onEnd: metrics.onRequest,
    grpcAddress,
    links: (fail) => createSignedArtifactRoute({ ...media.signed, fail }),
    pages: pages.route,
  });
  const grpc = grpcServer(parts, media);
  const component = sequence([
    tracing.component,
    uploadFolder(temporaryFolder),
    dispatch(parts),
    ...createDuties(parts, media.sender),
    expand,
    relay,
    pages,
    http,
    grpc,
    hub,
  ]);
  return { ...component, grpcAddress, httpAddress: () => http.address() };
}

function httpSettings(config: CoordinatorConfig) {
  const { VAPFARM_HTTP_ADDRESS: address, VAPFARM_PUBLIC_URL: publicUrl, VAPFARM_CALLERS: callers } = config;
  return { address, publicUrl, needsCredentials: callers !== undefined, descriptors, maxMessageBytes, version };
}

function grpcServer(parts: Parts, media: MediaParts) {
  return createGrpcServer({
    address: parts.config.VAPFARM_GRPC_ADDRESS,
    services: [farmService(parts, media)],
    maxMessageBytes,
    reflection: { descriptors },
    drainMs,
  });
}

/** Where uploads and manifests lie while they come. */
function uploadsOf(config: CoordinatorConfig): string {
  return join(config.VAPFARM_STATE_FOLDER, "uploads");
}

async function readiness({ store, broker }: Resources): Promise<void> {
  if (!broker.isConnected()) throw new FarmError("BROKER_UNAVAILABLE");
  await store.ping();
}

/** Makes the folder and removes what a crash left in it; other coordinators may be using it too. */
function uploadFolder(path: string): Component {
  return {
    async start() {
      await mkdir(path, { recursive: true });
      for (const name of await readdir(path)) {
        const { mtimeMs } = await stat(join(path, name)).catch(() => ({ mtimeMs: Infinity }));
        if (Date.now() - mtimeMs > uploadMaxAgeMs) await rm(join(path, name), { force: true });
      }
    },
    stop: () => Promise.resolve(),
  };
}

function dispatch({ config, resources, announcer, metrics, tracing }: Parts): Component {
  return createDispatchService({
    store: tracing.dispatchStore,
    tracer: tracing.tracer,
    broker: resources.broker,
    subjects: subjectsOf(config.VAPFARM_FARM),
    pools: config.VAPFARM_POOLS.map(({ name }) => name),
    version,
    onCommitted: announcer.announce,
    observer: metrics,
  });
}

function farmService(parts: Parts, media: MediaParts) {
  const { config, resources, logger, metrics, hub, announcer, timings, tracing } = parts;
  const { store, models, metrics: repositories } = resources;
  return createFarmService({
    ...media,
    callers: createCallerLookup(config.VAPFARM_CALLERS),
    logger,
    ...tracing,
    onEnd: metrics.onCall,
    store,
    models,
    metrics: repositories,
    pools: config.VAPFARM_POOLS,
    version,
    newJobId: randomUUID,
    drawSeed,
    now: () => new Date(),
    onCommitted: (aftermath: Aftermath): void => announcer.announce([aftermath]),
    watch: { store, hub, pollMs: timings.watchPollMs, watches: createSlots(config.VAPFARM_WATCHES) },
    submits: createSlots(config.VAPFARM_SUBMITS),
    push: { artifacts: resources.artifacts, chunks: createSlots(modelChunks), temporaryFolder: uploadsOf(config), idleMs: manifestIdleMs },
    manifest: { manifests: createSlots(config.VAPFARM_MANIFESTS), temporaryFolder: uploadsOf(config), idleMs: manifestIdleMs },
  });
}

/** 32 bits: torch's CPU generator uses no more of a seed. */
function drawSeed(): bigint {
  return BigInt(randomBytes(4).readUInt32BE());
}

/**
 * The only place of the coordinator that builds things: settings and opened resources in, one component out.
 *
 * Order: workers are answered before clients are, and stopping goes the other way round: watchers are sent away, calls end, duties give
 * their rows back, workers get their last answers, then connections close.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../domain/errors.ts";
import type { Network } from "../platform/fetch/guarded-request.ts";
import { createGrpcServer } from "../platform/grpc/server.ts";
import { type Component, sequence } from "../platform/lifecycle.ts";
import type { Logger } from "../platform/logging.ts";
import type { Metrics } from "../platform/metrics.ts";
import { type EventStream, openEventStream } from "../platform/nats/event-stream.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import { createSlots } from "../platform/slots.ts";
import { createMetricParts } from "./app-metrics.ts";
import { createScalingParts } from "./app-scaling.ts";
import { createMediaParts, createWebhookDuty, type MediaParts } from "./app-media.ts";
import { createTails, createTracing, type Tracing } from "./app-tracing.ts";
import type { CoordinatorConfig } from "./config.ts";
import { type Announcer, createAnnouncer } from "./dispatch/announcer.ts";
import { createDispatchService } from "./dispatch/dispatch-service.ts";
import { createBooksCheck } from "./duties/books.ts";
import { createBudgets } from "./duties/budgets.ts";
import { createCanary } from "./duties/canary.ts";
import { createCollection } from "./duties/collection.ts";
import { createDeadlines } from "./duties/deadlines.ts";
import { createDuty, type Duty, type DutySpec } from "./duties/duty.ts";
import { createOrder } from "./duties/order.ts";
import { createHealthDuty } from "./duties/health.ts";
import { createPreemptionDuty } from "./duties/preemption.ts";
import { createExpand, type Expand } from "./duties/expand.ts";
import { createPromotion } from "./duties/promotion.ts";
import { createPrune } from "./duties/prune.ts";
import { createReaper } from "./duties/reaper.ts";
import { createRelay } from "./duties/relay.ts";
import { createSetScores } from "./duties/set-scores.ts";
import { createSweep } from "./duties/sweep.ts";
import { createWatchHub, type WatchHub } from "./events/watch-hub.ts";
import { createHttpSide } from "./http/http-side.ts";
import { createSignedArtifactRoute } from "./http/signed-artifact.ts";
import type { CoordinatorMetrics } from "./metrics.ts";
import { createPages } from "./pages/pages.ts";
import type { Resources } from "./resources.ts";
import { createCallerLookup } from "./rpc/caller.ts";
import { createFarmService } from "./rpc/farm-service.ts";
import type { Aftermath } from "./store/store-contract.ts";

/** How often what happens by itself happens; tests shorten it. */
export type Timings = {
  readonly canaryMs: number;
  readonly reapMs: number;
  readonly promotionMs: number;
  readonly preemptionMs: number;
  readonly deadlinesMs: number;
  readonly expandMs: number;
  readonly sweepMs: number;
  readonly orderMs: number;
  readonly relayMs: number;
  readonly collectionMs: number;
  readonly pruneMs: number;
  readonly dutyHoldMs: number;
  readonly watchPollMs: number;
  readonly webhookMs: number;
  readonly healthMs: number;
  readonly budgetMs: number;
  readonly booksMs: number;
  readonly setScoresMs: number;
  /** What metrics read of the store is at least so old before it is read again. */
  readonly sampleMs: number;
  readonly scalingMs: number;
  readonly tailsMs: number;
};

const defaultTimings: Timings = {
  canaryMs: 1_000,
  reapMs: 1_000,
  promotionMs: 500,
  preemptionMs: 1_000,
  deadlinesMs: 2_000,
  expandMs: 1_000,
  sweepMs: 30_000,
  orderMs: 5_000,
  relayMs: 1_000,
  collectionMs: 60_000,
  pruneMs: 600_000,
  dutyHoldMs: 10_000,
  watchPollMs: 2_000,
  webhookMs: 1_000,
  healthMs: 2_000,
  budgetMs: 1_000,
  booksMs: 300_000,
  setScoresMs: 10_000,
  sampleMs: 5_000,
  scalingMs: 5_000,
  tailsMs: 2_000,
};

export type Coordinator = Component & {
  /** Known once started. */
  grpcAddress(): string;
  httpAddress(): string;
};

export type CoordinatorOptions = {
  readonly config: CoordinatorConfig;
  readonly resources: Resources;
  readonly logger: Logger;
  readonly timings?: Partial<Timings>;
  /** How the outside is reached; the system's when absent. */
  readonly network?: Network;
};

const version = "0.1.0";
const maxMessageBytes = 4 * 1024 * 1024;
const drainMs = 5_000;
const secondLookMs = 300;
const manifestIdleMs = 60_000;
/** Chunks of pushed models, 16 MiB each, that are received at a time. */
const modelChunks = 16;
const uploadMaxAgeMs = 24 * 3600 * 1000;
const dayMs = 24 * 3600 * 1000;
const descriptors = join(import.meta.dirname, "../gen/farm.binpb");

type Parts = Omit<CoordinatorOptions, "timings"> & {
  readonly timings: Timings;
  readonly tracing: Tracing;
  readonly metrics: CoordinatorMetrics;
  readonly hub: WatchHub;
  readonly announcer: Announcer;
  /** Names this coordinator among those that share the duties. */
  readonly holder: string;
};

/** A coordinator that does not run yet. */
export function createCoordinator(given: CoordinatorOptions): Coordinator {
  const timings = { ...defaultTimings, ...given.timings };
  const { registry, metrics, resources } = createMetricParts({ ...given, version, sampleMs: timings.sampleMs });
  const options = { ...given, resources };
  const { config, logger } = options;
  const { store, broker } = resources;
  const subjects = subjectsOf(config.VAPFARM_FARM);
  const hub = createWatchHub({ broker, subjects });
  const onEvents = (): void => {
    relay.nudge();
    if (expandSpec.isWaiting()) expand.nudge();
  };
  const onWaiting = (): void => expand.nudge();
  const announcer = createAnnouncer({ ...metrics, store, broker, subjects, hub, logger, secondLookMs, onEvents, onWaiting });
  const tracing = createTracing(options, registry);
  const parts: Parts = { ...options, tracing, timings, metrics, hub, announcer, holder: randomUUID() };
  const relay = dutyOf(relaySpec(parts), parts);
  const expandSpec = expandSpecOf(parts);
  const expand = dutyOf(expandSpec, parts);
  const grpcAddress = (): string => grpc.address();
  const pages = createPages({ grpcAddress, publicUrl: config.VAPFARM_PUBLIC_URL, now: () => new Date(), logger });
  const temporaryFolder = uploadsOf(config);
  const media = createMediaParts({ ...options, temporaryFolder, httpAddress: () => http.address() });
  const http = createHttpSide({
    address: config.VAPFARM_HTTP_ADDRESS,
    ready: () => readiness(resources),
    metrics: registry,
    onEnd: metrics.onRequest,
    descriptors,
    grpcAddress,
    maxMessageBytes,
    version,
    publicUrl: config.VAPFARM_PUBLIC_URL,
    needsCredentials: config.VAPFARM_CALLERS !== undefined,
    links: (fail) => createSignedArtifactRoute({ ...media.signed, fail }),
    pages: pages.route,
  });
  const grpc = grpcServer(parts, media);
  const component = sequence([
    tracing.component,
    uploadFolder(temporaryFolder),
    dispatch(parts),
    ...duties(parts, media),
    ...scaling(parts, registry),
    expand,
    relay,
    pages,
    http,
    grpc,
    hub,
  ]);
  return { ...component, grpcAddress, httpAddress: () => http.address() };
}

function scaling(parts: Parts, registry: Metrics): readonly Component[] {
  const { config, resources, logger, timings, announcer } = parts;
  return createScalingParts({
    settings: config.VAPFARM_SCALING,
    openCluster: resources.openCluster,
    store: resources.store,
    registry,
    logger,
    intervalMs: timings.scalingMs,
    watchWaitMs: { firstMs: Math.min(timings.scalingMs, 500), mostMs: 6 * timings.scalingMs },
    onCommitted: (aftermath) => announcer.announce([aftermath]),
    dutyOf: (spec) => dutyOf(spec, parts),
  });
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

function dutyOf(spec: DutySpec, { resources, logger, metrics, timings, holder }: Parts): Duty {
  return createDuty(spec, { store: resources.store, holder, holdMs: timings.dutyHoldMs, logger, onRound: metrics.onRound });
}

function duties(parts: Parts, { sender }: MediaParts): readonly Duty[] {
  const { config, resources, logger, metrics, timings, announcer, holder, tracing } = parts;
  const { store, artifacts, broker } = resources;
  const [pool] = config.VAPFARM_POOLS;
  if (pool === undefined) throw new FarmError("CONFIG_INVALID", { message: "a coordinator needs a pool" });
  const subject = subjectsOf(config.VAPFARM_FARM).beat(pool.name);
  const onCommitted = (aftermath: Aftermath): void => announcer.announce([aftermath]);
  const clock = (): number => performance.now();
  const sessionId = `canary-${holder}`;
  const specs: readonly DutySpec[] = [
    createCanary({ broker, subject, pool: pool.name, sessionId, intervalMs: timings.canaryMs, clock }),
    createReaper({ store, intervalMs: timings.reapMs, logger, onCommitted, onReap: metrics.onReap }),
    createPromotion({ store, intervalMs: timings.promotionMs, onCommitted }),
    createPreemptionDuty({
      store,
      policy: config.VAPFARM_PREEMPTION,
      intervalMs: timings.preemptionMs,
      logger,
      onCommitted,
      onPreempted: metrics.onPreempted,
    }),
    createDeadlines({ store, intervalMs: timings.deadlinesMs, onCommitted, onTold: metrics.onDeadlines }),
    createSweep({ store, intervalMs: timings.sweepMs, logger, onCommitted, onRepaired: metrics.onRepaired }),
    createOrder({ store, intervalMs: timings.orderMs, logger, onRepaired: metrics.onRepaired }),
    createHealthDuty({ store, intervalMs: timings.healthMs, logger, onCommitted, onJudged: metrics.onJudged }),
    createCollection({ store, artifacts, intervalMs: Math.min(timings.collectionMs, config.VAPFARM_KEEP_INTERMEDIATES_MS), logger }),
    createPrune({ store, intervalMs: timings.pruneMs, budgetMs: timings.dutyHoldMs / 2, clock, logger }),
    createBudgets({ store, intervalMs: timings.budgetMs, budgetMs: timings.dutyHoldMs / 5, clock, logger, onCommitted }),
    createBooksCheck({ store, intervalMs: timings.booksMs, now: () => new Date(), logger, onUnbalanced: metrics.onUnbalanced }),
    createSetScores({ store, intervalMs: timings.setScoresMs }),
    createTails(parts, tracing.tracer, timings.tailsMs),
    createWebhookDuty({
      store,
      descriptors,
      sender,
      intervalMs: timings.webhookMs,
      budgetMs: timings.dutyHoldMs / 5,
      logger,
      onTry: metrics.onWebhookTry,
    }),
  ];
  return specs.map((spec) => dutyOf(spec, parts));
}

function expandSpecOf({ config, resources, metrics, timings, announcer }: Parts): Expand {
  const { store, models } = resources;
  return createExpand({
    store,
    models,
    window: config.VAPFARM_OPEN_RENDERS,
    intervalMs: timings.expandMs,
    budgetMs: timings.dutyHoldMs / 5,
    clock: () => performance.now(),
    onCommitted: (aftermath) => announcer.announce([aftermath]),
    onExpanded: metrics.onExpanded,
  });
}

function relaySpec({ config, resources, metrics, timings, tracing }: Parts) {
  const subjects = subjectsOf(config.VAPFARM_FARM);
  const openStream = (): Promise<EventStream> =>
    openEventStream(resources.broker, { name: subjects.eventStream, subjects: subjects.allEvents });
  return createRelay({
    store: resources.store,
    openStream,
    subjectOf: (jobId) => subjects.events(jobId),
    intervalMs: timings.relayMs,
    maxAgeMs: config.VAPFARM_EVENT_STREAM_DAYS * dayMs,
    onUnsent: metrics.onUnsent,
    onCopied: (events) => {
      for (const { kind } of events) metrics.onCopied(kind);
      tracing.traces.onEvents(events);
    },
  });
}

/**
 * The environment of each service that `up` starts: pure.
 *
 * What the caller's environment says beside these (limits, lease, log level) reaches the services unchanged.
 */
import type { Environment } from "../../platform/config.ts";
import type { DataLayout } from "../data-folder.ts";
import type { PoolSettings, UpSettings } from "./settings.ts";

/** What runs before any service does. */
export type Foundation = {
  readonly settings: UpSettings;
  readonly layout: DataLayout;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly artifacts: string;
  readonly ffmpegPath: string;
  /** Of every pool: what all workers of this machine run with. */
  readonly profile: string;
  readonly callerEnvironment: Environment;
};

const anyLoopbackPort = "127.0.0.1:0";

function shared(foundation: Foundation): Environment {
  const { settings, natsUrl, artifacts, ffmpegPath, callerEnvironment } = foundation;
  return {
    ...callerEnvironment,
    NATS_URL: natsUrl,
    VAPFARM_MODELS: settings.modelsFolder,
    VAPFARM_ARTIFACTS: artifacts,
    VAPFARM_FFMPEG: ffmpegPath,
  };
}

type Previous = Readonly<Record<string, string>> | undefined;

/** A coordinator that starts again keeps its addresses. */
export function coordinatorEnvironment(foundation: Foundation, previous: Previous): Environment {
  const { settings, layout, databaseUrl, profile } = foundation;
  return {
    ...shared(foundation),
    DATABASE_URL: databaseUrl,
    VAPFARM_GRPC_ADDRESS: previous?.["grpcAddress"] ?? settings.grpcAddress,
    VAPFARM_HTTP_ADDRESS: previous?.["httpAddress"] ?? settings.httpAddress,
    VAPFARM_POOLS: JSON.stringify(settings.pools.map(({ name, models }) => ({ name, profile, models }))),
    VAPFARM_STATE_FOLDER: layout.coordinator,
  };
}

/** A worker of a pool. */
export type PlannedWorker = { readonly name: string; readonly pool: PoolSettings };

/** Every worker that is wanted: `worker-1` and so on where there is one pool, else `<pool>-1`. */
export function plannedWorkers({ pools }: Pick<UpSettings, "pools">): readonly PlannedWorker[] {
  return pools.flatMap((pool) => {
    const prefix = pools.length === 1 ? "worker" : pool.name;
    return Array.from({ length: pool.workers }, (_, index) => ({ name: `${prefix}-${index + 1}`, pool }));
  });
}

/** A worker knows nothing of the database. */
export function workerEnvironment(foundation: Foundation, { name, pool }: PlannedWorker, previous: Previous): Environment {
  const { settings, layout } = foundation;
  return {
    ...shared(foundation),
    DATABASE_URL: undefined,
    VAPFARM_HTTP_ADDRESS: previous?.["httpAddress"] ?? anyLoopbackPort,
    VAPFARM_POOL: pool.name,
    VAPFARM_WORKER_MODELS: pool.models?.join(","),
    VAPFARM_WORKER_EXCEPT_MODELS: pool.except?.join(","),
    VAPFARM_WORKER_NAME: name,
    VAPFARM_WORKER_FOLDER: layout.worker(name),
    VAPFARM_THREADS: String(settings.threads),
    VAPFARM_PROVIDERS: "cpu",
    // Ctrl-C takes a step, not a render, and costs none of its steps.
    VAPFARM_LEAVE_AT_ONCE: "1",
  };
}

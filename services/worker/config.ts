/**
 * Settings of a worker: environment → validated, frozen configuration. Pure; only main.ts reads the environment.
 */
import { hostname } from "node:os";
import { isAbsolute } from "node:path";
import { z } from "zod";
import type { CheckpointPace } from "../domain/vap/checkpoint-pace.ts";
import type { S3Settings } from "../platform/artifacts/s3/s3-client.ts";
import { artifactSettings, s3SettingsOf } from "../platform/artifacts/store-settings.ts";
import { type Environment, listenAddress, parseConfig, positiveInteger, switchFlag } from "../platform/config.ts";
import type { LogLevel } from "../platform/logging.ts";
import { type TracingConfig, tracingOf, tracingSettings } from "../platform/tracing/settings.ts";
import { parsePreload, type PreloadChoice } from "./models/preload-plan.ts";
import { type WorkerCrashPoint, workerCrashPoints } from "./session/crash-points.ts";

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const satisfies readonly LogLevel[];
const subjectToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, "-" and "_"');
const absolutePath = z.string().refine(isAbsolute, "must be an absolute path");
const nameList = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.string().min(1, "must be names separated by commas")).min(1));
const providerList = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.string().regex(/^[a-z0-9]+$/, "must be provider names separated by commas")).min(1));

const preloadChoice = z.string().transform((text, context): PreloadChoice => {
  const choice = parsePreload(text);
  if (choice !== undefined) return choice;
  context.addIssue({
    code: "custom",
    message: 'must be "none", "all", or names such as cog, cog/denoise or cog@prod, separated by commas',
  });
  return z.NEVER;
});

/** Of a run's time (docs/decisions/0011). */
const mostCheckpointShare = 0.01;

/** The table of settings; README.md lists the same. */
export const workerSettings = z.object({
  NATS_URL: z.string().min(1),
  VAPFARM_FARM: subjectToken.default("local"),
  VAPFARM_POOL: subjectToken.default("default"),
  VAPFARM_WORKER_NAME: z.string().min(1).max(200).optional(),
  VAPFARM_WORKER_FOLDER: absolutePath,
  VAPFARM_MODELS: absolutePath,
  VAPFARM_WORKER_MODELS: nameList.optional(),
  VAPFARM_WORKER_EXCEPT_MODELS: nameList.default([]),
  ...artifactSettings,
  VAPFARM_PROVIDERS: providerList.default(["cpu"]),
  VAPFARM_THREADS: positiveInteger.default(1),
  VAPFARM_FFMPEG: z.string().min(1).optional(),
  VAPFARM_MEMORY_BYTES: positiveInteger.optional(),
  VAPFARM_CACHE_BYTES: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(4 * 1024 ** 3),
  VAPFARM_OUTAGE_LIMIT_MS: positiveInteger.default(600_000),
  VAPFARM_DRAIN_MS: positiveInteger.default(30_000),
  VAPFARM_LEAVE_AT_ONCE: switchFlag.default(false),
  VAPFARM_STALL_MS: positiveInteger.default(30_000),
  VAPFARM_LOAD_LIMIT_MS: positiveInteger.default(600_000),
  VAPFARM_PRELOAD: preloadChoice.default({ kind: "none" }),
  VAPFARM_MODELS_RESCAN_MS: positiveInteger.default(15_000),
  VAPFARM_TRANSFER_LIMIT_MS: positiveInteger.default(600_000),
  VAPFARM_CHECKPOINT_STEPS: z.coerce.number().int().nonnegative().max(1_000_000).default(5),
  VAPFARM_CHECKPOINT_SECONDS: z.coerce.number().nonnegative().max(1_000_000).default(30),
  VAPFARM_RUN_JOURNAL: absolutePath.optional(),
  VAPFARM_HTTP_ADDRESS: listenAddress.default("127.0.0.1:0"),
  ...tracingSettings,
  VAPFARM_LOG_LEVEL: z.enum(levels).default("info"),
  VAPFARM_EXIT_WITH_PARENT: switchFlag.default(false),
  VAPFARM_CRASH_AT: z.enum(workerCrashPoints).optional(),
});

export type WorkerConfig = {
  readonly natsUrl: string;
  readonly farm: string;
  readonly pool: string;
  readonly name: string;
  /** Holds the worker's id, the runtime's pid file, scratch and cache. */
  readonly folder: string;
  readonly modelsFolder: string;
  /** Names of the models that it takes work of; undefined for all of the folder. */
  readonly models: readonly string[] | undefined;
  /** Names of those that it does not. */
  readonly exceptModels: readonly string[];
  readonly artifacts: string;
  /** For artifacts on S3. */
  readonly s3: S3Settings;
  /** Execution providers in order; every one must be accepted. */
  readonly providers: readonly string[];
  readonly threads: number;
  readonly ffmpegPath: string | undefined;
  /** What its tasks may use; undefined: the machine's. */
  readonly memoryBytes: number | undefined;
  readonly cacheBytes: number;
  readonly outageLimitMs: number;
  readonly drainMs: number;
  /** Whether a drain asks what runs to leave at once, and waits for that instead of for its end. */
  readonly leaveAtOnce: boolean;
  readonly stallMs: number;
  readonly loadLimitMs: number;
  /** Engines that are loaded and run once before it asks for work. */
  readonly preload: PreloadChoice;
  readonly rescanMs: number;
  readonly transferLimitMs: number;
  /** How often a denoise writes a checkpoint; neither steps nor time: never. */
  readonly checkpoints: CheckpointPace;
  /** Folder of journals; undefined: none is kept. */
  readonly journalFolder: string | undefined;
  readonly httpAddress: string;
  readonly tracing: TracingConfig;
  readonly logLevel: LogLevel;
  readonly exitWithParent: boolean;
  /** For tests. */
  readonly crashAt: WorkerCrashPoint | undefined;
};

/** Reads the settings. Throws CONFIG_INVALID. */
export function readWorkerConfig(environment: Environment): WorkerConfig {
  const settings = parseConfig(workerSettings, environment);
  return Object.freeze({
    natsUrl: settings.NATS_URL,
    farm: settings.VAPFARM_FARM,
    pool: settings.VAPFARM_POOL,
    name: settings.VAPFARM_WORKER_NAME ?? hostname(),
    folder: settings.VAPFARM_WORKER_FOLDER,
    modelsFolder: settings.VAPFARM_MODELS,
    models: settings.VAPFARM_WORKER_MODELS,
    exceptModels: settings.VAPFARM_WORKER_EXCEPT_MODELS,
    artifacts: settings.VAPFARM_ARTIFACTS,
    s3: s3SettingsOf(settings),
    providers: settings.VAPFARM_PROVIDERS,
    threads: settings.VAPFARM_THREADS,
    ffmpegPath: settings.VAPFARM_FFMPEG,
    memoryBytes: settings.VAPFARM_MEMORY_BYTES,
    cacheBytes: settings.VAPFARM_CACHE_BYTES,
    outageLimitMs: settings.VAPFARM_OUTAGE_LIMIT_MS,
    drainMs: settings.VAPFARM_DRAIN_MS,
    leaveAtOnce: settings.VAPFARM_LEAVE_AT_ONCE,
    stallMs: settings.VAPFARM_STALL_MS,
    loadLimitMs: settings.VAPFARM_LOAD_LIMIT_MS,
    preload: settings.VAPFARM_PRELOAD,
    rescanMs: settings.VAPFARM_MODELS_RESCAN_MS,
    transferLimitMs: settings.VAPFARM_TRANSFER_LIMIT_MS,
    checkpoints: {
      everySteps: settings.VAPFARM_CHECKPOINT_STEPS,
      everyMs: Math.round(settings.VAPFARM_CHECKPOINT_SECONDS * 1_000),
      mostShare: mostCheckpointShare,
    },
    journalFolder: settings.VAPFARM_RUN_JOURNAL,
    httpAddress: settings.VAPFARM_HTTP_ADDRESS,
    tracing: tracingOf(settings),
    logLevel: settings.VAPFARM_LOG_LEVEL,
    exitWithParent: settings.VAPFARM_EXIT_WITH_PARENT,
    crashAt: settings.VAPFARM_CRASH_AT,
  });
}

// What the agent itself is told by, and secrets: none of a runtime's business.
const notForRuntime = /^(NATS_|AWS_|DATABASE_URL$|NODE_CHANNEL_|VAPFARM_ARTIFACTS|VAPFARM_(CALLERS|EXIT_WITH_PARENT|HTTP_ADDRESS)$)/;

/** The environment of the runtime: the machine's own, the settings that runtime and agent share, and what this agent asks of it. */
export function runtimeEnvironment(config: WorkerConfig, environment: Environment): Readonly<Record<string, string>> {
  const shared = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !notForRuntime.test(entry[0]),
  );
  return {
    ...Object.fromEntries(shared),
    VAPFARM_RUNTIME_PROVIDERS: config.providers.join(","),
    VAPFARM_RUNTIME_THREADS: String(config.threads),
    VAPFARM_LOG_LEVEL: config.logLevel,
    ...(config.ffmpegPath === undefined ? {} : { VAPFARM_FFMPEG: config.ffmpegPath }),
  };
}

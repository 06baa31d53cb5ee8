/**
 * Settings of the stage runtime: environment → validated, frozen configuration. Pure; only main.ts reads the environment.
 */
import { isAbsolute } from "node:path";
import { z } from "zod";
import { type Environment, parseConfig, positiveInteger } from "../../platform/config.ts";
import { type TracingConfig, tracingOf, tracingSettings } from "../../platform/tracing/settings.ts";
import { type MediaLimits, mediaLimitsOf, mediaSettings } from "../../platform/media/limits.ts";

const providerList = z
  .string()
  .transform((text) => text.split(",").map((name) => name.trim()))
  .pipe(z.array(z.string().regex(/^[a-z0-9]+$/, "must be provider names separated by commas")).min(1));

const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** The table of settings; README.md lists the same. */
export const runtimeSettings = z.object({
  VAPFARM_RUNTIME_ADDRESS: z
    .string()
    .regex(/^(unix:\/.+|[^\s:]+:\d{1,5})$/, "must be unix:/path or host:port")
    .default("127.0.0.1:0"),
  VAPFARM_RUNTIME_PROVIDERS: providerList.default(["cpu"]),
  VAPFARM_RUNTIME_THREADS: positiveInteger.default(1),
  VAPFARM_RUNTIME_DEVICE: z.coerce.number().int().nonnegative().default(0),
  VAPFARM_RUNTIME_ARCHITECTURE: z.string().min(1).optional(),
  VAPFARM_RUNTIME_SESSION_BYTES: positiveInteger.default(64 * 1024 ** 3),
  VAPFARM_RUNTIME_CLIP_BYTES: positiveInteger.default(1024 ** 3),
  VAPFARM_RUN_JOURNAL: z.string().refine(isAbsolute, "must be an absolute path").optional(),
  VAPFARM_FFMPEG: z.string().min(1).optional(),
  VAPFARM_CACHE: z.string().min(1).optional(),
  PATH: z.string().optional(),
  ...mediaSettings,
  ...tracingSettings,
  VAPFARM_LOG_LEVEL: z.enum(levels).default("info"),
});

/** What the inference thread needs; plain data, it crosses to the thread. */
export type InferenceConfig = {
  /** Execution providers in order; every one must be accepted. */
  readonly providers: readonly string[];
  readonly threads: number;
  readonly deviceId: number;
  readonly sessionBytes: number;
  /** Decoded clips that are kept between runs. */
  readonly clipBytes: number;
  readonly ffmpegPath: string | undefined;
  readonly cacheFolder: string;
  readonly searchPath: string | undefined;
  readonly mediaLimits: MediaLimits;
};

export type RuntimeConfig = {
  readonly address: string;
  /** Compute architecture of the device, for the profile; CPU finds its own. */
  readonly architecture: string | undefined;
  readonly logLevel: (typeof levels)[number];
  /** Folder of journals; undefined: none is kept. */
  readonly journalFolder: string | undefined;
  readonly tracing: TracingConfig;
  readonly inference: InferenceConfig;
};

/** Reads the settings; `defaultCacheFolder` is where fetched programs go unless configured. Throws CONFIG_INVALID. */
export function readRuntimeConfig(environment: Environment, defaultCacheFolder: string): RuntimeConfig {
  const settings = parseConfig(runtimeSettings, environment);
  return Object.freeze({
    address: settings.VAPFARM_RUNTIME_ADDRESS,
    architecture: settings.VAPFARM_RUNTIME_ARCHITECTURE,
    logLevel: settings.VAPFARM_LOG_LEVEL,
    journalFolder: settings.VAPFARM_RUN_JOURNAL,
    tracing: tracingOf(settings),
    inference: {
      providers: settings.VAPFARM_RUNTIME_PROVIDERS,
      threads: settings.VAPFARM_RUNTIME_THREADS,
      deviceId: settings.VAPFARM_RUNTIME_DEVICE,
      sessionBytes: settings.VAPFARM_RUNTIME_SESSION_BYTES,
      clipBytes: settings.VAPFARM_RUNTIME_CLIP_BYTES,
      ffmpegPath: settings.VAPFARM_FFMPEG,
      cacheFolder: settings.VAPFARM_CACHE ?? defaultCacheFolder,
      searchPath: settings.PATH,
      mediaLimits: mediaLimitsOf(settings),
    },
  });
}

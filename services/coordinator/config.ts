/**
 * The coordinator's settings: environment → validated, frozen values. Pure; the table of SETTINGS.md is tested against this schema.
 */
import { z } from "zod";
import {
  jsonSetting,
  listenAddress,
  parseConfig,
  positiveInteger,
  secret,
  secretString,
  switchFlag,
  type Environment,
} from "../platform/config.ts";
import { artifactSettings, presignSettings } from "../platform/artifacts/store-settings.ts";
import { allowedAddresses } from "../platform/fetch/address-list.ts";
import { defaultPreemption as usual } from "../domain/preemption.ts";
import { accountFolder, scalingSchema } from "./kube/settings.ts";
import { mediaSettings } from "../platform/media/limits.ts";
import { tracingSettings } from "../platform/tracing/settings.ts";
import { roles } from "./rpc/caller.ts";
import { storeCrashPoints } from "./store/crash-points.ts";

const name = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, "must be 1 to 64 letters, digits, - or _");
const pool = z.object({
  name,
  profile: z.string().min(1),
  models: z.array(z.string().min(1)).min(1).optional(),
  memoryBytes: z.number().int().positive().optional(),
});
const share = z.number().min(0).max(1);
const caller = z.object({
  token: z
    .string()
    .regex(/^\S{16,}$/, "must have at least 16 characters and no spaces")
    .transform(secret),
  tenant: name,
  role: z.enum(roles),
});

function hasDistinct<T>(items: readonly T[], keyOf: (item: T) => string): boolean {
  return new Set(items.map(keyOf)).size === items.length;
}

const milliseconds = z.number().int().nonnegative();
const count = z.number().int().nonnegative().max(1_000);

/** PreemptionPolicy of domain/preemption; what is left out is as it is by default. */
const preemption = z.strictObject({
  graceMs: milliseconds.default(usual.graceMs),
  minRunMs: milliseconds.default(usual.minRunMs),
  priorityMargin: z.number().int().min(1).max(200).default(usual.priorityMargin),
  deadlines: z.boolean().default(usual.deadlines),
  mostTimes: count.default(usual.mostTimes),
  mostOpen: count.default(usual.mostOpen),
  leastLeftMs: milliseconds.default(usual.leastLeftMs),
  lastShare: share.default(usual.lastShare),
  lostShare: share.default(usual.lostShare),
  keepSlotMs: milliseconds.default(usual.keepSlotMs),
});

/** An address that others see this farm under: no path, query or user information. */
const publicUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => /^https?:\/\/[^/?#@]+\/?$/.test(text), "must be http://host[:port] or https://host[:port]")
  .transform((text) => new URL(text).origin);

/** Environment variable → its schema. */
export const coordinatorSchema = z
  .object({
    DATABASE_URL: secretString,
    NATS_URL: z.string().min(1),
    VAPFARM_FARM: name.default("local"),
    VAPFARM_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]).default("info"),
    VAPFARM_MODELS: z.string().min(1),
    ...artifactSettings,
    ...presignSettings,
    VAPFARM_STATE_FOLDER: z.string().min(1),
    VAPFARM_HTTP_ADDRESS: listenAddress.default("127.0.0.1:0"),
    VAPFARM_GRPC_ADDRESS: listenAddress.default("127.0.0.1:0"),
    VAPFARM_POOLS: jsonSetting(
      z
        .array(pool)
        .min(1)
        .refine((pools) => hasDistinct(pools, (one) => one.name), "pools must have distinct names")
        .refine(
          (pools) =>
            hasDistinct(
              pools.flatMap(({ models = [] }) => models),
              String,
            ),
          "a model must be named by one pool only",
        )
        .refine(
          (pools) => pools.filter(({ models }) => models === undefined).length <= 1,
          "only one pool may render the models that are left",
        ),
    ),
    VAPFARM_CALLERS: jsonSetting(z.array(caller).min(1)).optional(),
    VAPFARM_CLASS_FLOORS: jsonSetting(
      z
        .strictObject({ production: share.default(0), benchmark: share.default(0) })
        .refine(({ production, benchmark }) => production + benchmark <= 1, "floors must not add up to more than 1"),
    ).default({ production: 0, benchmark: 0.1 }),
    VAPFARM_SHARE_HALF_LIFE_MS: positiveInteger.default(3_600_000),
    VAPFARM_LEASE_MS: positiveInteger.default(15_000),
    VAPFARM_PREEMPTION: jsonSetting(preemption).default(usual),
    VAPFARM_FFMPEG: z.string().min(1).optional(),
    VAPFARM_CACHE: z.string().min(1).optional(),
    PATH: z.string().optional(),
    ...mediaSettings,
    VAPFARM_MEDIA_INSPECTIONS: positiveInteger.default(2),
    VAPFARM_UPLOADS: positiveInteger.default(64),
    VAPFARM_OPEN_RENDERS: positiveInteger.default(1_000),
    VAPFARM_WAITING_RENDERS: positiveInteger.default(2_000_000),
    VAPFARM_WAITING_RENDERS_PER_TENANT: positiveInteger.default(500_000),
    VAPFARM_OPEN_JOBS: positiveInteger.default(100_000),
    VAPFARM_OPEN_JOBS_PER_TENANT: positiveInteger.default(20_000),
    VAPFARM_SUBMITS: positiveInteger.default(64),
    VAPFARM_MANIFESTS: positiveInteger.default(4),
    VAPFARM_WATCHES: positiveInteger.default(2_000),
    VAPFARM_KEEP_JOBS_DAYS: positiveInteger.default(400),
    VAPFARM_KEEP_UPLOADS_DAYS: positiveInteger.default(30),
    VAPFARM_KEEP_INTERMEDIATES_MS: positiveInteger.default(7 * 24 * 3600 * 1000),
    VAPFARM_ARTIFACT_BYTES: positiveInteger.optional(),
    VAPFARM_ARTIFACT_BYTES_LOW: positiveInteger.optional(),
    VAPFARM_COLLECT_RESULTS: switchFlag.default(false),
    VAPFARM_PUBLIC_URL: publicUrl.optional(),
    VAPFARM_MEDIA_SOURCES: jsonSetting(allowedAddresses(["https:", "s3:"])).default([]),
    VAPFARM_FETCH_TIMEOUT_MS: positiveInteger.default(30_000),
    VAPFARM_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
    VAPFARM_S3_REGION: z.string().min(1).optional(),
    VAPFARM_WEBHOOK_TARGETS: jsonSetting(allowedAddresses(["https:", "http:"])).optional(),
    ...tracingSettings,
    VAPFARM_EVENT_STREAM_DAYS: positiveInteger.default(7),
    VAPFARM_SCALING: jsonSetting(scalingSchema).optional(),
    VAPFARM_KUBE_API: z
      .url({ protocol: /^https?$/ })
      .transform((text) => new URL(text).origin)
      .optional(),
    VAPFARM_KUBE_ACCOUNT: z.string().min(1).default(accountFolder),
    KUBERNETES_SERVICE_HOST: z.string().min(1).optional(),
    KUBERNETES_SERVICE_PORT: z.string().min(1).optional(),
    VAPFARM_EXIT_WITH_PARENT: switchFlag.default(false),
    VAPFARM_CRASH_AT: z.enum(storeCrashPoints).optional(),
  })
  .refine((given) => !given.VAPFARM_ARTIFACTS_S3_PRESIGN || given.VAPFARM_ARTIFACTS.startsWith("s3:"), {
    path: ["VAPFARM_ARTIFACTS_S3_PRESIGN"],
    message: "needs artifacts on S3: VAPFARM_ARTIFACTS=s3://bucket/prefix",
  })
  .refine(({ VAPFARM_ARTIFACT_BYTES: high, VAPFARM_ARTIFACT_BYTES_LOW: low }) => low === undefined || (high !== undefined && low <= high), {
    path: ["VAPFARM_ARTIFACT_BYTES_LOW"],
    message: "must be at most VAPFARM_ARTIFACT_BYTES, which must be set",
  })
  .refine(
    ({ VAPFARM_SCALING: scaling, VAPFARM_POOLS: pools }) =>
      scaling?.pools.every((one) => pools.some(({ name: own }) => own === one.name)) ?? true,
    {
      path: ["VAPFARM_SCALING"],
      message: "names a pool that VAPFARM_POOLS does not have",
    },
  );

export type CoordinatorConfig = Readonly<z.output<typeof coordinatorSchema>>;

/** Reads the coordinator's settings; throws CONFIG_INVALID listing every wrong one. */
export function readCoordinatorConfig(environment: Environment): CoordinatorConfig {
  return parseConfig(coordinatorSchema, environment);
}

/**
 * Which settings of the services the chart's values may name: `node tools/chart-settings.ts` writes them into values.schema.json.
 *
 * They are the services' own schemas without what the chart sets itself, so that a name with a slip is refused by Helm instead of being
 * ignored by a service. A test holds the file to them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { coordinatorSchema } from "../services/coordinator/config.ts";
import { workerSettings } from "../services/worker/config.ts";
import { runtimeSettings } from "../services/worker/runtime/config.ts";

const schemaPath = join(import.meta.dirname, "../deploy/helm/vapfarm/values.schema.json");

/** Set by the chart from values of their own, by the image, or for tests only. */
const notSettings = new Set(
  ["DATABASE_URL", "NATS_URL", "PATH", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"].concat(
    ["ARTIFACTS", "ARTIFACTS_S3_ENDPOINT", "ARTIFACTS_S3_PATH_STYLE", "ARTIFACTS_S3_REGION", "CACHE", "CALLERS", "CRASH_AT"]
      .concat([
        "CACHE_BYTES",
        "DRAIN_MS",
        "EXIT_WITH_PARENT",
        "FARM",
        "FFMPEG",
        "GRPC_ADDRESS",
        "HTTP_ADDRESS",
        "LEAVE_AT_ONCE",
        "KUBE_ACCOUNT",
        "KUBE_API",
      ])
      .concat(["LOG_LEVEL", "MEMORY_BYTES", "MODELS", "OTLP_ENDPOINT", "POOL", "POOLS", "PRELOAD", "PROVIDERS", "PUBLIC_URL"])
      .concat(["RUNTIME_ADDRESS", "RUNTIME_ARCHITECTURE", "RUNTIME_DEVICE", "RUNTIME_PROVIDERS", "RUNTIME_THREADS", "SCALING"])
      .concat(["STATE_FOLDER", "THREADS", "TRACE_SHARE", "WORKER_EXCEPT_MODELS", "WORKER_FOLDER", "WORKER_MODELS", "WORKER_NAME"])
      .map((name) => `VAPFARM_${name}`),
  ),
);

/** A schema of an object that has these settings and no others, all of them text as the environment is. */
function settingsOf(...shapes: readonly object[]): object {
  const names = new Set(shapes.flatMap((shape) => Object.keys(shape)).filter((name) => !notSettings.has(name)));
  const properties = Object.fromEntries([...names].toSorted().map((name) => [name, { type: "string" }]));
  return { type: "object", additionalProperties: false, properties };
}

/** The text of values.schema.json with the settings of today in it. */
export function withSettings(text: string): string {
  const schema = JSON.parse(text) as { readonly definitions: object };
  const settings = {
    coordinatorSettings: settingsOf(coordinatorSchema.shape),
    workerSettings: settingsOf(workerSettings.shape, runtimeSettings.shape),
  };
  return `${JSON.stringify({ ...schema, definitions: { ...schema.definitions, ...settings } }, undefined, 2)}\n`;
}

if (import.meta.main) writeFileSync(schemaPath, withSettings(readFileSync(schemaPath, "utf8")));

/**
 * What `up` was asked for, from flags and environment: pure, checked before anything starts.
 */
import { resolve } from "node:path";
import { FarmError, type FieldViolation, toFarmError } from "../../domain/errors.ts";
import { parseStoreAddress } from "../../platform/artifacts/store-address.ts";
import type { Environment } from "../../platform/config.ts";

/** As commander hands them over. */
export type UpOptions = {
  readonly data?: string;
  readonly ephemeral?: boolean;
  readonly workers?: string;
  readonly pool?: readonly string[];
  readonly threads?: string;
  readonly models?: string;
  readonly artifacts?: string;
  readonly grpcAddress?: string;
  readonly httpAddress?: string;
  readonly json?: boolean;
};

/** A pool of `up`; without `models` it renders every model that no other pool names, those of `except`. */
export type PoolSettings = {
  readonly name: string;
  readonly workers: number;
  readonly models?: readonly string[];
  readonly except?: readonly string[];
};

/** What they mean together with the environment. */
export type UpSettings = {
  /** Undefined: the default folder, or with `isEphemeral` a temporary one. */
  readonly dataFolder: string | undefined;
  readonly isEphemeral: boolean;
  /** At least one. */
  readonly pools: readonly PoolSettings[];
  /** Threads of each worker's runtime; part of the profile. */
  readonly threads: number;
  readonly modelsFolder: string;
  readonly grpcAddress: string;
  /** Of the coordinator: pages and JSON. */
  readonly httpAddress: string;
  /** Used instead of the embedded ones when set. */
  readonly databaseUrl: string | undefined;
  readonly natsUrl: string | undefined;
  readonly artifacts: string | undefined;
  readonly natsServerPath: string | undefined;
  readonly ffmpegPath: string | undefined;
  readonly cacheFolder: string;
};

type Folders = { readonly projectFolder: string; readonly workingFolder: string };

/** Throws CONFIG_INVALID with every violation. */
export function settingsOf(options: UpOptions, environment: Environment, folders: Folders): UpSettings {
  const violations: FieldViolation[] = [];
  const text = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  const inWork = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(folders.workingFolder, path));
  if (options.ephemeral === true && options.data !== undefined) {
    const remedy = "leave one of them out: an ephemeral farm makes its own folder and removes it";
    violations.push({ field: "--ephemeral", reason: "cannot stand beside --data", remedy });
  }
  const settings: UpSettings = {
    dataFolder: inWork(options.data ?? (options.ephemeral === true ? undefined : text("VAPFARM_DATA"))),
    isEphemeral: options.ephemeral === true,
    pools: poolsOf(options, violations),
    threads: count("--threads", options.threads ?? "1", violations),
    modelsFolder: inWork(options.models ?? text("VAPFARM_MODELS")) ?? resolve(folders.projectFolder, "models"),
    grpcAddress: addressOf("--grpc-address", options.grpcAddress ?? text("VAPFARM_GRPC_ADDRESS"), violations),
    httpAddress: addressOf("--http-address", options.httpAddress ?? text("VAPFARM_HTTP_ADDRESS"), violations),
    databaseUrl: text("DATABASE_URL"),
    natsUrl: text("NATS_URL"),
    artifacts: storeOf(options.artifacts ?? text("VAPFARM_ARTIFACTS"), violations),
    natsServerPath: text("VAPFARM_NATS_SERVER"),
    ffmpegPath: text("VAPFARM_FFMPEG"),
    cacheFolder: inWork(text("VAPFARM_CACHE")) ?? resolve(folders.projectFolder, ".cache"),
  };
  if (violations.length > 0) throw invalid(violations);
  return settings;
}

/** Name of the pool that there is when none is named. */
export const defaultPoolName = "local";

function poolsOf({ pool = [], workers = "2" }: UpOptions, violations: FieldViolation[]): readonly PoolSettings[] {
  const each = count("--workers", workers, violations);
  if (pool.length === 0) return [{ name: defaultPoolName, workers: each }];
  const pools = pool.map((text) => poolOf(text, each, violations));
  const refuse = (reason: string): void => void violations.push({ field: "--pool", reason, remedy: "name each pool and each model once" });
  const [again] = doubles(pools.map(({ name }) => name));
  if (again !== undefined) refuse(`names pool ${again} again`);
  const models = pools.flatMap((one) => one.models ?? []);
  const [model] = doubles(models);
  if (model !== undefined) refuse(`gives model ${model} to two pools`);
  if (pools.filter((one) => one.models === undefined).length > 1) refuse("leaves the same models to two pools");
  return pools.map((one) => (one.models === undefined && models.length > 0 ? { ...one, except: models } : one));
}

function doubles(names: readonly string[]): readonly string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

/** `name`, `name=model,model`, either with `:workers` behind it. */
function poolOf(text: string, workers: number, violations: FieldViolation[]): PoolSettings {
  const found = /^(?<name>[A-Za-z0-9_-]{1,64})(?:=(?<models>[^,:=]+(?:,[^,:=]+)*))?(?::(?<count>\d{1,4}))?$/.exec(text)?.groups;
  if (found?.["name"] === undefined) {
    violations.push({ field: "--pool", reason: `"${text}" is no pool`, remedy: "for example wan=demo-wan or wan=demo-wan:2" });
    return { name: text, workers };
  }
  const own = found["count"] === undefined ? workers : count("--pool", found["count"], violations);
  const models = found["models"]?.split(",");
  return { name: found["name"], workers: own, ...(models === undefined ? {} : { models }) };
}

function count(field: string, text: string, violations: FieldViolation[]): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= 256) return value;
  violations.push({ field, reason: `"${text}" is no number from 1 to 256`, remedy: "give a whole number" });
  return 1;
}

/** Checked here, so that nothing starts for a store that cannot be. */
function storeOf(address: string | undefined, violations: FieldViolation[]): string | undefined {
  if (address === undefined) return undefined;
  try {
    parseStoreAddress(address);
  } catch (thrown) {
    violations.push({ field: "--artifacts", reason: toFarmError(thrown).message, remedy: "correct it, or leave it out for a folder" });
  }
  return address;
}

function addressOf(field: string, given: string | undefined, violations: FieldViolation[]): string {
  const text = given ?? "127.0.0.1:0";
  if (/^[^\s:]+:\d{1,5}$/.test(text)) return text;
  const remedy = "for example 127.0.0.1:7443; port 0 takes a free one";
  violations.push({ field, reason: `"${text}" is not host:port`, remedy });
  return text;
}

function invalid(fields: readonly FieldViolation[]): FarmError {
  const message = fields.map(({ field, reason }) => `${field} ${reason}`).join("; ");
  return new FarmError("CONFIG_INVALID", { message, details: { fields } });
}

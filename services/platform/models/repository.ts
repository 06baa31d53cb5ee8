/**
 * The model repository: a folder of models, each a folder that `vapfarm-export` wrote.
 *
 * A folder named `<name>@<version>` is a version that was pulled: of those there are several of one name. Opening reads only the manifest. Files are hashed when an engine is about to be used, once for as long as their size and time of change
 * stay the same, because hashing 20 GB before every task would cost more than the task.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { versionOfFolder } from "../../domain/model-reference.ts";
import { hashFile } from "../artifacts/fetch.ts";
import { type Engine, type EngineFile, type ModelManifest, parseJson, parseManifest } from "./manifest.ts";
import { isMetricsManifest, type MetricsManifest, parseMetricsManifest } from "./metrics-manifest.ts";

const manifestName = "farm.json";

/** What a folder of the repository may hold. */
export type HeldManifest = ModelManifest | MetricsManifest;

/** Whether it computes metrics; else it renders. */
export function isMetrics(manifest: HeldManifest): manifest is MetricsManifest {
  return "kind" in manifest;
}

/** Reads and checks the manifest of a model that renders; MODEL_INVALID names path and reason. */
export async function openModel(folder: string): Promise<ModelManifest> {
  return requireModel(await openManifest(folder));
}

/** The manifest of a model that renders, or MODEL_INVALID. */
export function requireModel(manifest: HeldManifest): ModelManifest {
  if (!isMetrics(manifest)) return manifest;
  throw new FarmError("MODEL_INVALID", { message: `model ${manifest.folder} holds metric networks and renders nothing` });
}

/** Reads and checks the manifest of metric networks; MODEL_INVALID names path and reason. */
export async function openMetrics(folder: string): Promise<MetricsManifest> {
  const manifest = await openManifest(folder);
  if (isMetrics(manifest)) return manifest;
  throw new FarmError("MODEL_INVALID", { message: `model ${manifest.folder} renders and holds no metric networks` });
}

/** Reads and checks a manifest of either kind; MODEL_INVALID names path and reason. */
export async function openManifest(folder: string): Promise<HeldManifest> {
  const absolute = resolve(folder);
  const text = await readFile(join(absolute, manifestName), "utf8").catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `model ${absolute}: ${manifestName} cannot be read`, cause });
  });
  return parseHeldManifest(text, absolute);
}

/** The text of a manifest of either kind, checked; MODEL_INVALID names folder and reason. */
export function parseHeldManifest(text: string, folder: string): HeldManifest {
  return isMetricsManifest(parseJson(text, folder)) ? parseMetricsManifest(text, folder) : parseManifest(text, folder);
}

/** A version that was pulled. */
export type PulledVersion = { readonly version: string; readonly manifest: HeldManifest };

export type FoundModels = {
  /** Those that render, by name. */
  readonly models: ReadonlyMap<string, ModelManifest>;
  /** Repositories of metric networks, by name; no name is in both. */
  readonly metrics: ReadonlyMap<string, MetricsManifest>;
  /** Versions that were pulled, by name of their folders; any number of one name, beside a plain folder's. */
  readonly versions: readonly PulledVersion[];
  /** MODEL_INVALID for each folder that holds no sound model, or one of a name that another folder has too. */
  readonly faults: readonly FarmError[];
};

/**
 * Every model of a repository folder; folders without a manifest are no models, and a link to one is one. A damaged model does not take the
 * others along. Of two with one name neither is served: which was meant is not ours to guess. `open` may keep what it has opened.
 */
export async function findModels(repositoryFolder: string, open: typeof openManifest = openManifest): Promise<FoundModels> {
  const opened: HeldManifest[] = [];
  const versions: PulledVersion[] = [];
  const faults: FarmError[] = [];
  for (const folder of await modelFolders(repositoryFolder)) {
    try {
      const manifest = await open(folder);
      const version = pulledAs(folder, manifest);
      if (version === undefined) opened.push(manifest);
      else versions.push({ version, manifest });
    } catch (thrown) {
      faults.push(toFarmError(thrown, "MODEL_INVALID"));
    }
  }
  const models = new Map<string, ModelManifest>();
  const metrics = new Map<string, MetricsManifest>();
  for (const [name, [model, ...others]] of Map.groupBy(opened, (each) => each.name)) {
    if (model === undefined) continue;
    if (others.length > 0) faults.push(severalOf(name, [model, ...others]));
    else if (isMetrics(model)) metrics.set(name, model);
    else models.set(name, model);
  }
  return { models, metrics, versions, faults };
}

/** The version that a folder's name says; a folder of another model is MODEL_INVALID. */
function pulledAs(folder: string, manifest: HeldManifest): string | undefined {
  const named = versionOfFolder(basename(folder));
  if (named === undefined || named.name === manifest.name) return named?.version;
  throw new FarmError("MODEL_INVALID", { message: `model ${folder} holds ${manifest.name}, not what its folder says` });
}

function severalOf(name: string, models: readonly HeldManifest[]): FarmError {
  const folders = models.map(({ folder }) => folder).join(", ");
  return new FarmError("MODEL_INVALID", { message: `model ${name} stands in several folders: ${folders}` });
}

/** Which of the named models a repository folder does not have, and what is wrong with what it has; undefined where it has all of them. */
export function lackOf(names: readonly string[], found: FoundModels, folder: string): string | undefined {
  const { models, metrics, versions, faults } = found;
  const pulled = new Set(versions.map(({ manifest }) => manifest.name));
  const missing = names.filter((name) => !models.has(name) && !metrics.has(name) && !pulled.has(name));
  if (missing.length === 0) return undefined;
  return [`${folder} has no sound model ${missing.join(", ")}`, ...faults.map(({ message }) => message)].join("; ");
}

/** Folders with a manifest, and links to such, by name. */
async function modelFolders(repositoryFolder: string): Promise<readonly string[]> {
  const names = await readdir(repositoryFolder).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `the model repository ${repositoryFolder} cannot be read`, cause });
  });
  const folders = names.toSorted().map((name) => join(repositoryFolder, name));
  const isModel = await Promise.all(folders.map((folder) => isFile(join(folder, manifestName))));
  return folders.filter((_, index) => isModel[index]);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

export type EngineVerifier = {
  /** Makes sure that the engine's files are those of its digest; MODEL_INVALID names the file that is not. */
  verify(manifest: Pick<HeldManifest, "folder">, engine: Engine): Promise<void>;
};

/** A verifier that remembers which files it has hashed. */
export function createEngineVerifier(): EngineVerifier {
  const known = new Map<string, string>();
  return {
    async verify(manifest, engine) {
      for (const file of engine.files) await verifyFile(join(manifest.folder, file.path), { file, known });
    },
  };
}

type FileCheck = { readonly file: EngineFile; readonly known: Map<string, string> };

async function verifyFile(path: string, { file, known }: FileCheck): Promise<void> {
  const found = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `${path} is missing`, cause });
  });
  if (found.size !== BigInt(file.bytes)) {
    throw new FarmError("MODEL_INVALID", { message: `${path} has ${found.size.toString()} bytes, expected ${file.bytes}` });
  }
  const mark = `${found.size.toString()}:${found.mtimeNs.toString()}:${found.ino.toString()}:${file.sha256}`;
  if (known.get(path) === mark) return;
  const { sha256 } = await hashFile(path);
  if (sha256 !== file.sha256) throw new FarmError("MODEL_INVALID", { message: `${path} has SHA-256 ${sha256}, expected ${file.sha256}` });
  known.set(path, mark);
}

/**
 * The model repository: a folder of models, each a folder that `vapfarm-export` wrote.
 *
 * Opening reads only the manifest. Files are hashed when an engine is about to be used, once for as long as their size and time of change
 * stay the same, because hashing 20 GB before every task would cost more than the task.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { hashFile } from "../artifacts/fetch.ts";
import { type Engine, type EngineFile, type ModelManifest, parseManifest } from "./manifest.ts";

const manifestName = "farm.json";

/** Reads and checks a model's manifest; MODEL_INVALID names path and reason. */
export async function openModel(folder: string): Promise<ModelManifest> {
  const absolute = resolve(folder);
  const text = await readFile(join(absolute, manifestName), "utf8").catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `model ${absolute}: ${manifestName} cannot be read`, cause });
  });
  return parseManifest(text, absolute);
}

/** Every model of a repository folder, by folder name; folders without a manifest are no models. */
export async function listModels(repositoryFolder: string): Promise<readonly ModelManifest[]> {
  const entries = await readdir(repositoryFolder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new FarmError("MODEL_INVALID", { message: `the model repository ${repositoryFolder} cannot be read`, cause });
  });
  const models: ModelManifest[] = [];
  for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    const folder = join(repositoryFolder, entry.name);
    if (entry.isDirectory() && (await isFile(join(folder, manifestName)))) models.push(await openModel(folder));
  }
  return models;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

export type EngineVerifier = {
  /** Makes sure that the engine's files are those of its digest; MODEL_INVALID names the file that is not. */
  verify(manifest: ModelManifest, engine: Engine): Promise<void>;
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

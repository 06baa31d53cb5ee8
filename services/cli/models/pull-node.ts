/**
 * Versions onto a node: which of them, what goes to make room, each pulled, and what aliases meant then written down for who starts there.
 *
 * What is named must come, or the pull fails. Without names it is what the farm needs of the pool, and of that what fits, what aliases name
 * first: one version too many, of a job that will end, must not keep a worker from starting with the rest.
 */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FarmCalls } from "../../client/calls.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { pinnedReference } from "../../domain/model-reference.ts";
import { bytesOf } from "../../domain/model-version.ts";
import type { HeldVersion } from "../../domain/node-budget.ts";
import type { ModelVersion } from "../../gen/proto/vapfarm/v1/models.ts";
import { type ChunkSource, withLocal } from "./chunk-source.ts";
import { chunksHeld, listNode, markUsed, placeOf, tidyNode, type VersionOnDisk, writeAliases } from "./node-folder.ts";
import { evictForRoom, fittingOf, versionsNeeded } from "./pull-plan.ts";
import { inFolder, pullVersion } from "./pull-version.ts";
import { versionToPull } from "./version-to-pull.ts";

export type NodePull = {
  readonly calls: Pick<FarmCalls, "listModelVersions" | "getModelVersion" | "getFarm">;
  readonly root: string;
  /** None: what the farm needs. */
  readonly references: readonly string[];
  /** Of what the farm needs; undefined for all of it. */
  readonly pool: string | undefined;
  /** Undefined: as much as the disk has. */
  readonly budgetBytes: number | undefined;
  readonly source: ChunkSource;
  readonly parallel: number;
  readonly signal: AbortSignal;
  readonly onProgress: (reference: string) => Progress;
};

type Progress = { (done: number, total: number): void; end(): void };

/** What became of one version. */
export type PullOutcome = {
  readonly reference: string;
  readonly folder: string;
  readonly bytes: number;
  readonly pulledBytes: number;
  /** Of it from other versions here. */
  readonly localBytes: number;
  /** Of it that lay here already. */
  readonly keptBytes: number;
  readonly seconds: number;
};

export type NodePulled = {
  readonly outcomes: readonly PullOutcome[];
  readonly evicted: readonly HeldVersion[];
  /** What the farm needs and the budget has no room for. */
  readonly left: readonly ModelVersion[];
};

/** Pulls; the folder's lock is the caller's. */
export async function pullToNode(pull: NodePull): Promise<NodePulled> {
  const { calls, root } = pull;
  const { versions: known } = await calls.listModelVersions({});
  const { references, left } = await choose(pull, known);
  const wanted: VersionOnDisk[] = [];
  for (const reference of references) wanted.push(await versionToPull(calls, reference));
  // As gc does: a half of a version that the farm needs is somebody's who will go on with it, the next init container's for one.
  await tidyNode(root, [...versionsNeeded(known, undefined), ...wanted]);
  const evicted = await makeRoomFor(pull, wanted, known);
  const outcomes: PullOutcome[] = [];
  for (const version of wanted) outcomes.push(await pullOne(pull, version));
  await inFolder(() => writeAliases(root, known));
  return { outcomes, evicted, left };
}

async function choose({ calls, references, root, pool, budgetBytes }: NodePull, known: readonly ModelVersion[]) {
  if (references.length > 0) return { references, left: [] };
  const needed = versionsNeeded(known, pool);
  if (needed.length === 0 && pool !== undefined) await requirePool(calls, pool);
  const { fitting, left } = budgetBytes === undefined ? { fitting: needed, left: [] } : await fittingOf(needed, { root, known, budgetBytes });
  return { references: fitting.map(({ name, version }) => pinnedReference(name, version)), left };
}

/** A worker that starts without its models because of a slip of the pen would be found late. */
async function requirePool(calls: NodePull["calls"], pool: string): Promise<void> {
  const { farm } = await calls.getFarm({});
  const names = farm?.pools.map(({ name }) => name) ?? [];
  if (names.includes(pool)) return;
  throw new FarmError("POOL_UNKNOWN", { message: `the farm has no pool ${pool}; it has ${names.join(", ")}` });
}

async function makeRoomFor({ root, budgetBytes }: NodePull, wanted: readonly VersionOnDisk[], known: readonly ModelVersion[]): Promise<readonly HeldVersion[]> {
  if (budgetBytes === undefined) return [];
  const here = new Set((await listNode(root)).map(({ reference }) => reference));
  const coming = wanted.filter(({ name, version }) => !here.has(pinnedReference(name, version)));
  const neededBytes = coming.reduce((sum, { files }) => sum + bytesOf(files), 0);
  const references = wanted.map(({ name, version }) => pinnedReference(name, version));
  try {
    return await evictForRoom({ root, known, wanted: references, neededBytes, budgetBytes, isDry: false });
  } catch (thrown) {
    // What lies here already needs no room: that it is too much must not keep a worker from starting.
    if (coming.length === 0 && toFarmError(thrown).code === "MODEL_BUDGET_EXCEEDED") return [];
    throw thrown;
  }
}

async function pullOne(pull: NodePull, version: VersionOnDisk): Promise<PullOutcome> {
  const { root, source, signal, parallel } = pull;
  const reference = pinnedReference(version.name, version.version);
  const told = { reference, folder: placeOf(root, version), bytes: bytesOf(version.files) };
  const here = await listNode(root);
  if (here.some((each) => each.reference === reference)) {
    await markUsed(root, version);
    return { ...told, pulledBytes: 0, localBytes: 0, keptBytes: told.bytes, seconds: 0 };
  }
  await clearPlace(told.folder);
  let localBytes = 0;
  const local = withLocal(source, chunksHeld(here), (bytes) => (localBytes += bytes));
  const onProgress = pull.onProgress(reference);
  const { keptBytes, writtenBytes, seconds } = await pullVersion(version, { root, source: local, signal, parallel, onProgress }).finally(() =>
    onProgress.end(),
  );
  await markUsed(root, version);
  return { ...told, keptBytes, localBytes, pulledBytes: writtenBytes - localBytes, seconds };
}

/** What has a version's name and is none, which no pull leaves: in the way of one. */
async function clearPlace(folder: string): Promise<void> {
  if ((await stat(join(folder, ".")).catch(() => undefined)) !== undefined) await rm(folder, { recursive: true });
}

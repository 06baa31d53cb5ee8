/**
 * The models of this worker: those of its folder that it is for, plain ones and versions that were pulled.
 *
 * The folder is looked at again while the worker runs, so that a version which a puller brought to the node is told with the next `next`, and
 * one that was evicted is not. What runs from an evicted version goes on: its files are open.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { Logger } from "../../platform/logging.ts";
import { pause } from "../../platform/deadline.ts";
import type { Component } from "../../platform/lifecycle.ts";
import { findModels, type FoundModels, type HeldManifest, lackOf } from "../../platform/models/repository.ts";

/** A model in a folder of its own. */
export type HeldModelFolder = {
  readonly manifest: HeldManifest;
  /** Undefined: a plain folder's. */
  readonly version: string | undefined;
};

export type HeldModels = Component & {
  current(): readonly HeldModelFolder[];
};

export type HeldModelOptions = {
  readonly folder: string;
  /** Names of models; undefined for all. */
  readonly wanted: readonly string[] | undefined;
  readonly except: readonly string[];
  readonly logger: Logger;
  readonly rescanMs: number;
  /** Told of what is held, at the start and at each change. */
  readonly onHeld: (manifests: readonly HeldManifest[]) => void;
};

type Claimed = { readonly model: string; readonly engineDigests: Readonly<Record<string, string>> };

/** Reads the folder with `start`; a model that is named and cannot be had is MODEL_INVALID then. */
export function createHeldModels(options: HeldModelOptions): HeldModels {
  let held: readonly HeldModelFolder[] = [];
  const stopping = new AbortController();
  const told = new Set<string>();
  let looking: Promise<void> = Promise.resolve();
  const take = (next: readonly HeldModelFolder[]): void => {
    held = next;
    options.onHeld(next.map(({ manifest }) => manifest));
  };
  const look = async (): Promise<FoundModels> => {
    const found = await findModels(options.folder);
    for (const fault of found.faults) {
      if (!told.has(fault.message)) options.logger.error({ err: fault }, "a model is damaged and no work of it is taken");
      told.add(fault.message);
    }
    return found;
  };
  const lookAgain = async (): Promise<void> => {
    for (;;) {
      await pause(options.rescanMs, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        const next = heldOf(await look(), options);
        if (tellChange(held, next, options.logger)) take(next);
      } catch (thrown) {
        options.logger.warn({ err: toFarmError(thrown) }, "the models could not be looked at again");
      }
    }
  };
  return {
    current: () => held,
    async start() {
      const found = await look();
      const lack = lackOf(options.wanted ?? [], found, options.folder);
      if (lack !== undefined) throw new FarmError("MODEL_INVALID", { message: lack });
      take(heldOf(found, options));
      looking = lookAgain();
    },
    async stop() {
      stopping.abort();
      await looking;
    },
  };
}

/** Plain folders first, then versions by name of their folders. */
function heldOf({ models, metrics, versions }: FoundModels, { wanted, except }: HeldModelOptions): readonly HeldModelFolder[] {
  const plain = [...models.values(), ...metrics.values()].map((manifest) => ({ manifest, version: undefined }));
  return [...plain, ...versions].filter(({ manifest: { name } }) => (wanted?.includes(name) ?? true) && !except.includes(name));
}

/** Whether anything has come, gone, or got other engines. */
function tellChange(before: readonly HeldModelFolder[], now: readonly HeldModelFolder[], logger: Logger): boolean {
  const mark = ({ manifest: { folder, engines } }: HeldModelFolder): string =>
    [folder, ...Object.values(engines).map(({ digest }) => digest)].join(" ");
  const foldersOf = (some: readonly HeldModelFolder[]): ReadonlySet<string> => new Set(some.map(mark));
  const [old, next] = [foldersOf(before), foldersOf(now)];
  const come = [...next].filter((folder) => !old.has(folder));
  const gone = [...old].filter((folder) => !next.has(folder));
  if (come.length + gone.length === 0) return false;
  const pathOf = (each: string): string => each.split(" ")[0] ?? "";
  logger.info({ come: come.map(pathOf), gone: gone.map(pathOf) }, "the models of this node have changed");
  return true;
}

/** The folder that a claim runs from: one whose engines have its digests, of its own model if there is one. MODEL_INVALID otherwise. */
export function folderOf(held: readonly HeldModelFolder[], { model, engineDigests }: Claimed): string {
  const fitting = held.filter(({ manifest }) => hasEngines(manifest, engineDigests));
  const chosen = fitting.find(({ manifest }) => manifest.name === model) ?? fitting[0];
  if (chosen !== undefined) return chosen.manifest.folder;
  const named = held.filter(({ manifest }) => manifest.name === model);
  const reason = named.length === 0 ? `this worker has no model "${model}"` : `no version of model "${model}" here has the engines of the claim`;
  throw new FarmError("MODEL_INVALID", { message: reason });
}

function hasEngines({ engines }: HeldManifest, digests: Readonly<Record<string, string>>): boolean {
  return Object.entries(digests).every(([name, digest]) => engines[name]?.digest === digest);
}

/**
 * What a running farm writes down about its processes: the ledger, by which the next start ends what a kill -9 left, and the
 * endpoint file, by which other commands find the farm.
 *
 * Invariants: writes follow one another and each takes the newest state, so the last one is true; nothing is written after `close`.
 * Without this, a program that was started again would be missing in the ledger, and outlive a killed farm.
 */
import { rm } from "node:fs/promises";
import { type DataLayout, type FarmFile, writeFarmFile } from "../data-folder.ts";
import type { Keeper } from "./keeper.ts";
import { writeLedger } from "./process-ledger.ts";

/** The two files, rewritten with each change of the processes. */
export class Publication {
  readonly keepers: Keeper[] = [];
  readonly #layout: DataLayout;
  /** Undefined until the farm answers. */
  #describe: (() => FarmFile) | undefined;
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(layout: DataLayout) {
    this.#layout = layout;
  }

  /** From now on the endpoint file is written, too. */
  announce(describe: () => FarmFile): Promise<void> {
    this.#describe = describe;
    return this.publish();
  }

  /** Writes what runs now, after what is being written; rejects when it could not. */
  publish(): Promise<void> {
    this.#last = this.#last.catch(() => undefined).then(() => this.#write());
    return this.#last;
  }

  /** Waits for what is being written, and takes the endpoint file away. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last.catch(() => undefined);
    await rm(this.#layout.farmFile, { force: true });
  }

  async #write(): Promise<void> {
    if (this.#isClosed) return;
    // Postgres keeps its own account, and ends its own leftovers.
    await writeLedger(this.#layout.processesFile, runningOf(this.keepers.filter(({ name }) => name !== "postgres")));
    if (this.#describe !== undefined) await writeFarmFile(this.#layout.farmFile, this.#describe());
  }
}

/** The processes that run now. */
export function runningOf(keepers: readonly Keeper[]): FarmFile["processes"] {
  return keepers.flatMap((keeper) => {
    const life = keeper.current();
    if (life === undefined) return [];
    const { httpAddress } = life.facts;
    return [{ name: keeper.name, processId: life.processId, ...(httpAddress === undefined ? {} : { httpAddress }) }];
  });
}

/**
 * Keeps one program running: a life that ends unasked is followed by another, after a pause that grows while lives are short.
 *
 * Invariants: at most one life at a time; no new life once stop began; stop before start and stop twice are safe.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import type { Component } from "../../platform/lifecycle.ts";

/** One life of a program. */
export type Life = {
  readonly processId: number;
  /** What it said when it was ready, e.g. addresses. */
  readonly facts: Readonly<Record<string, string>>;
  /** Settles when it has ended, with how. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
  /** Asks once more, for an end at once; what ends quickly anyhow has none. */
  hurry?(): void;
};

/** How a child is kept. */
export type KeeperOptions = {
  readonly name: string;
  /** Begins a life; `previous` are the facts of the last one, so that addresses can be kept. */
  readonly begin: (previous: Readonly<Record<string, string>> | undefined) => Promise<Life>;
  /** Told when a life ended unasked, a start failed, or a new life began. */
  readonly onEvent: (event: KeeperEvent) => void;
};

/** What happened to a child. */
export type KeeperEvent =
  | { readonly kind: "ended"; readonly name: string; readonly how: string; readonly againInMs: number }
  | { readonly kind: "failed"; readonly name: string; readonly error: FarmError; readonly againInMs: number }
  | { readonly kind: "began"; readonly name: string; readonly life: Life };

/** A child that is started again when it ends. */
export type Keeper = Component & {
  readonly name: string;
  current(): Life | undefined;
  /** Of the latest life, also while none runs. */
  facts(): Readonly<Record<string, string>>;
  /** Lets the life of the moment end at once, if it can. */
  hurry(): void;
};

const longLifeMs = 30_000;

/** How long to wait before the next life, after so many short ones in a row. */
export function restartDelayMs(shortLives: number): number {
  return Math.min(30_000, 250 * 2 ** Math.max(0, shortLives - 1));
}

/** `start` begins the first life and throws what hinders it. */
export function createKeeper(options: KeeperOptions): Keeper {
  const stopping = new AbortController();
  let life: Life | undefined;
  let facts: Readonly<Record<string, string>> = {};
  let watching = Promise.resolve();
  const onLife = (next: Life | undefined): void => {
    life = next;
    facts = next?.facts ?? facts;
  };
  return {
    name: options.name,
    current: () => life,
    facts: () => facts,
    hurry: () => life?.hurry?.(),
    async start() {
      const first = await options.begin(undefined);
      onLife(first);
      watching = keep(options, { first, stopping: stopping.signal, onLife });
    },
    async stop() {
      stopping.abort();
      await life?.stop();
      await watching;
      await life?.stop();
    },
  };
}

type Watch = { readonly first: Life; readonly stopping: AbortSignal; readonly onLife: (life: Life | undefined) => void };

async function keep(options: KeeperOptions, { first, stopping, onLife }: Watch): Promise<void> {
  const isStopping = (): boolean => stopping.aborted;
  let life = first;
  let shortLives = 0;
  for (;;) {
    const began = performance.now();
    const how = await life.ended;
    if (isStopping()) return;
    onLife(undefined);
    shortLives = performance.now() - began < longLifeMs ? shortLives + 1 : 1;
    options.onEvent({ kind: "ended", name: options.name, how, againInMs: restartDelayMs(shortLives) });
    await pause(restartDelayMs(shortLives), stopping);
    const next = await beginAgain(options, { stopping, facts: life.facts, shortLives });
    if (next === undefined) return;
    life = next;
    onLife(life);
    if (!isStopping()) options.onEvent({ kind: "began", name: options.name, life });
  }
}

type Again = { readonly stopping: AbortSignal; readonly facts: Readonly<Record<string, string>>; readonly shortLives: number };

/** The next life, tried until it begins; undefined when asked to stop. */
async function beginAgain(options: KeeperOptions, { stopping, facts, shortLives }: Again): Promise<Life | undefined> {
  for (let failures = shortLives; !stopping.aborted; failures += 1) {
    try {
      return await options.begin(facts);
    } catch (thrown) {
      const againInMs = restartDelayMs(failures + 1);
      options.onEvent({ kind: "failed", name: options.name, error: toFarmError(thrown), againInMs });
      await pause(againInMs, stopping);
    }
  }
  return undefined;
}

/**
 * What objects of one kind are like now: listed once, then watched, listed anew when the watch cannot go on.
 *
 * Invariants: what is shown was true at one version of the API; versions only go on. A failure costs freshness, never truth: it is tried again with
 * growing, jittered waits, and who looks can tell for how long nothing was heard. Start and stop are safe when called twice.
 */
import { type ErrorCode, toFarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import { type Component, looping } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Source, WatchEvent } from "./cluster.ts";

export type InformerOptions<T> = {
  readonly name: string;
  readonly source: Source<T>;
  readonly logger: Logger;
  readonly onChange: () => void;
  /** A draw from [0, 1). */
  readonly draw: () => number;
  readonly firstWaitMs: number;
  readonly mostWaitMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
};

export type Informer<T> = Component & {
  /** Undefined before the first list came. */
  items(): ReadonlyMap<string, T> | undefined;
  /** Since something was heard last; infinite before the first list. */
  silentMs(): number;
};

/** How many watches may fail in a row before the list is read anew. */
const mostFailures = 3;

/** An informer that does not run yet. */
export function createInformer<T extends { readonly name: string }>(options: InformerOptions<T>): Informer<T> {
  const mirror = new Mirror(options);
  return {
    ...looping((signal) => mirror.follow(signal)),
    items: () => mirror.shown(),
    silentMs: () => mirror.silentMs(),
  };
}

class Mirror<T extends { readonly name: string }> {
  private readonly options: InformerOptions<T>;
  private items: Map<string, T> | undefined;
  /** Where the watch goes on; undefined: list first. */
  private version: string | undefined;
  private heardAtMs: number | undefined;
  /** Since a watch ended in order: a first event or a list is no sign that the next one does. */
  private failures = 0;
  private toldCode: ErrorCode | undefined;

  constructor(options: InformerOptions<T>) {
    this.options = options;
  }

  shown(): ReadonlyMap<string, T> | undefined {
    return this.items;
  }

  silentMs(): number {
    return this.heardAtMs === undefined ? Infinity : this.options.clock() - this.heardAtMs;
  }

  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.step(signal);
      } catch (thrown) {
        await this.fail(thrown, signal);
      }
    }
  }

  private async step(signal: AbortSignal): Promise<void> {
    if (this.version === undefined) await this.list(signal);
    else await this.watch(this.version, signal);
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { items, resourceVersion } = await this.options.source.list(signal);
    if (signal.aborted) return;
    this.items = new Map(items.map((item) => [item.name, item]));
    this.version = resourceVersion;
    this.heard();
    this.options.onChange();
  }

  private async watch(version: string, signal: AbortSignal): Promise<void> {
    const openedAtMs = this.options.clock();
    let events = 0;
    const end = await this.options.source.watch(
      version,
      (event) => {
        events += 1;
        if (!signal.aborted) this.take(event);
      },
      signal,
    );
    if (signal.aborted) return;
    if (end === "expired") this.version = undefined;
    // One that ends at once and told nothing is a failure in all but name.
    else if (events === 0 && this.options.clock() - openedAtMs < this.options.firstWaitMs) await this.fail(undefined, signal);
    else this.failures = 0;
  }

  private take(event: WatchEvent<T>): void {
    this.heard();
    this.version = event.resourceVersion;
    if (event.kind === "bookmark") return;
    if (event.kind === "set") this.items?.set(event.item.name, event.item);
    else this.items?.delete(event.name);
    this.options.onChange();
  }

  private heard(): void {
    this.heardAtMs = this.options.clock();
    if (this.toldCode !== undefined) this.options.logger.info({ what: this.options.name }, "the cluster is watched again");
    this.toldCode = undefined;
  }

  private async fail(thrown: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.failures += 1;
    if (this.failures % mostFailures === 0) this.version = undefined;
    const { name, logger, draw, firstWaitMs, mostWaitMs } = this.options;
    if (thrown !== undefined) {
      const error = toFarmError(thrown);
      if (error.code !== this.toldCode) logger.warn({ what: name, code: error.code, err: error }, "the cluster cannot be watched");
      this.toldCode = error.code;
    }
    const waitMs = Math.min(mostWaitMs, firstWaitMs * 2 ** (this.failures - 1));
    await pause(waitMs * (0.5 + draw() / 2), signal);
  }
}

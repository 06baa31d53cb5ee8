/**
 * Values that a scrape shows and that cost something to read: read once for all that ask at a time, and not again before they are old enough.
 *
 * Invariants: the samples of a sampler are read one after another; a refresh never rejects, and waits no longer than a scrape has time, nor
 * for what was waited for in vain before: what could not be read keeps the values that it had, until they are so old that they would mislead
 * and are taken away. The share of time that is spent reading is bounded, however long a read takes.
 */
import { toFarmError } from "../domain/errors.ts";
import { pause } from "./deadline.ts";
import type { Logger } from "./logging.ts";

export type SampleSpec<T> = {
  /** For the log and for who asks how old it is. */
  readonly name: string;
  readonly read: () => Promise<T>;
  /** Shows what was read; must not throw. */
  readonly show: (values: T) => void;
  /** Shows nothing until the next read; must not throw. */
  readonly hide: () => void;
};

export type Sample = {
  readonly name: string;
  /** Resolves when the values are recent, or as recent as can be had in time. */
  refresh(): Promise<void>;
  /** Milliseconds since the values were read; before they ever were, since the sample was added. */
  ageMs(): number;
};

export type Sampler = {
  add<T>(spec: SampleSpec<T>): Sample;
  /** In the order in which they were added. */
  readonly samples: readonly Sample[];
};

export type SamplerOptions = {
  /** Milliseconds that only grow. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** Values that are younger are not read again. */
  readonly leastAgeMs: number;
};

/** A read that takes long is made so much more seldom that this is the most of the time that is spent on it. */
const mostShare = 1 / 20;
/** But not seldomer than that. */
const mostAgeMs = 60_000;
/** Older values are not shown: who takes the largest of several processes would take them for ever from one that is cut off. */
const mostShownMs = 120_000;
/** Prometheus gives a scrape 10 s. */
const patienceMs = 3_000;

/** A sampler of nothing yet. */
export function createSampler({ clock, logger, leastAgeMs }: SamplerOptions): Sampler {
  let last: Promise<void> = Promise.resolve();
  const samples: Sample[] = [];
  return {
    samples,
    add({ name, read, show, hide }) {
      let readAtMs = clock();
      let dueAtMs = -Infinity;
      let reading: Promise<void> | undefined;
      let isFailing = false;
      let isOverdue = false;
      const readOnce = async (): Promise<void> => {
        const beganAtMs = clock();
        try {
          show(await read());
          readAtMs = beganAtMs;
          isFailing = false;
          isOverdue = false;
        } catch (thrown) {
          const { code, message } = toFarmError(thrown);
          if (!isFailing)
            logger.warn({ sample: name, code }, `metrics could not be read; they stay as they were for two minutes: ${message}`);
          isFailing = true;
        }
        // How long a failure took says nothing of a read.
        const tookMs = isFailing ? 0 : clock() - beganAtMs;
        dueAtMs = clock() + Math.max(leastAgeMs - tookMs, Math.min(tookMs / mostShare - tookMs, mostAgeMs));
        reading = undefined;
      };
      const ageMs = (): number => clock() - readAtMs;
      const sample: Sample = {
        name,
        async refresh() {
          if (reading === undefined && clock() >= dueAtMs) reading = last = last.then(readOnce);
          if (reading !== undefined && !isOverdue) isOverdue = !(await isSettledSoon(reading));
          if (ageMs() > mostShownMs) hide();
        },
        ageMs,
      };
      samples.push(sample);
      return sample;
    },
  };
}

async function isSettledSoon(reading: Promise<void>): Promise<boolean> {
  const settled = new AbortController();
  try {
    return await Promise.race([reading.then(() => true), pause(patienceMs, settled.signal).then(() => false)]);
  } finally {
    settled.abort();
  }
}

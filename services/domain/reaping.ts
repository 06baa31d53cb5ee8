/**
 * Which lapsed sessions may be ended (design §4.4).
 *
 * Invariants: nobody is judged by silence that the farm itself may have caused: without a canary that beat
 * through broker and database for a full lease, nothing is reaped; when much of a pool lapses at once, the
 * cause is more likely the farm than so many workers, and only a few are ended at a time.
 */
export type PoolLapses = {
  readonly pool: string;
  /** Live sessions, the lapsed included. */
  readonly live: number;
  /** Longest lapsed first. */
  readonly lapsed: readonly string[];
};

export type Lapses = {
  /** Undefined: no canary ever beat. */
  readonly canary: { readonly silentMs: number; readonly unbrokenMs: number } | undefined;
  readonly pools: readonly PoolLapses[];
};

export type ReapDecision =
  | { readonly kind: "nothing" }
  | { readonly kind: "held_back"; readonly reason: string }
  | { readonly kind: "reap"; readonly sessionIds: readonly string[]; readonly massLapse: boolean };

export type ReapLimits = { readonly leaseMs: number; readonly canaryGapMs: number };

/** A few workers may die together; more than these and a third of the pool count as a mass lapse. */
const fewLapses = 2;
const massShare = 1 / 3;
const throttledShare = 1 / 10;

function isMassLapse({ live, lapsed }: PoolLapses): boolean {
  return lapsed.length > fewLapses && lapsed.length > live * massShare;
}

function chosen(pool: PoolLapses): readonly string[] {
  return isMassLapse(pool) ? pool.lapsed.slice(0, Math.max(1, Math.floor(pool.live * throttledShare))) : pool.lapsed;
}

/** Decides from a snapshot; whoever applies it checks each session's lease again. */
export function decideReap(lapses: Lapses, limits: ReapLimits): ReapDecision {
  if (lapses.pools.every(({ lapsed }) => lapsed.length === 0)) return { kind: "nothing" };
  const { canary } = lapses;
  if (canary === undefined) return { kind: "held_back", reason: "no canary has beaten yet" };
  if (canary.silentMs > limits.canaryGapMs) {
    return { kind: "held_back", reason: `the canary has been silent for ${Math.round(canary.silentMs)} ms` };
  }
  if (canary.unbrokenMs < limits.leaseMs) {
    return { kind: "held_back", reason: `the beat path is proven for ${Math.round(canary.unbrokenMs)} ms of ${limits.leaseMs} ms` };
  }
  return { kind: "reap", sessionIds: lapses.pools.flatMap(chosen), massLapse: lapses.pools.some(isMassLapse) };
}

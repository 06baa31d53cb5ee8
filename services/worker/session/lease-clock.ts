/**
 * How long the worker may believe that its attempts are its own (design §4.3).
 *
 * The lease counts from when the renewing request was SENT: the coordinator counted from later, so the worker never
 * believes longer than the database. A lapsed lease ends nothing by itself; only an answer, or the outage limit, does.
 */

export type Lease = {
  /** Monotonic time at which the newest renewing request was sent. */
  readonly renewedAtMs: number;
  readonly leaseMs: number;
};

/** The lease after an answer; an answer to an older request never shortens it. */
export function renewed(lease: Lease | undefined, sentAtMs: number, leaseMs: number): Lease {
  if (lease !== undefined && lease.renewedAtMs > sentAtMs) return lease;
  return { renewedAtMs: sentAtMs, leaseMs };
}

/** Beats of a lease: four may go unanswered one after another. */
const beatsPerLease = 5;

/** How often to beat: `mostMs`, or more often where the farm's lease is short. */
export function beatEveryMs(lease: Lease | undefined, mostMs: number): number {
  return lease === undefined ? mostMs : Math.min(mostMs, lease.leaseMs / beatsPerLease);
}

export type LeaseStanding =
  /** Surely ours. */
  | "current"
  /** Not renewed in time: perhaps given away, so go on but prove it with the next answer. */
  | "lapsed"
  /** Cut off for so long that going on is a waste. */
  | "outage_limit_reached";

/** What the lease is worth now. */
export function standingOf(lease: Lease, nowMs: number, outageLimitMs: number): LeaseStanding {
  const sinceMs = nowMs - lease.renewedAtMs;
  if (sinceMs < lease.leaseMs) return "current";
  return sinceMs < outageLimitMs ? "lapsed" : "outage_limit_reached";
}

/**
 * What the agent says next to the coordinator: a pure choice.
 *
 * Per slot at most one attempt computes, two finish, and one is reserved for when it comes free (design §5). A report rides on a `next` when
 * one leaves at that moment, else it leaves alone, so that no result waits for a free slot.
 */

const mostFinishing = 2;

export type TurnFacts = {
  readonly nowMs: number;
  /** The session's first `next` was answered. */
  readonly opened: boolean;
  readonly draining: boolean;
  /** The last word is due. */
  readonly leaving: boolean;
  readonly runtimeReady: boolean;
  /** No attempt fetches or computes. */
  readonly slotFree: boolean;
  readonly finishing: number;
  /** Something happened after which there may be work: start, wake, an attempt's compute ended. */
  readonly askWanted: boolean;
  readonly pollDueAtMs: number;
  /** When a reservation is to be asked for; undefined for not now. */
  readonly aheadDueAtMs: number | undefined;
  readonly waitingReports: number;
};

/** One for each slot that is free, and for each that is soon. */
type Slots = { readonly freeSlots: number; readonly aheadSlots: number };

export type Turn =
  | ({ readonly kind: "next"; readonly leaving: boolean } & Slots)
  | { readonly kind: "report" }
  /** Until something happens, or until the poll is due. */
  | { readonly kind: "wait"; readonly untilMs: number | undefined };

const none: Slots = { freeSlots: 0, aheadSlots: 0 };
const free: Slots = { freeSlots: 1, aheadSlots: 0 };
const ahead: Slots = { freeSlots: 0, aheadSlots: 1 };

/** Chooses; the same facts give the same turn. */
export function chooseTurn(facts: TurnFacts): Turn {
  if (facts.leaving) return { kind: "next", ...none, leaving: true };
  const takesWork = !facts.draining && facts.runtimeReady;
  const mayAsk = takesWork && facts.slotFree && facts.finishing < mostFinishing;
  if (!facts.opened) return { kind: "next", ...(mayAsk ? free : none), leaving: false };
  const pollDue = facts.nowMs >= facts.pollDueAtMs;
  if (mayAsk && (facts.askWanted || pollDue || facts.waitingReports > 0)) return { kind: "next", ...free, leaving: false };
  const aheadDueAtMs = takesWork && !facts.slotFree ? facts.aheadDueAtMs : undefined;
  if (aheadDueAtMs !== undefined && facts.nowMs >= aheadDueAtMs) return { kind: "next", ...ahead, leaving: false };
  if (facts.waitingReports > 0) return { kind: "report" };
  return { kind: "wait", untilMs: mayAsk ? facts.pollDueAtMs : aheadDueAtMs };
}

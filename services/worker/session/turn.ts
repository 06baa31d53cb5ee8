/**
 * What the agent says next to the coordinator: a pure choice.
 *
 * Per slot at most one attempt computes and two finish (design §5). A report rides on a `next` when one leaves at that moment,
 * else it leaves alone, so that no result waits for a free slot.
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
  readonly waitingReports: number;
};

export type Turn =
  | { readonly kind: "next"; readonly freeSlots: number; readonly leaving: boolean }
  | { readonly kind: "report" }
  /** Until something happens, or until the poll is due. */
  | { readonly kind: "wait"; readonly untilMs: number | undefined };

/** Chooses; the same facts give the same turn. */
export function chooseTurn(facts: TurnFacts): Turn {
  if (facts.leaving) return { kind: "next", freeSlots: 0, leaving: true };
  const mayAsk = !facts.draining && facts.runtimeReady && facts.slotFree && facts.finishing < mostFinishing;
  if (!facts.opened) return { kind: "next", freeSlots: mayAsk ? 1 : 0, leaving: false };
  const pollDue = facts.nowMs >= facts.pollDueAtMs;
  if (mayAsk && (facts.askWanted || pollDue || facts.waitingReports > 0)) return { kind: "next", freeSlots: 1, leaving: false };
  if (facts.waitingReports > 0) return { kind: "report" };
  return { kind: "wait", untilMs: mayAsk ? facts.pollDueAtMs : undefined };
}

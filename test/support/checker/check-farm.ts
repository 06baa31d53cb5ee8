/**
 * Holds evidence against every promise of design §4 and every invariant of the store.
 */
import type { Evidence } from "./evidence.ts";
import { type Facts, factsOf } from "./facts.ts";
import type { Rule, Violation } from "./violation.ts";

/** In the order of the design. */
export const rules: readonly Rule<Facts>[] = [];

/** Every violation that the evidence shows; none for a farm that kept its promises. */
export function checkFarm(evidence: Evidence): readonly Violation[] {
  const facts = factsOf(evidence);
  return rules.flatMap(({ sentence, check }) => check(facts).map((finding) => ({ rule: sentence, ...finding })));
}

/**
 * Why a render has no tasks yet: the window of its pool has no room for it, or others come first.
 *
 * Pure. It says in words what domain/expansion decides by.
 */
import type { Constraint, WaitingPool } from "./explain-facts.ts";

/** What keeps them waiting. */
export function explainWaiting({ pool, renders, open, window }: WaitingPool): Constraint {
  const who = renders === 1 ? "1 render waits" : `${renders} renders wait`;
  const why = open >= window ? "it is full" : "others come first, or they are expanded next";
  return {
    kind: "window",
    message: `${who} for the window of pool ${pool}: ${open} of ${window} renders are open, ${why}`,
    remedy: open >= window ? "wait until some end; the operator sets the window with VAPFARM_OPEN_RENDERS" : "",
  };
}

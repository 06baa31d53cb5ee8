/**
 * Why a render has no tasks yet: the window of its pool has no room for it, others come first, or nothing of it may start.
 *
 * Pure. It says in words what domain/expansion decides by, and what the facts for that leave out (prisma/migrations, vf_expansion_facts).
 */
import { holdsOf, limitsOf, overBudget } from "./explain-holds.ts";
import type { Constraint, ExplainFacts, WaitingPool } from "./explain-facts.ts";

/** What keeps them waiting, all in one; of the kind of what has to go first. */
export function explainWaiting(waiting: WaitingPool, facts: Pick<ExplainFacts, "holds" | "limits">): Constraint {
  const { pool, renders, open, window } = waiting;
  const who = renders === 1 ? "1 render waits" : `${renders} renders wait`;
  const places = `${who} for the window of pool ${pool}: ${open} of ${window} renders are open`;
  const isFull = open >= window;
  const wait = isFull ? ["wait until some end; the operator sets the window with VAPFARM_OPEN_RENDERS"] : [];
  const shut = [...holdsOf(waiting, facts.holds), ...overBudget(waiting), ...limitsOf(waiting, facts.limits.filter(mayRunNothing))];
  const [first] = shut;
  if (first === undefined) {
    const why = isFull ? "it is full" : "others come first, or they are expanded next";
    return { kind: "window", message: `${places}, ${why}`, remedy: wait.join("") };
  }
  return {
    kind: first.kind,
    message: `${places}${isFull ? ", it is full" : ""}, and nothing of theirs may start: ${shut.map(({ message }) => message).join("; ")}`,
    remedy: [...shut.map(({ remedy }) => remedy), ...wait].join("; "),
  };
}

const mayRunNothing = ({ maxRunning }: { readonly maxRunning: number }): boolean => maxRunning === 0;

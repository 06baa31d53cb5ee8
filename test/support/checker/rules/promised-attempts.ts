/**
 * The store's invariant 19: a session has at most one attempt that it was promised and has not begun.
 *
 * Decided for the moment of the evidence, since an attempt that has ended does not say when its promise was over.
 */
import type { Facts } from "../facts.ts";
import type { Rule } from "../violation.ts";
import { attemptName } from "../words.ts";

export const promisedAttempts: Rule<Facts> = {
  sentence: "a session has at most one attempt that it was promised and has not begun",
  check: ({ database: { attempt } }) => {
    const promised = Map.groupBy(
      attempt.filter(({ state, began_at }) => state === "running" && began_at === null),
      ({ session_id }) => session_id,
    );
    return [...promised].flatMap(([sessionId, attempts]) =>
      attempts.length < 2
        ? []
        : [{ where: `session ${sessionId}`, what: `it was promised ${attempts.map(attemptName).join(" and ")}`, evidence: attempts }],
    );
  },
};

/**
 * Design §4.10: a result says which provider and profile it was made on, and they are its worker's.
 *
 * A worker's row says what it last was: only attempts of that session are compared.
 */
import type { Facts } from "../facts.ts";
import type { Rule } from "../violation.ts";
import { attemptName } from "../words.ts";

export const profiles: Rule<Facts> = {
  sentence: "a result is made on the provider and profile that its worker has told",
  check: ({ database: { attempt, worker } }) => {
    const bySession = new Map(worker.map((row) => [row.session_id, row]));
    return attempt
      .filter(({ state }) => state === "succeeded")
      .flatMap((row) => {
        const told = bySession.get(row.session_id);
        const say = (what: string) => [{ where: attemptName(row), what, evidence: [row, told] }];
        if (row.provider === null || row.profile === null) return say("it succeeded and does not say on what");
        const isRight = told === undefined || (told.provider === row.provider && told.profile === row.profile);
        return isRight ? [] : say(`it was made on ${row.provider} as ${row.profile}, its worker is another`);
      });
  },
};

/**
 * The store's invariant 6 and design §4.11: a worker has one life at a time, works only while that lasts, and only under the farm's epoch.
 */
import type { Facts } from "../facts.ts";
import type { AttemptRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, msOf } from "../words.ts";

export const sessions: Rule<Facts> = {
  sentence: "a worker has one life at a time, and sessions of other epochs are refused",
  check: (facts) => [...lives(facts), ...facts.database.attempt.flatMap((attempt) => ofAttempt(facts, attempt)), ...epochs(facts)],
};

function lives(facts: Facts): readonly Finding[] {
  const live = Map.groupBy(
    facts.database.session.filter(({ is_live }) => is_live),
    ({ worker_id }) => worker_id,
  );
  return [...live].flatMap(([workerId, sessions]) => {
    const newest = facts.database.worker.find(({ id }) => id === workerId)?.session_id;
    if (sessions.length === 1 && (newest === undefined || sessions[0]?.id === newest)) return [];
    return [
      { where: `worker ${workerId}`, what: `${sessions.length} of its sessions live, or one that is not its newest`, evidence: sessions },
    ];
  });
}

function ofAttempt(facts: Facts, attempt: AttemptRow): readonly Finding[] {
  const session = facts.database.session.find(({ id }) => id === attempt.session_id);
  const say = (what: string): readonly Finding[] => [{ where: attemptName(attempt), what, evidence: [attempt, session] }];
  if (session === undefined) return say("its session is not there");
  if (session.worker_id !== attempt.worker_id) return say("its session is another worker's");
  const isAfter = session.ended_at !== null && msOf(attempt.started_at) > msOf(session.ended_at);
  return isAfter ? say("it was claimed by a session that had ended") : [];
}

/** Sessions ask with 0 until they know; an answered claim has told them. */
function epochs(facts: Facts): readonly Finding[] {
  const now = facts.database.farm[0]?.epoch ?? 0;
  const claims = facts.workers.filter((line) => line.kind === "claimed").toSorted((a, b) => a.atMs - b.atMs);
  return claims.flatMap((line, index) => {
    const epoch = Number(line.farmEpoch);
    const before = claims.slice(0, index).find(({ farmEpoch }) => Number(farmEpoch) > epoch);
    const where = `attempt ${line.attemptId}`;
    if (epoch > now) return [{ where, what: `it was claimed under epoch ${epoch}, the farm's is ${now}`, evidence: [line] }];
    return before === undefined
      ? []
      : [{ where, what: `it was claimed under epoch ${epoch} after one under ${before.farmEpoch}`, evidence: [before, line] }];
  });
}

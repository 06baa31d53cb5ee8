/**
 * Design §4.3 and §4.4: nobody is taken for dead while its lease is in force, nor for a silence that the farm itself may have caused; and
 * nothing is ever found without an owner.
 */
import type { Facts } from "../facts.ts";
import type { AttemptRow, SessionRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, msOf } from "../words.ts";

export const leases: Rule<Facts> = {
  sentence: "nothing is reaped while its lease is in force or the beat path is unproven",
  check(facts) {
    const lapsed = facts.database.session.filter(({ end_reason }) => end_reason === "lapsed");
    const taken = facts.database.attempt.filter(({ error_code }) => error_code === "LEASE_LAPSED");
    return [...lapsed.flatMap((session) => tooEarly(facts, session)), ...taken.flatMap((attempt) => wronglyTaken(facts, attempt))];
  },
};

/** The canary's silence is noticed after this long (store.ts). */
const canaryGapMs = 3_000;

function tooEarly(facts: Facts, session: SessionRow): readonly Finding[] {
  const endedMs = msOf(session.ended_at ?? "");
  const say = (what: string, ...evidence: readonly unknown[]): Finding => ({
    where: `session ${session.id}`,
    what,
    evidence: [session, ...evidence],
  });
  const findings = endedMs < msOf(session.lease_until) ? [say("it was ended as lapsed while its lease was in force")] : [];
  return [...findings, ...unproven(facts, endedMs).map((why) => say(`it was ended as lapsed ${why.what}`, why.evidence))];
}

function unproven(facts: Facts, atMs: number): readonly { readonly what: string; readonly evidence: unknown }[] {
  const { leaseMs, slackMs } = facts.bounds;
  const canary = facts.database.canary.find(({ unbroken_since: since }) => msOf(since) <= atMs && atMs < msOf(since) + leaseMs - slackMs);
  const outages = facts.tester.filter(
    (line) => line.kind === "outage" && atMs > line.fromMs + canaryGapMs + slackMs && atMs < line.untilMs + leaseMs - slackMs,
  );
  return [
    ...(canary === undefined ? [] : [{ what: "before the canary had beaten for a lease", evidence: canary }]),
    ...outages.map((evidence) => ({ what: "when the farm itself was away", evidence })),
  ];
}

function wronglyTaken(facts: Facts, attempt: AttemptRow): readonly Finding[] {
  const say = (what: string, ...evidence: readonly unknown[]): readonly Finding[] => [
    { where: attemptName(attempt), what, evidence: [attempt, ...evidence] },
  ];
  const session = facts.database.session.find(({ id }) => id === attempt.session_id);
  const endedMs = msOf(attempt.ended_at ?? "");
  if (attempt.error_message?.includes("without an owner") === true) return say("the sweep found it without an owner", session);
  if (attempt.unnamed_since !== null) {
    const unnamedMs = endedMs - msOf(attempt.unnamed_since);
    return unnamedMs < facts.bounds.leaseMs ? say(`it was taken after ${unnamedMs} ms of not being named`, session) : [];
  }
  const isLapsed = session?.end_reason === "lapsed" && msOf(session.ended_at ?? "") <= endedMs + facts.bounds.slackMs;
  return isLapsed ? [] : say("it was taken as lapsed, and its session was not", session);
}

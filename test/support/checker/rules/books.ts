/**
 * Design §4: "Every GPU-second that a runtime counted is on the books", and on them once.
 *
 * Booked is the sum of an attempt's usage rows. It is what the report said where one was answered, and what the runtime counted where the
 * run succeeded. An attempt that was taken from its worker costs at least what was last beaten. Nothing costs more than the time that
 * passed while it ran.
 */
import type { Facts } from "../facts.ts";
import type { Run } from "../journal-entries.ts";
import type { AttemptRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName } from "../words.ts";

export const books: Rule<Facts> = {
  sentence: "every GPU-second that a runtime counted is on the books, once",
  check: (facts) => [...facts.database.attempt.flatMap((attempt) => wronglyBooked(facts, attempt)), ...ownerless(facts)],
};

/** Sums of doubles that were added in another order. */
const roundingMs = 0.01;

function wronglyBooked(facts: Facts, attempt: AttemptRow): readonly Finding[] {
  if (attempt.state === "running") return [];
  const rows = facts.usagesOf(attempt.id);
  const runs = facts.runs.filter(({ runId }) => runId === attempt.id);
  const say = (what: string): readonly Finding[] => [{ where: attemptName(attempt), what, evidence: [attempt, ...rows, ...runs] }];
  if (rows.length === 0) return say("it ended and is not on the books");
  const booked = rows.reduce((sum, { device_ms }) => sum + device_ms, 0);
  const exact = exactOf(facts, attempt, runs);
  if (exact !== undefined) {
    return Math.abs(booked - exact.ms) <= roundingMs ? [] : say(`${booked} ms are booked, ${exact.teller} says ${exact.ms}`);
  }
  // A report may say less than its agent had beaten: then it is right, for the runtime has told.
  if (attempt.disposition === null && booked < attempt.device_ms - roundingMs)
    return say(`${booked} ms are booked, ${attempt.device_ms} were beaten`);
  const most = passedMs(facts, runs);
  return most !== undefined && booked > most ? say(`${booked} ms are booked, it ran for at most ${most}`) : [];
}

/** What must be booked to the millisecond: the answered report's, which is the runtime's count if the run succeeded. */
function exactOf(facts: Facts, { id }: AttemptRow, runs: readonly Run[]): { readonly ms: number; readonly teller: string } | undefined {
  const counted = runs.find(({ outcome }) => outcome === "succeeded")?.deviceMs;
  for (const line of facts.workers) {
    if (line.kind !== "answered" || line.attemptId !== id || line.disposition === "unknown") continue;
    // The runtime's word goes before the agent's, which only passes it on.
    if (line.outcome === "succeeded" && counted !== undefined) return { ms: counted, teller: "its runtime" };
    return { ms: line.deviceMs, teller: "its report" };
  }
  return undefined;
}

function passedMs(facts: Facts, runs: readonly Run[]): number | undefined {
  if (runs.length === 0) return undefined;
  return runs.reduce((sum, { beganAtMs, endedAtMs }) => sum + (endedAtMs ?? facts.takenAtMs) - beganAtMs, 0) + facts.bounds.slackMs;
}

function ownerless(facts: Facts): readonly Finding[] {
  const nobody = facts.database.usage.filter(({ attempt_id }) => !facts.attempts.has(attempt_id));
  const others = facts.database.usage.filter(({ task_id, tenant_id }) => facts.tasks.get(task_id)?.tenant_id !== tenant_id);
  return [
    ...nobody.map((row) => ({ where: `attempt ${row.attempt_id}`, what: "it is on the books and never was", evidence: [row] })),
    ...others.map((row) => ({ where: `attempt ${row.attempt_id}`, what: "it is on another tenant's books", evidence: [row] })),
  ];
}

/**
 * Design §4 and §2: what a client is told is committed. Every state that was told is the one that the event log has at that event, and what
 * is told later never lies before what was told earlier.
 */
import type { Facts } from "../facts.ts";
import { type ToldJob, toldJobsOf } from "../told-jobs.ts";
import type { Finding, Rule } from "../violation.ts";
import { endedStates, jobName } from "../words.ts";

export const toldStates: Rule<Facts> = {
  sentence: "what a client was told of a job is what the log says, and never goes back",
  check(facts) {
    const byJob = Map.groupBy(toldJobsOf(facts.calls), ({ jobId }) => jobId);
    return [...byJob.values()].flatMap((told) => [...told.flatMap((one) => unlogged(facts, one)), ...wentBack(told)]);
  },
};

function unlogged(facts: Facts, told: ToldJob): readonly Finding[] {
  const job = facts.jobs.get(told.jobId);
  if (job === undefined) return [];
  const say = (what: string): readonly Finding[] => [{ where: jobName(told.jobId), what, evidence: [told.call, job] }];
  if (told.lastEvent > job.last_event) return say(`a client was told of event ${told.lastEvent}, it has ${job.last_event}`);
  const then = facts.eventsOf(told.jobId).findLast(({ number, job_state }) => number <= told.lastEvent && job_state !== null);
  if (then?.job_state == null) return [];
  const isRight = endedStates.includes(then.job_state) ? told.state === then.job_state : !endedStates.includes(told.state);
  return isRight ? [] : say(`a client was told "${told.state}" at event ${told.lastEvent}, the log says "${then.job_state}"`);
}

function wentBack(told: readonly ToldJob[]): readonly Finding[] {
  const inOrder = told.toSorted((a, b) => a.answeredAtMs - b.answeredAtMs);
  return inOrder.flatMap((later, index) => {
    const before = inOrder.slice(0, index).find((one) => one.answeredAtMs < later.askedAtMs && one.lastEvent > later.lastEvent);
    const what = `a client was told of event ${later.lastEvent} after event ${before?.lastEvent ?? 0}`;
    return before === undefined ? [] : [{ where: jobName(later.jobId), what, evidence: [before.call, later.call] }];
  });
}

/**
 * What is said of a job's deadline: a deadline orders the job's tasks and may make runs make way, and is told of; it never ends a job.
 */

export type DeadlineTold = "nothing" | "at_risk" | "missed";

export type DeadlineFacts = {
  readonly told: DeadlineTold;
  /** Until the deadline. */
  readonly leftMs: number;
  /** What its longest open render computes yet, as far as it is known. */
  readonly longestMs: number;
  readonly openRenders: number;
  /** Live workers that could take part. */
  readonly workers: number;
};

/** What an open job takes at least from now on, were every worker free for it. */
export function leastMs({ longestMs, openRenders, workers }: DeadlineFacts): number {
  return Math.max(longestMs, (longestMs * openRenders) / Math.max(1, workers));
}

/** What to tell now; undefined when it was told, or all is well. */
export function judgeDeadline(facts: DeadlineFacts): Exclude<DeadlineTold, "nothing"> | undefined {
  if (facts.leftMs <= 0) return facts.told === "missed" ? undefined : "missed";
  return facts.told === "nothing" && leastMs(facts) > facts.leftMs ? "at_risk" : undefined;
}

/** The sentence of the event. */
export function deadlineMessage(told: Exclude<DeadlineTold, "nothing">, facts: DeadlineFacts): string {
  if (told === "missed") return `the deadline is over, ${countOf(facts.openRenders)} open`;
  return `${secondsOf(facts.leftMs)} s are left, ${countOf(facts.openRenders)} open and at least ${secondsOf(leastMs(facts))} s of work`;
}

const secondsOf = (ms: number): string => (ms / 1000).toFixed(0);
const countOf = (renders: number): string => `${renders} ${renders === 1 ? "render is" : "renders are"}`;

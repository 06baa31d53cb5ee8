/**
 * Holds evidence against every promise of design §4 and every invariant of the store.
 */
import type { Evidence } from "./evidence.ts";
import { type Facts, factsOf } from "./facts.ts";
import { acknowledgedJobs } from "./rules/acknowledged-jobs.ts";
import { artifacts } from "./rules/artifacts.ts";
import { books } from "./rules/books.ts";
import { budgets } from "./rules/budgets.ts";
import { cancelled } from "./rules/cancelled.ts";
import { checkpoints } from "./rules/checkpoints.ts";
import { derivedStates } from "./rules/derived-states.ts";
import { equalBytes } from "./rules/equal-bytes.ts";
import { eventLog } from "./rules/event-log.ts";
import { fence } from "./rules/fence.ts";
import { holds } from "./rules/holds.ts";
import { leases } from "./rules/leases.ts";
import { oneCommit } from "./rules/one-commit.ts";
import { oneResult } from "./rules/one-result.ts";
import { preemptions } from "./rules/preemptions.ts";
import { processes } from "./rules/processes.ts";
import { profiles } from "./rules/profiles.ts";
import { promisedAttempts } from "./rules/promised-attempts.ts";
import { readySet } from "./rules/ready-set.ts";
import { repeatedSubmits } from "./rules/repeated-submits.ts";
import { runs } from "./rules/runs.ts";
import { sessions } from "./rules/sessions.ts";
import { toldStates } from "./rules/told-states.ts";
import { waitingRenders } from "./rules/waiting-renders.ts";
import { watchedEvents } from "./rules/watched-events.ts";
import { webhooks } from "./rules/webhooks.ts";
import type { Rule, Violation } from "./violation.ts";

/** In the order of the design. */
export const rules: readonly Rule<Facts>[] = [
  acknowledgedJobs,
  repeatedSubmits,
  toldStates,
  oneResult,
  equalBytes,
  books,
  fence,
  oneCommit,
  readySet,
  derivedStates,
  waitingRenders,
  eventLog,
  watchedEvents,
  leases,
  promisedAttempts,
  sessions,
  budgets,
  checkpoints,
  preemptions,
  profiles,
  artifacts,
  cancelled,
  holds,
  webhooks,
  runs,
  processes,
];

/** Every violation that the evidence shows; none for a farm that kept its promises. */
export function checkFarm(evidence: Evidence): readonly Violation[] {
  const facts = factsOf(evidence);
  return rules.flatMap(({ sentence, check }) => check(facts).map((finding) => ({ rule: sentence, ...finding })));
}

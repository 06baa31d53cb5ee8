/**
 * The store's invariant 13: what a hold or a cordon forbids is not claimed after its commit, until it is released. Operators' are known by
 * their calls, budgets' by their rows as long as they are in force.
 */
import { HoldScope } from "../../../../services/gen/proto/vapfarm/v1/operator.ts";
import type { Facts } from "../facts.ts";
import type { ClientCall } from "../journal-entries.ts";
import type { AttemptRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, msOf, partOf, textOf } from "../words.ts";

export const holds: Rule<Facts> = {
  sentence: "what a hold or a cordon forbids is not claimed while it is in force",
  check: (facts) => [...facts.calls.flatMap((call) => claimedMeanwhile(facts, call)), ...overBudget(facts)],
};

type Ban = {
  readonly what: string;
  /** Whether this later call may have lifted it. */
  lifts(call: ClientCall): boolean;
  forbids(facts: Facts, attempt: AttemptRow): boolean;
};

function claimedMeanwhile(facts: Facts, call: ClientCall): readonly Finding[] {
  const ban = banOf(call);
  const { answeredAtMs: fromMs } = call;
  if (ban === undefined || fromMs === undefined) return [];
  const lifted = facts.calls.filter((later) => later.askedAtMs >= call.askedAtMs && ban.lifts(later)).map(({ askedAtMs }) => askedAtMs);
  const untilMs = Math.min(facts.takenAtMs, ...lifted);
  const claims = facts.database.attempt.filter(({ started_at }) => msOf(started_at) > fromMs && msOf(started_at) < untilMs);
  return claims
    .filter((attempt) => ban.forbids(facts, attempt))
    .map((attempt) => ({ where: attemptName(attempt), what: `it was claimed while ${ban.what} was in force`, evidence: [call, attempt] }));
}

/** A row's time is taken before its commit: a claim may just have come before that. */
function overBudget(facts: Facts): readonly Finding[] {
  const { attempt, hold } = facts.database;
  const { slackMs } = facts.bounds;
  return hold
    .filter(({ origin }) => origin === "budget")
    .flatMap((row) =>
      attempt
        .filter(({ task_id, started_at }) => {
          return facts.tasks.get(task_id)?.tenant_id === row.name && msOf(started_at) > msOf(row.placed_at) + slackMs;
        })
        .map((one) => ({ where: attemptName(one), what: `it was claimed while ${row.name} was over its budget`, evidence: [row, one] })),
    );
}

function banOf(call: ClientCall): Ban | undefined {
  if (call.call === "placeHold") return holdOf(call);
  return call.call === "cordonWorker" || call.call === "drainWorker" ? cordonOf(call) : undefined;
}

function holdOf(call: ClientCall): Ban {
  const hold = partOf(call.answer, "hold");
  const [scope, name] = [hold?.["scope"], textOf(hold, "name")];
  return {
    what: `the hold on "${name}"`,
    lifts: (later) =>
      later.call === "releaseHold" && later.request["scope"] === scope && [name, ""].includes(textOf(later.request, "name")),
    forbids(facts, { task_id }) {
      const task = facts.tasks.get(task_id);
      if (scope === HoldScope.HOLD_SCOPE_FARM) return true;
      return scope === HoldScope.HOLD_SCOPE_POOL ? task?.pool === name : task?.tenant_id === name;
    },
  };
}

/** A worker is named by its id, or by its name. */
function cordonOf(call: ClientCall): Ban {
  const named = textOf(call.request, "workerId");
  const isIt = (worker: { readonly id: string; readonly name: string }): boolean => worker.id === named || worker.name === named;
  return {
    what: `the cordon of ${named}`,
    // Whatever name the worker was given back under.
    lifts: (later) => later.call === "uncordonWorker",
    forbids: (facts, { worker_id }) => facts.database.worker.some((worker) => worker.id === worker_id && isIt(worker)),
  };
}

/**
 * The store's invariant 14: a preemption is open only while its beneficiary is ready, once for each beneficiary, victim and worker.
 */
import type { Facts } from "../facts.ts";
import type { PreemptionRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";

export const preemptions: Rule<Facts> = {
  sentence: "a preemption is open only while its beneficiary is ready, and once",
  check: (facts) => {
    const open = facts.database.preemption.filter(({ closed_at }) => closed_at === null);
    return open.flatMap((row) => [...idle(facts, row), ...doubled(open, row)]);
  },
};

const nameOf = ({ id }: PreemptionRow): string => `preemption ${id}`;

function idle(facts: Facts, row: PreemptionRow): readonly Finding[] {
  const task = facts.tasks.get(row.beneficiary_id);
  if (task?.state === "ready") return [];
  return [{ where: nameOf(row), what: `it is open, its beneficiary is ${task?.state ?? "gone"}`, evidence: [row, task] }];
}

const once = ["beneficiary_id", "attempt_id", "worker_id"] as const;

function doubled(open: readonly PreemptionRow[], row: PreemptionRow): readonly Finding[] {
  const others = open.filter((other) => other.id < row.id && once.some((part) => other[part] === row[part]));
  return others.map((other) => ({ where: nameOf(row), what: `it is open beside preemption ${other.id}`, evidence: [row, other] }));
}

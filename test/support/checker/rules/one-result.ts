/**
 * Design §4: "At most one attempt's result of a task is ever visible."
 *
 * Outputs are those of one committed attempt, byte for byte what its report and its runtime said; a task commits again only after its
 * result was found missing or damaged.
 */
import type { Facts } from "../facts.ts";
import type { KeptOutput } from "../journal-entries.ts";
import type { AttemptRow, TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { taskName } from "../words.ts";

export const oneResult: Rule<Facts> = {
  sentence: "at most one attempt's result of a task is ever visible",
  check: (facts) => facts.database.task.flatMap((task) => [...tooMany(facts, task), ...visible(facts, task)]),
};

const committedOf = (facts: Facts, { id }: TaskRow): readonly AttemptRow[] =>
  facts.attemptsOf(id).filter(({ state }) => state === "succeeded");

function tooMany(facts: Facts, task: TaskRow): readonly Finding[] {
  const committed = committedOf(facts, task);
  const consumers = facts.database.task_input.filter(({ producer_id }) => producer_id === task.id).map(({ task_id }) => task_id);
  const lost = consumers.flatMap((id) => facts.attemptsOf(id)).filter(({ error_class }) => error_class === "artifact").length;
  if (committed.length <= 1 + lost) return [];
  return [
    { where: taskName(task), what: `${committed.length} attempts committed, its result was lost ${lost} times`, evidence: committed },
  ];
}

function visible(facts: Facts, task: TaskRow): readonly Finding[] {
  const outputs = facts.outputsOf(task.id);
  const say = (what: string, ...evidence: readonly unknown[]): Finding => ({ where: taskName(task), what, evidence });
  if (outputs.length > 0 && task.state !== "succeeded") return [say(`it is ${task.state} and has a visible result`, task, ...outputs)];
  if (task.state !== "succeeded") return [];
  const findings = outputs.length === 0 && !task.is_retired ? [say("it succeeded and has no visible result", task)] : [];
  const committed = committedOf(facts, task).at(-1);
  if (committed === undefined) return [...findings, say("it succeeded and no attempt committed", task)];
  for (const [teller, made] of toldOutputsOf(facts, committed)) {
    const differing = outputs.filter(({ name, sha256 }) => !made.some((one) => one.name === name && one.sha256 === sha256));
    if (differing.length > 0)
      findings.push(say(`its visible result is not what ${teller} of the committed attempt says`, committed, made, differing));
  }
  return findings;
}

function toldOutputsOf(facts: Facts, { id }: AttemptRow): readonly (readonly [string, readonly KeptOutput[]])[] {
  const reports = facts.workers.filter((line) => line.kind === "answered" && line.attemptId === id && line.outcome === "succeeded");
  const runs = facts.runs.filter(({ runId, outcome }) => runId === id && outcome === "succeeded");
  return [
    ...reports.flatMap((line) => (line.kind === "answered" ? [["the report", line.outputs] as const] : [])),
    ...runs.map(({ outputs }) => ["the runtime", outputs] as const),
  ];
}

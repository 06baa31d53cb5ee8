/**
 * Design §3 and §4.8: equal content key, equal result. Whoever ran it, how often, from which checkpoint: the bytes are the same, and the
 * same as an undisturbed run's where one is known.
 */
import type { Facts } from "../facts.ts";
import type { Finding, Rule } from "../violation.ts";
import { jobName } from "../words.ts";

export const equalBytes: Rule<Facts> = {
  sentence: "equal keys give equal bytes, whatever happened on the way",
  check: (facts) => [...unequal(facts), ...unexpected(facts)],
};

type Made = { readonly key: string; readonly name: string; readonly sha256: string; readonly by: unknown };

function madeOf(facts: Facts): readonly Made[] {
  const keyOf = (taskId: number | undefined): string => facts.tasks.get(taskId ?? -1)?.content_key ?? "";
  const rows = facts.database.task_output.map((row) => ({ key: keyOf(row.task_id), name: row.name, sha256: row.sha256, by: row }));
  const runs = facts.runs.flatMap((run) => {
    const key = keyOf(facts.attempts.get(run.runId)?.task_id);
    return run.outputs.map(({ name, sha256 }) => ({ key, name, sha256, by: run }));
  });
  return [...rows, ...runs].filter(({ key }) => key !== "");
}

function unequal(facts: Facts): readonly Finding[] {
  const groups = Map.groupBy(madeOf(facts), ({ key, name }) => `${name} of key ${key}`);
  return [...groups].flatMap(([where, made]) => {
    const hashes = new Set(made.map(({ sha256 }) => sha256));
    return hashes.size < 2
      ? []
      : [{ where, what: `it was made ${made.length} times with ${hashes.size} different contents`, evidence: made }];
  });
}

function unexpected(facts: Facts): readonly Finding[] {
  return facts.tester.flatMap((line) => {
    if (line.kind !== "expected") return [];
    const users = facts
      .rendersOf(line.jobId)
      .flatMap(({ id }) => facts.tasksOf(id))
      .filter(({ artifacts }) => artifacts.includes(line.name));
    const made = users.flatMap(({ task_id }) => facts.outputsOf(task_id)).filter(({ name }) => name === line.name);
    const other = made.filter(({ sha256 }) => sha256 !== line.sha256);
    const what = `its ${line.name} is not that of an undisturbed run`;
    return other.length === 0 ? [] : [{ where: jobName(line.jobId), what, evidence: [line, ...other] }];
  });
}

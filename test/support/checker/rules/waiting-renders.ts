/**
 * The store's invariant 16: a render that waits for a window is queued and wants no task, and `waiting` counts those that do.
 */
import type { Facts } from "../facts.ts";
import type { Finding, Rule } from "../violation.ts";
import { jobName } from "../words.ts";

export const waitingRenders: Rule<Facts> = {
  sentence: "a render that waits is queued, wants no task and is counted",
  check: (facts) => [...ofRenders(facts), ...ofCounts(facts)],
};

function ofRenders(facts: Facts): readonly Finding[] {
  return facts.database.render
    .filter(({ is_waiting }) => is_waiting)
    .flatMap((render) => {
      const wanted = facts.tasksOf(render.id).filter(({ is_wanted }) => is_wanted);
      const where = `render ${render.position} of ${jobName(render.job_id)}`;
      const say = (what: string): Finding => ({ where, what, evidence: [render, ...wanted] });
      return [
        ...(render.state === "queued" ? [] : [say(`it waits and is ${render.state}`)]),
        ...(wanted.length === 0 ? [] : [say(`it waits and wants ${wanted.length} tasks`)]),
      ];
    });
}

function ofCounts(facts: Facts): readonly Finding[] {
  const keyOf = (row: { readonly job_id: string; readonly pool: string }): string => JSON.stringify([row.job_id, row.pool]);
  const waiting = Map.groupBy(
    facts.database.render.filter(({ is_waiting }) => is_waiting),
    keyOf,
  );
  const counted = new Map(facts.database.waiting.map((row) => [keyOf(row), row]));
  return [...new Set([...waiting.keys(), ...counted.keys()])].flatMap((key) => {
    const [renders, row] = [waiting.get(key) ?? [], counted.get(key)];
    const what = `${row?.renders ?? 0} of its renders are counted as waiting, ${renders.length} do`;
    const jobId = row?.job_id ?? renders[0]?.job_id ?? "";
    return (row?.renders ?? 0) === renders.length ? [] : [{ where: jobName(jobId), what, evidence: [row, ...renders] }];
  });
}

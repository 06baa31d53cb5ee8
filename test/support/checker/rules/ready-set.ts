/**
 * The store's invariants 3 and 15: `ready` holds exactly the tasks that are ready and that a job wants which no budget has stopped.
 */
import type { Facts } from "../facts.ts";
import type { TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { taskName } from "../words.ts";

export const readySet: Rule<Facts> = {
  sentence: "the ready set holds what is ready, but for what only stopped jobs want",
  check: (facts) => {
    const queued = new Map(facts.database.ready.map((row) => [row.task_id, row]));
    const stopped = new Set(facts.database.job_stop.map(({ job_id }) => job_id));
    const orphans = facts.database.ready.filter(({ task_id }) => !facts.tasks.has(task_id));
    return [
      ...facts.database.task.flatMap((task): readonly Finding[] => {
        const row = queued.get(task.id);
        const say = (what: string): readonly Finding[] => [{ where: taskName(task), what, evidence: [task, row] }];
        if (task.state !== "ready") return row === undefined ? [] : say("it is in the ready set and not ready");
        const isStopped = isStoppedBy(facts, task, stopped);
        if (row === undefined) return isStopped ? [] : say("it is ready and not in the ready set");
        return isStopped ? say("only jobs that a budget stopped want it, and it is in the ready set") : [];
      }),
      ...orphans.map((row) => ({ where: `task ${row.task_id}`, what: "it is in the ready set and not there", evidence: [row] })),
    ];
  },
};

function isStoppedBy(facts: Facts, task: TaskRow, stopped: ReadonlySet<string>): boolean {
  const users = facts.usersOf(task.id).filter(({ is_wanted }) => is_wanted);
  return users.length > 0 && users.every(({ render_id }) => stopped.has(facts.renders.get(render_id)?.job_id ?? ""));
}

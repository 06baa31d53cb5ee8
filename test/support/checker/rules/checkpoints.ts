/**
 * Design §4.8, the store's invariant 10: checkpoints are kept for open tasks only, are whole, never go back, and lose no more steps than
 * was promised.
 */
import type { Facts } from "../facts.ts";
import type { Run } from "../journal-entries.ts";
import type { AttemptRow, CheckpointRow, EventRow, TaskRow } from "../rows.ts";
import type { Finding, Rule } from "../violation.ts";
import { attemptName, openTaskStates } from "../words.ts";

export const checkpoints: Rule<Facts> = {
  sentence: "a checkpoint is kept while its task is open, and what goes on at it loses little",
  check: (facts) => [
    ...facts.database.task_checkpoint.flatMap((row) => ofRow(facts, row)),
    ...facts.database.task.flatMap((task) => ofTask(facts, task)),
  ],
};

function ofRow(facts: Facts, row: CheckpointRow): readonly Finding[] {
  const task = facts.tasks.get(row.task_id);
  const say = (what: string): Finding => ({ where: `task ${row.task_id}`, what, evidence: [row, task] });
  const findings: Finding[] = [];
  if (!openTaskStates.includes(task?.state ?? "")) findings.push(say(`it is ${task?.state ?? "gone"} and its checkpoint is kept`));
  if (facts.attempts.get(row.attempt_id)?.task_id !== row.task_id) findings.push(say("its checkpoint is of another task's attempt"));
  const artifact = facts.database.artifact.find(({ sha256 }) => sha256 === row.sha256);
  if (artifact?.is_stored !== true) findings.push(say("its checkpoint's bytes are not stored"));
  return findings;
}

/** Where an attempt began: the log says so for each that had users. */
function beginningOf(facts: Facts, task: TaskRow, attempt: AttemptRow): number | undefined {
  const starts = facts.database.event.filter(({ kind, task_id }) => kind === "task.started" && task_id === task.id);
  const numbers = Map.groupBy(starts, ({ job_id }) => job_id);
  // Each job that wanted it all the time has one start for each attempt.
  const whole = [...numbers.values()].find((events) => events.length === facts.attemptsOf(task.id).length);
  const event = whole?.toSorted((a, b) => a.number - b.number)[attempt.number - 1];
  return event === undefined ? undefined : stepOf(event);
}

const stepOf = ({ message }: EventRow): number => Number(/step (\d+)/.exec(message)?.[1] ?? 0);

function ofTask(facts: Facts, task: TaskRow): readonly Finding[] {
  const attempts = facts.attemptsOf(task.id);
  return attempts.slice(1).flatMap((attempt, index) => {
    const before = attempts[index];
    const began = beginningOf(facts, task, attempt);
    if (before === undefined || began === undefined) return [];
    const wasLost = before.error_class === "artifact";
    const runs = facts.runs.filter(({ runId }) => attempts.some(({ id, number }) => id === runId && number < attempt.number));
    return [...invented(attempt, began, runs), ...(wasLost ? [] : lost(facts, { task, before, attempt, began, runs }))];
  });
}

function invented(attempt: AttemptRow, began: number, runs: readonly Run[]): readonly Finding[] {
  if (began === 0 || runs.length === 0 || runs.some((run) => run.checkpoints.some(({ step }) => step === began))) return [];
  return [
    {
      where: attemptName(attempt),
      what: `it goes on at step ${began}, of which no runtime wrote a checkpoint`,
      evidence: [attempt, ...runs],
    },
  ];
}

type Resumed = {
  readonly task: TaskRow;
  readonly before: AttemptRow;
  readonly attempt: AttemptRow;
  readonly began: number;
  readonly runs: readonly Run[];
};

function lost(facts: Facts, { task, before, attempt, began, runs }: Resumed): readonly Finding[] {
  const earlier = beginningOf(facts, task, before) ?? 0;
  const isSame =
    facts.database.worker.find(({ id }) => id === attempt.worker_id)?.profile ===
    facts.database.worker.find(({ id }) => id === before.worker_id)?.profile;
  if (!isSame) return [];
  const say = (what: string): readonly Finding[] => [{ where: attemptName(attempt), what, evidence: [before, attempt, ...runs] }];
  if (began < earlier) return say(`it goes on at step ${began}, the one before began at ${earlier}`);
  const { checkpointSteps: every, keepMs } = facts.bounds;
  const run = runs.find(({ runId }) => runId === before.id);
  if (every === undefined || run?.lastStep === undefined) return [];
  // One that was being kept when it ended may be lost with it, and the one after it was not due yet.
  if (wasAway(facts, run)) return [];
  const kept = run.checkpoints.filter(({ atMs }) => atMs + keepMs <= run.lastSignAtMs).at(-1)?.step ?? 0;
  if (began < kept) return say(`it goes on at step ${began}, a checkpoint of step ${kept} was written ${keepMs} ms before the end`);
  return run.lastStep - began > 2 * every
    ? say(`it goes on at step ${began} after step ${run.lastStep} was taken; a checkpoint is due every ${every}`)
    : [];
}

/** Nothing can be kept while the farm's own parts are away, or its agent is not heard. */
function wasAway(facts: Facts, { beganAtMs, endedAtMs }: Run): boolean {
  return facts.tester.some(
    (line) =>
      (line.kind === "outage" || line.kind === "unheard") && line.untilMs > beganAtMs && line.fromMs < (endedAtMs ?? facts.takenAtMs),
  );
}

/**
 * What domain/explain judges of a job's open tasks → farm.proto.
 */
import { type Constraint, type ExplainFacts, explainTask, type OpenTask, summarize, type WaitingPool } from "../../domain/explain.ts";
import { explainWaiting } from "../../domain/explain-window.ts";
import type { ExplainJobResponse, WaitingRenders } from "../../gen/proto/vapfarm/v1/farm.ts";
import { TaskExplanation } from "../../gen/proto/vapfarm/v1/operator.ts";
import { constraintKinds, jobStates } from "./wire-names.ts";

/** Every open task of one snapshot with what binds it. */
export function explanationToProto(facts: ExplainFacts): ExplainJobResponse {
  return {
    state: jobStates[facts.jobState],
    summary: summarize(facts),
    tasks: facts.tasks.map((task) => taskToProto(task, facts)),
    openTasks: facts.openTasks,
    waitingRenders: (facts.waiting ?? []).map((waiting) => waitingToProto(waiting, facts)),
  };
}

function waitingToProto(waiting: WaitingPool, facts: ExplainFacts): WaitingRenders {
  const { pool, renders: renderCount, open: openRenders, window } = waiting;
  return { pool, renderCount, openRenders, window, constraint: constraintToProto(explainWaiting(waiting, facts)) };
}

function constraintToProto({ kind, message, remedy }: Constraint) {
  return { kind: constraintKinds[kind], message, remedy };
}

function taskToProto(task: OpenTask, facts: ExplainFacts): TaskExplanation {
  const { taskId, stage, label, renderPosition, pool } = task;
  return TaskExplanation.create({
    taskId: BigInt(taskId),
    stage,
    label,
    renderPosition,
    pool,
    constraints: explainTask(task, facts).map(constraintToProto),
  });
}

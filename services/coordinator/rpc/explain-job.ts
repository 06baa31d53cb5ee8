/**
 * ExplainJob: one snapshot of the store, judged by domain/explain, as farm.proto tells it.
 */
import { type ExplainFacts, explainTask, type OpenTask, summarize } from "../../domain/explain.ts";
import { refuseAny } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import type { ExplainJobRequest, ExplainJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { TaskExplanation } from "../../gen/proto/vapfarm/v1/operator.ts";
import type { ControlStore, JobStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { explainNoRender, jobUnknown, positionRule } from "./jobs.ts";
import type { Call } from "./method.ts";
import { constraintKinds, jobStates } from "./wire-names.ts";

/** The handler of ExplainJob. */
export function createExplainJob(store: Pick<ControlStore, "explainFacts"> & Pick<JobStore, "getJob">) {
  return async ({ jobId, renderPosition }: ExplainJobRequest, call: Call): Promise<ExplainJobResponse> => {
    refuseAny(renderPosition === undefined ? [] : positionRule("render_position", renderPosition));
    const facts = isJobId(jobId) ? await store.explainFacts(scopeOf(call.caller), jobId, renderPosition) : undefined;
    if (facts !== undefined) return explanationToProto(facts);
    if (renderPosition === undefined) throw jobUnknown(jobId);
    throw await explainNoRender(store, { jobId, position: renderPosition, field: "render_position" }, call);
  };
}

function explanationToProto(facts: ExplainFacts): ExplainJobResponse {
  return {
    state: jobStates[facts.jobState],
    summary: summarize(facts),
    tasks: facts.tasks.map((task) => taskToProto(task, facts)),
    openTasks: facts.openTasks,
  };
}

function taskToProto(task: OpenTask, facts: ExplainFacts): TaskExplanation {
  const { taskId, stage, label, renderPosition, pool } = task;
  return TaskExplanation.create({
    taskId: BigInt(taskId),
    stage,
    label,
    renderPosition,
    pool,
    constraints: explainTask(task, facts).map(({ kind, message, remedy }) => ({ kind: constraintKinds[kind], message, remedy })),
  });
}

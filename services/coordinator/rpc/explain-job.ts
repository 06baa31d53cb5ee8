/**
 * ExplainJob: one snapshot of the store, judged by domain/explain, as farm.proto tells it.
 */
import { refuseAny } from "../../domain/field-rules.ts";
import { isJobId } from "../../domain/ids.ts";
import type { ExplainJobRequest, ExplainJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ControlStore, JobStore } from "../store/store-contract.ts";
import { scopeOf } from "./caller.ts";
import { explanationToProto } from "./explain-mapping.ts";
import { explainNoRender, jobUnknown, positionRule } from "./jobs.ts";
import type { Call } from "./method.ts";

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

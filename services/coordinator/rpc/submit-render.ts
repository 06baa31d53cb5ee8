/**
 * SubmitRender: checks everything at once, fills in the model's defaults, plans the graph, stores it in one transaction as a job of one.
 */
import { createHash } from "node:crypto";
import { refusalOf, refuseAny } from "../../domain/field-rules.ts";
import { formViolationsOf, submissionViolations } from "../../domain/render-rules.ts";
import { SubmitRenderRequest, type SubmitRenderResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { checkRenders } from "./check-renders.ts";
import { jobToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";
import { findRepeated, jobViolationsOf, missingUpload, store, type SubmitDependencies, withChecked } from "./submission.ts";
import { jobRequestFromProto, renderRequestFromProto } from "./submit-mapping.ts";

const at = "render";

/** The handler of SubmitRender. */
export function createSubmitRender(dependencies: SubmitDependencies) {
  return async (wire: SubmitRenderRequest, call: Call): Promise<SubmitRenderResponse> => {
    const request = jobRequestFromProto(wire);
    // What has no form can be neither digested nor looked up; the check then tells everything that is wrong.
    const isWellFormed = formViolationsOf(request).length === 0;
    const body = { tenant: call.caller.tenant, bodyDigest: isWellFormed ? bodyDigestOf(wire) : "" };
    const repeated = isWellFormed ? await findRepeated(dependencies, request, body) : undefined;
    if (repeated !== undefined) return { job: jobToProto(repeated) };
    const wrong = jobViolationsOf(dependencies, request);
    const renders = wire.render === undefined ? [] : [renderRequestFromProto(wire.render)];
    const asked = { renders, fieldOf: () => at, now: dependencies.now(), resolves: wrong.length === 0 };
    const checked = await checkRenders(dependencies, asked, call);
    return await withChecked(checked, async () => {
      const [verdict] = checked.verdicts;
      if (verdict?.kind !== "right") throw refusalOf(submissionViolations(verdict?.violations, wrong));
      refuseAny(wrong);
      const stored = await store(dependencies, { request, body, renders: [verdict] }, call);
      if (stored.kind === "invalid") throw refusalOf(stored.missing.map((missing) => missingUpload(missing, at)));
      return { job: jobToProto(stored.job) };
    });
  };
}

/** SHA-256 of the request as it was sent, its idempotency key apart: what tells a repeat from a conflict. */
function bodyDigestOf(request: SubmitRenderRequest): string {
  const bytes = SubmitRenderRequest.encode({ ...request, idempotencyKey: "" }).finish();
  return createHash("sha256").update(bytes).digest("hex");
}

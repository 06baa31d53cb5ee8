/**
 * SubmitRenders: up to 1,000 renders as one job. Every item is judged; models and uploads are looked up once for all of them.
 *
 * What is wrong with the job itself refuses the call; what is wrong with an item is told in the answer, as the status that a call of its
 * own would have had.
 */
import { createHash } from "node:crypto";
import { refusalOf, refuseAny, violation, type Violations } from "../../domain/field-rules.ts";
import { formViolationsOf } from "../../domain/render-rules.ts";
import { type RenderOutcome, SubmitRendersRequest, SubmitRendersResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { toRpcStatus } from "../../platform/grpc/status.ts";
import { checkRenders, type RenderVerdict } from "./check-renders.ts";
import { jobToProto } from "./job-mapping.ts";
import type { Call } from "./method.ts";
import type { RightRender } from "./plan-job.ts";
import { findRepeated, jobViolationsOf, missingUpload, store, type SubmitDependencies, withChecked } from "./submission.ts";
import { jobRequestFromProto, renderRequestFromProto } from "./submit-mapping.ts";

const maxRenders = 1_000;
/** All errors of one answer together: it has to fit into a message. */
const maxFieldsOfAnswer = 2_000;
const maxFieldsOfItem = 16;

/** The handler of SubmitRenders. */
export function createSubmitRenders(dependencies: SubmitDependencies) {
  return async (wire: SubmitRendersRequest, call: Call): Promise<SubmitRendersResponse> => {
    const request = jobRequestFromProto(wire);
    refuseAny(formViolationsOf(request).length > 0 ? jobWrongs(dependencies, wire) : []);
    const body = { tenant: call.caller.tenant, bodyDigest: bodyDigestOf(wire) };
    const repeated = await findRepeated(dependencies, request, body);
    if (repeated !== undefined && !wire.validateOnly) return SubmitRendersResponse.create({ job: jobToProto(repeated) });
    refuseAny(jobWrongs(dependencies, wire));
    const renders = wire.renders.map(renderRequestFromProto);
    const checked = await checkRenders(dependencies, { renders, fieldOf, now: dependencies.now(), resolves: true }, call);
    return await withChecked(checked, async () => {
      const right = checked.verdicts.flatMap((verdict, index) => (verdict.kind === "right" ? [{ verdict, index }] : []));
      const isStorable = right.length === renders.length || (wire.allowPartial && right.length > 0);
      if (wire.validateOnly || !isStorable) return { job: undefined, outcomes: outcomesOf(checked.verdicts, new Map()) };
      const planned = right.map(({ verdict }): RightRender => verdict);
      const stored = await store(dependencies, { request, body, renders: planned }, call);
      if (stored.kind === "repeated") return SubmitRendersResponse.create({ job: jobToProto(stored.job) });
      const positions = new Map(right.map(({ index }, position) => [index, position]));
      if (stored.kind === "stored") return { job: jobToProto(stored.job), outcomes: outcomesOf(checked.verdicts, positions) };
      const missing = stored.missing.map((one) => ({ index: right[one.position]?.index ?? one.position, one }));
      const verdicts = checked.verdicts.map((verdict, index): RenderVerdict => {
        const gone = missing.filter((each) => each.index === index).map(({ one }) => missingUpload(one, fieldOf(index)));
        return gone.length === 0 ? verdict : { kind: "wrong", violations: gone };
      });
      return { job: undefined, outcomes: outcomesOf(verdicts, new Map()) };
    });
  };
}

function fieldOf(index: number): string {
  return `renders[${index}]`;
}

function jobWrongs(dependencies: SubmitDependencies, wire: SubmitRendersRequest): Violations {
  const found = jobViolationsOf(dependencies, jobRequestFromProto(wire));
  const { length } = wire.renders;
  if (length >= 1 && length <= maxRenders) return found;
  return [violation("renders", `has ${length} renders`, `name 1 to ${maxRenders}`), ...found];
}

/** An item that is right and was not stored has neither a position nor an error. */
function outcomesOf(verdicts: readonly RenderVerdict[], positions: ReadonlyMap<number, number>): RenderOutcome[] {
  const wrong = verdicts.filter(({ kind }) => kind === "wrong").length;
  const maxFields = Math.min(maxFieldsOfItem, Math.max(1, Math.floor(maxFieldsOfAnswer / Math.max(1, wrong))));
  return verdicts.map((verdict, index): RenderOutcome => {
    if (verdict.kind === "wrong") {
      return { index, outcome: { $case: "error", value: toRpcStatus(refusalOf(verdict.violations), { maxFields }) } };
    }
    const position = positions.get(index);
    return { index, outcome: position === undefined ? undefined : { $case: "position", value: position } };
  });
}

/** As of SubmitRender; named apart, because a batch of one is encoded like the render itself. Checking alone is no other body. */
function bodyDigestOf(request: SubmitRendersRequest): string {
  const bytes = SubmitRendersRequest.encode({ ...request, idempotencyKey: "", validateOnly: false }).finish();
  return createHash("sha256").update("SubmitRenders\n").update(bytes).digest("hex");
}

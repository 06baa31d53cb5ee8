/**
 * Many renders as one job, with what became of each as an error that can be thrown.
 */
import { FarmError, type FieldViolation } from "../domain/errors.ts";
import type { DeepPartial, Job, RenderOutcome, SubmitRendersRequest } from "../gen/proto/vapfarm/v1/farm.ts";
import { fromRpcStatus } from "../platform/grpc/status.ts";
import type { CallControl, FarmCalls } from "./calls.ts";

/** What became of a batch. */
export type ManySubmitted = {
  /** Undefined only when `validateOnly` was asked for. */
  readonly job: Job | undefined;
  readonly outcomes: readonly RenderOutcome[];
  /** The items that were left out; empty unless `allowPartial` was asked for. */
  readonly failures: readonly { readonly index: number; readonly error: FarmError }[];
};

/** FIELD_INVALID with the fields of all wrong items when nothing was stored, or nothing would be. */
export async function submitMany(
  calls: Pick<FarmCalls, "submitRenders">,
  request: DeepPartial<SubmitRendersRequest>,
  control: CallControl = {},
): Promise<ManySubmitted> {
  const { job, outcomes } = await calls.submitRenders(request, control);
  const failures = outcomes.flatMap(({ index, outcome }) =>
    outcome?.$case === "error" ? [{ index, error: fromRpcStatus(outcome.value) }] : [],
  );
  const isStored = job !== undefined || (request.validateOnly === true && failures.length === 0);
  if (!isStored) throw refusal(outcomes.length, failures);
  return { job, outcomes, failures };
}

function refusal(items: number, failures: ManySubmitted["failures"]): FarmError {
  const fields = failures.flatMap(({ index, error }): readonly FieldViolation[] => {
    const own = error.details.fields ?? [];
    return own.length > 0 ? own : [{ field: `renders[${index}]`, reason: error.message, remedy: error.row.remedy }];
  });
  const message = `${failures.length} of ${items} renders are wrong, nothing was stored`;
  return new FarmError("FIELD_INVALID", { message, details: { fields, failedIndexes: failures.map(({ index }) => index) } });
}

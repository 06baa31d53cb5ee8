/**
 * Any number of renders as one job, sent as a stream.
 */
import { FarmError, type FieldViolation } from "../domain/errors.ts";
import {
  type DeepPartial,
  type Job,
  ManifestHeader,
  RenderSpec,
  type SubmitManifestRequest,
  type SubmitManifestResponse,
} from "../gen/proto/vapfarm/v1/farm.ts";
import type { CallControl, FarmCalls } from "./calls.ts";

/** A job to be, and its renders in their order; they are gone through once for each try. */
export type ManifestToSubmit = { readonly header: DeepPartial<ManifestHeader>; readonly renders: Iterable<DeepPartial<RenderSpec>> };

/** What became of it; the job is undefined only when `validateOnly` was asked for. */
export type ManifestSubmitted = { readonly job: Job | undefined; readonly renderCount: number };

const rendersOfMessage = 500;
/** A message of 4 MiB is the farm's limit. */
const bytesOfMessage = 2 * 1024 ** 2;

/** FIELD_INVALID with the first faults, as `renders[3].image`, when rows are wrong; nothing was stored then. */
export async function submitManifest(
  calls: Pick<FarmCalls, "submitManifest">,
  { header, renders }: ManifestToSubmit,
  control: CallControl = {},
): Promise<ManifestSubmitted> {
  const answer = await calls.submitManifest(messages(header, renders), control);
  if (answer.wrongCount > 0) throw refusal(answer);
  if (answer.job === undefined && header.validateOnly !== true) {
    throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the farm's answer has no job" });
  }
  return { job: answer.job, renderCount: answer.renderCount };
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* messages(header: DeepPartial<ManifestHeader>, renders: ManifestToSubmit["renders"]): AsyncGenerator<SubmitManifestRequest> {
  yield { part: { $case: "header", value: ManifestHeader.fromPartial(header) } };
  let [some, bytes]: [RenderSpec[], number] = [[], 0];
  for (const each of renders) {
    const render = RenderSpec.fromPartial(each);
    const size = RenderSpec.encode(render).finish().length;
    if (some.length > 0 && (some.length === rendersOfMessage || bytes + size > bytesOfMessage)) {
      yield { part: { $case: "renders", value: { renders: some } } };
      [some, bytes] = [[], 0];
    }
    some.push(render);
    bytes += size;
  }
  if (some.length > 0) yield { part: { $case: "renders", value: { renders: some } } };
}

function refusal({ wrongCount, renderCount, faults }: SubmitManifestResponse): FarmError {
  const fields = faults.map(({ row, field, reason, remedy }): FieldViolation => ({
    field: field === "" ? `renders[${row}]` : `renders[${row}].${field}`,
    reason,
    remedy,
  }));
  const message = `${wrongCount} of ${renderCount} renders are wrong, nothing was stored`;
  return new FarmError("FIELD_INVALID", { message, details: { fields } });
}

/**
 * SubmitManifest: a job of any number of renders, checked as they come and stored all or none.
 *
 * Neither this process nor a statement holds the whole: renders that are right go into a temporary file until the last has been checked. They
 * are stored without tasks; the duty `expand` plans them as their pool's window has room. A repeat is read for its digest alone: nothing of it
 * is checked or resolved again. Media that a row carries or names by address are stored as they are checked, as an upload before the job
 * would be: one that no job uses is collected by its age.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { FarmError } from "../../domain/errors.ts";
import { refuseAny } from "../../domain/field-rules.ts";
import { formViolationsOf } from "../../domain/render-rules.ts";
import {
  type ManifestFault,
  type RenderSpec,
  type SubmitManifestRequest,
  SubmitManifestResponse,
} from "../../gen/proto/vapfarm/v1/farm.ts";
import type { ManifestRender, MissingUpload } from "../store/store-contract.ts";
import { checkRenders } from "./check-renders.ts";
import { jobToProto } from "./job-mapping.ts";
import { createFaultList, type FaultList } from "./manifest-faults.ts";
import { type ManifestStream, readManifest } from "./manifest-messages.ts";
import type { Call } from "./method.ts";
import { jobToStore, manifestRenderOf } from "./plan-job.ts";
import { openRowFile, type RowFile } from "./row-file.ts";
import type { Slots } from "../../platform/slots.ts";
import { withModelsOfNow } from "./served-model.ts";
import { conflict, findSubmittedJob, jobViolationsOf, missingUpload, settle, type SubmitDependencies, withChecked } from "./submission.ts";
import { jobRequestFromProto, renderRequestFromProto } from "./submit-mapping.ts";

const maxRenders = 200_000;
/** Checked at a time. */
const rendersPerCheck = 250;
const mostFaults = 200;
const mostWrongRows = 100;

export type ManifestDependencies = SubmitDependencies & {
  /** Manifests received at a time. */
  readonly manifests: Slots;
  /** Exists. */
  readonly temporaryFolder: string;
  /** The longest wait for the caller's next message. */
  readonly idleMs: number;
};

/** The handler of SubmitManifest. */
export function createSubmitManifest(dependencies: ManifestDependencies) {
  return (messages: AsyncIterable<SubmitManifestRequest>, call: Call): Promise<SubmitManifestResponse> =>
    dependencies.manifests.useNow("FARM_BUSY", async () => {
      const stream = await readManifest(messages, { idleMs: dependencies.idleMs, signal: call.signal });
      const request = jobRequestFromProto(stream.header);
      refuseAny(formViolationsOf(request).length > 0 ? jobViolationsOf(dependencies, request) : []);
      const first = await findSubmittedJob(dependencies, request, call.caller.tenant);
      if (first !== undefined && !stream.header.validateOnly) {
        const job =
          (await digestOf(stream)) === first.bodyDigest ? await dependencies.store.getJob(call.caller.tenant, first.jobId) : undefined;
        if (job === undefined) throw conflict();
        return SubmitManifestResponse.create({ job: jobToProto(job), renderCount: job.renderCounts.total });
      }
      refuseAny(jobViolationsOf(dependencies, request));
      const file = await openRowFile<ManifestRender>(join(dependencies.temporaryFolder, `manifest-${randomUUID()}`));
      try {
        return await checkAndStore(await withModelsOfNow(dependencies), { stream, file, call });
      } finally {
        await file.remove();
      }
    });
}

async function digestOf({ renders, digest }: ManifestStream): Promise<string> {
  let count = 0;
  for await (const { length } of renders) count = counted(count + length);
  return digest();
}

function counted(renders: number): number {
  if (renders <= maxRenders) return renders;
  throw new FarmError("FIELD_INVALID", {
    message: `the manifest has more than ${maxRenders} renders`,
    details: { fields: [{ field: "renders", reason: `more than ${maxRenders}`, remedy: "split the manifest" }] },
  });
}

type Receiving = { readonly stream: ManifestStream; readonly file: RowFile<ManifestRender>; readonly call: Call };

async function checkAndStore(dependencies: ManifestDependencies, receiving: Receiving): Promise<SubmitManifestResponse> {
  const { stream, file, call } = receiving;
  const faults = createFaultList({ faults: mostFaults, rows: mostWrongRows });
  const renderCount = await checkAll(dependencies, receiving, faults);
  const told = (more: readonly ManifestFault[] = []): SubmitManifestResponse => ({
    job: undefined,
    renderCount,
    wrongCount: faults.wrongRows() + new Set(more.map(({ row }) => row)).size,
    faults: [...faults.list(), ...more],
  });
  if (renderCount === 0) {
    throw new FarmError("FIELD_INVALID", {
      message: "the manifest has no renders",
      details: { fields: [{ field: "renders", reason: "is empty", remedy: "send at least one render" }] },
    });
  }
  if (faults.wrongRows() > 0 || stream.header.validateOnly) return told();
  await file.seal();
  call.signal.throwIfAborted();
  const body = { tenant: call.caller.tenant, bodyDigest: stream.digest() };
  const job = jobToStore(dependencies, jobRequestFromProto(stream.header), body);
  const { store, submitSpans } = dependencies;
  const submit = { jobId: job.jobId, renders: renderCount, caller: call.trace, sinceMs: submitSpans.now() };
  const manifest = { ...job, renderTotal: renderCount, parts: () => file.parts() };
  const stored = settle(dependencies, await submitSpans.around(submit, (kept) => store.submitManifest({ ...manifest, ...kept })));
  if (stored.kind === "invalid") return told(stored.missing.map(goneUpload));
  return SubmitManifestResponse.create({ job: jobToProto(stored.job), renderCount });
}

/** Checks every row; right ones go into the file as long as none is wrong. How many there are. */
async function checkAll(dependencies: ManifestDependencies, { stream, file, call }: Receiving, faults: FaultList): Promise<number> {
  let count = 0;
  for await (const renders of stream.renders) {
    counted(count + renders.length);
    for (let start = 0; start < renders.length; start += rendersPerCheck) {
      const some = renders.slice(start, start + rendersPerCheck);
      const right = await checkSome(dependencies, { renders: some, first: count, isWanted: !stream.header.validateOnly }, { call, faults });
      if (faults.wrongRows() === 0 && !stream.header.validateOnly) await file.add(right);
      count += some.length;
      call.signal.throwIfAborted();
    }
  }
  return count;
}

type Some = { readonly renders: readonly RenderSpec[]; readonly first: number; readonly isWanted: boolean };
type Around = { readonly call: Call; readonly faults: FaultList };

async function checkSome(
  dependencies: ManifestDependencies,
  { renders, first, isWanted }: Some,
  { call, faults }: Around,
): Promise<readonly ManifestRender[]> {
  const asked = { renders: renders.map(renderRequestFromProto), fieldOf: () => "", now: dependencies.now(), resolves: true };
  const checked = await checkRenders(dependencies, asked, call);
  return await withChecked(checked, async () => {
    const right: ManifestRender[] = [];
    for (const [index, verdict] of checked.verdicts.entries()) {
      if (verdict.kind === "wrong") {
        faults.add(first + index, verdict.violations);
        continue;
      }
      if (isWanted && faults.wrongRows() === 0) for (const media of verdict.media) await media.commit();
      right.push(manifestRenderOf(verdict, dependencies.drawSeed()));
    }
    return right;
  });
}

function goneUpload(missing: MissingUpload): ManifestFault {
  const { field, reason, remedy, code } = missingUpload(missing, "");
  return { row: missing.position, field: field.replace(/^\./, ""), reason, remedy, code };
}

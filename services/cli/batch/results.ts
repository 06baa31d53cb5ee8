/**
 * What became of each render of a batch: its files, and the summary.
 *
 * A file that is there already with the right hash is not downloaded again, so the command can be repeated after a crash.
 */
import { join } from "node:path";
import type { FarmClient } from "../../client/farm-client.ts";
import { type Artifact, type Job, JobState, type Render } from "../../gen/proto/vapfarm/v1/farm.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { renderOutputPath } from "../render/output-path.ts";
import { mapBounded } from "./bounded.ts";
import type { PlannedRender } from "./plan.ts";

/** A job of the batch with its renders by position. */
export type SubmittedPart = { readonly job: Job; readonly renders: readonly PlannedRender[] };

/** What became of one render. */
export type BatchResult = {
  readonly name: string;
  readonly jobId: string;
  readonly position: number;
  readonly state: "succeeded" | "failed" | "cancelled" | "open";
  readonly seed: string;
  readonly failure: { readonly code: string; readonly message: string; readonly stage: string; readonly remedy: string } | undefined;
  readonly hasRandomWeights: boolean;
  /** What it is → path. */
  readonly files: Readonly<Record<string, string>>;
};

/** Where results go. */
export type Collecting = { readonly client: FarmClient; readonly folder: string; readonly signal: AbortSignal };

const atOnce = 4;

/** Every render as the farm has it now, its files downloaded. */
export function collect(parts: readonly SubmittedPart[], collecting: Collecting): Promise<readonly BatchResult[]> {
  const wanted = parts.flatMap(({ job, renders }) => renders.map((planned, position) => ({ jobId: job.jobId, position, planned })));
  return mapBounded(wanted, atOnce, async ({ jobId, position, planned }) => {
    const render = await collecting.client.getRender(jobId, position, { signal: collecting.signal });
    const files = await downloadAll(render, planned.folder, collecting);
    return resultOf(render, { name: planned.folder, files });
  });
}

const states: Readonly<Partial<Record<JobState, BatchResult["state"]>>> = {
  [JobState.JOB_STATE_SUCCEEDED]: "succeeded",
  [JobState.JOB_STATE_FAILED]: "failed",
  [JobState.JOB_STATE_CANCELLED]: "cancelled",
};

function resultOf(render: Render, { name, files }: Pick<BatchResult, "name" | "files">): BatchResult {
  return {
    name,
    jobId: render.jobId,
    position: render.position,
    state: states[render.state] ?? "open",
    seed: (render.spec?.seed ?? 0n).toString(),
    failure: render.failure,
    hasRandomWeights: render.modelWeights === "random",
    files,
  };
}

async function downloadAll(
  { jobId, position, artifacts }: Render,
  name: string,
  { client, folder, signal }: Collecting,
): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const artifact of artifacts) {
    const path = renderOutputPath(join(folder, name), name, artifact.name);
    if (!(await isThere(path, artifact))) await client.download({ jobId, name: artifact.name, position, path }, { signal });
    files[artifact.name] = path;
  }
  return files;
}

async function isThere(path: string, { sha256 }: Artifact): Promise<boolean> {
  return hashFile(path).then(
    (found) => found.sha256 === sha256,
    () => false,
  );
}

/** 1 when any failed, 4 when none did and any was cancelled. */
export function exitCodeOfBatch(results: readonly Pick<BatchResult, "state">[]): ExitCode {
  if (results.some(({ state }) => state === "failed" || state === "open")) return exitCodes.failed;
  return results.some(({ state }) => state === "cancelled") ? exitCodes.cancelled : exitCodes.ok;
}

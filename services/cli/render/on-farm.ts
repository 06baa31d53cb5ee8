/**
 * `render` on a farm: upload, submit, watch, download, contact sheet.
 */
import { resolve } from "node:path";
import { type Job, JobState } from "../../gen/proto/vapfarm/v1/farm.ts";
import { FrameSelection } from "../../gen/proto/vapfarm/v1/stage.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import { parseTraceparent } from "../../platform/tracing/trace-context.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { renderOutputPath } from "./output-path.ts";
import type { FarmClient } from "../../client/farm-client.ts";
import { trySheet } from "./make-sheet.ts";
import { isMediaAddress, type RenderOptions, requestOf, type UploadedMedia } from "./render-options.ts";
import { printReport, type RenderReport, reportOf } from "./report.ts";
import { submitRequestToProto } from "./submit-proto.ts";
import { uploadFile } from "./upload-file.ts";
import { watchToEnd } from "./watch-to-end.ts";

/** Renders and returns the report; undefined when the person left before the end. */
export async function renderOnFarm(context: CliContext, options: RenderOptions, client: FarmClient): Promise<RenderReport | undefined> {
  const asJson = options.json === true;
  const { signal } = context.interrupts;
  const media = await uploadAll(context, options, client);
  const submitted = await client.submit(submitRequestToProto(requestOf(options, media)), { signal });
  const { address, traceparent } = client.endpoint;
  const trace = parseTraceparent(traceparent);
  if (!asJson) context.output.note(`job ${submitted.jobId} on ${address}${trace === undefined ? "" : `, trace ${trace.traceId}`}`);
  if (options.detach === true) return reportOf(submitted, {});
  const outcome = await watchToEnd(context, { client, job: submitted, asJson });
  if (outcome.kind === "left") return undefined;
  const files = await download(outcome.job, { client, folder: resolve(context.workingFolder, options.out), signal });
  const sheet = await sheetOf(context, options, { job: outcome.job, files });
  return reportOf(outcome.job, { ...files, ...sheet });
}

/** The same, printed. */
export async function renderAndPrint(context: CliContext, options: RenderOptions, client: FarmClient): Promise<ExitCode> {
  const report = await renderOnFarm(context, options, client);
  if (report === undefined) return exitCodes.interrupted;
  if (options.detach === true && options.json !== true) {
    context.output.line(report.jobId);
    context.output.note(`watch it: vapfarm watch ${report.jobId ?? ""}; cancel it: vapfarm cancel ${report.jobId ?? ""}`);
    return exitCodes.ok;
  }
  return printReport(context.output, report, options.json === true);
}

async function uploadAll(context: CliContext, options: RenderOptions, client: FarmClient): Promise<UploadedMedia> {
  const uploaded = new Map<string, string>();
  const upload = async (media: string): Promise<string> => {
    if (isMediaAddress(media)) return media;
    const { sha256 } = await hashFile(media);
    if (!uploaded.has(sha256)) {
      uploaded.set(sha256, (await uploadFile(context, { path: media, client, asJson: options.json === true })).sha256);
    }
    return sha256;
  };
  const image = await upload(options.image);
  const references: string[] = [];
  for (const media of options.reference) references.push(await upload(media));
  return { image, references };
}

/** From where to where. */
export type Download = { readonly client: FarmClient; readonly folder: string; readonly signal: AbortSignal };

/** Downloads all that a job made; what it is → path. */
export async function download(job: Job, { client, folder, signal }: Download): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for (const { name } of job.artifacts) {
    const path = renderOutputPath(folder, job.jobId, name);
    await client.download({ jobId: job.jobId, name, path }, { signal });
    files[name] = path;
  }
  return files;
}

/** The same of a job of several renders: of those that succeeded, named by their positions. */
export async function downloadRenders({ jobId }: Job, { client, folder, signal }: Download): Promise<Readonly<Record<string, string>>> {
  const files: Record<string, string> = {};
  for await (const { position } of client.renders({ jobId, states: [JobState.JOB_STATE_SUCCEEDED] }, { signal })) {
    for (const { name } of (await client.getRender(jobId, position, { signal })).artifacts) {
      const path = renderOutputPath(folder, `${jobId}.${position}`, name);
      await client.download({ jobId, name, position, path }, { signal });
      files[`${position} ${name}`] = path;
    }
  }
  return files;
}

/** The facts of the render that the sheet shows; the farm filled them in. */
async function sheetOf(context: CliContext, options: RenderOptions, { job, files }: Finished): Promise<Readonly<Record<string, string>>> {
  const { render } = job;
  if (job.state !== JobState.JOB_STATE_SUCCEEDED || render === undefined) return {};
  const facts = {
    seed: (render.seed ?? 0n).toString(),
    steps: render.steps ?? 0,
    size: { width: render.width ?? 0, height: render.height ?? 0, frames: render.frames ?? 0 },
    frameSelection: render.frameSelection === FrameSelection.FRAME_SELECTION_FIRST ? ("first" as const) : ("evenly" as const),
    fps: job.fps,
    hasRandomWeights: job.modelWeights === "random",
  };
  return trySheet(context, options, { facts, files });
}

type Finished = { readonly job: Job; readonly files: Readonly<Record<string, string>> };

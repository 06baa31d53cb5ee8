/**
 * `render --file`: a batch file from its text to files on disk.
 *
 * Everything that can be wrong is found before anything is sent. Repeating the same file asks for the same jobs: what was submitted is not
 * submitted again, what was downloaded is not downloaded again.
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { text as readAll } from "node:stream/consumers";
import type { FarmClient } from "../../client/farm-client.ts";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { CliContext } from "../context.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type FarmOptions, withFarm } from "../farm-address.ts";
import { faultyFile, inOrder } from "../file-faults.ts";
import { createProgressView } from "../render/progress-view.ts";
import { readWebhookSecret } from "../render/webhook-secret.ts";
import { randomWeightsNote } from "../sheet/contact-sheet.ts";
import { type Column, renderTable } from "../table.ts";
import { batchRow, createJobBoard, foldJob, type JobBoard } from "./board.ts";
import { hashFiles, missingFiles, uploadFiles } from "./media.ts";
import { type BatchPlan, planBatch } from "./plan.ts";
import { type BatchJob, jobOfBatch } from "./requests.ts";
import { type BatchResult, collect, exitCodeOfBatch, type SubmittedPart } from "./results.ts";

/** The options that a batch has. */
export type BatchOptions = FarmOptions & {
  /** `-` is stdin. */
  readonly file: string;
  readonly out: string;
  readonly idempotencyKey?: string;
  readonly detach?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
};

const notSubmitted = "nothing was submitted";

/** The plan of a file, every path in it checked; FIELD_INVALID lists all faults with line and column. */
export async function readBatch(context: CliContext, file: string): Promise<BatchPlan> {
  const path = resolve(context.workingFolder, file);
  const text = await (file === "-" ? readAll(process.stdin) : readFile(path, "utf8")).catch((cause: unknown) => {
    const fields = [{ field: "--file", reason: `${path} cannot be read`, remedy: "name a YAML or JSON file, or - for stdin" }];
    throw new FarmError("FIELD_INVALID", { message: `--file: ${path} cannot be read`, details: { fields }, cause });
  });
  const name = file === "-" ? "stdin" : basename(file);
  const reading = planBatch(text, file === "-" ? context.workingFolder : dirname(path));
  if (reading.kind === "faulty") throw faultyFile(name, reading.faults, notSubmitted);
  const missing = await missingFiles(reading.plan);
  if (missing.length > 0) throw faultyFile(name, inOrder(missing), notSubmitted);
  return reading.plan;
}

/** Renders the whole file on a farm and prints what became of it. */
export async function renderBatch(context: CliContext, options: BatchOptions): Promise<ExitCode> {
  const plan = await readBatch(context, options.file);
  return withFarm(context, options, (client) => renderPlan(context, options, { client, plan }));
}

type Rendering = { readonly client: FarmClient; readonly plan: BatchPlan };

async function renderPlan(context: CliContext, options: BatchOptions, { client, plan }: Rendering): Promise<ExitCode> {
  const { signal } = context.interrupts;
  const path = plan.job.webhook?.secret_file;
  const webhookSecret = path === undefined ? undefined : await readWebhookSecret("webhook.secret_file", path);
  const hashes = await hashFiles(plan, signal);
  await uploadFiles(context, { client, hashes, asJson: options.json === true });
  const batch = jobOfBatch(plan, { hashes, idempotencyKey: options.idempotencyKey, webhookSecret });
  const name = options.file === "-" ? "stdin" : basename(options.file);
  const onOutage = ({ message }: FarmError): void => context.output.note(`  ${message}; asking again`);
  const submitting = { client, signal, name, onOutage };
  if (options.dryRun === true) {
    await submit(batch, { ...submitting, validateOnly: true });
    return printDryRun(context, options, plan);
  }
  const submitted = [await submitJob(batch, { ...submitting, validateOnly: false })];
  return finish(context, options, { client, submitted });
}

type Submitting = {
  readonly client: FarmClient;
  readonly signal: AbortSignal;
  readonly name: string;
  readonly validateOnly: boolean;
  /** Told when the farm takes no more at the moment. */
  readonly onOutage: (error: FarmError) => void;
};

async function submitJob(batch: BatchJob, submitting: Submitting): Promise<SubmittedPart> {
  const job = await submit(batch, submitting);
  if (job === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the farm's answer has no job" });
  return { job, renders: batch.renders };
}

async function send(batch: BatchJob, { client, signal, onOutage, validateOnly }: Submitting) {
  const control = { signal, onOutage };
  if ("request" in batch) return (await client.submitMany({ ...batch.request, validateOnly }, control)).job;
  const { header, renders } = batch.manifest;
  return (await client.submitManifest({ header: { ...header, validateOnly }, renders }, control)).job;
}

/** What the farm refuses is said with the place in the file of the render that it is about. */
async function submit(batch: BatchJob, submitting: Submitting) {
  const { renders } = batch;
  const { name } = submitting;
  try {
    return await send(batch, submitting);
  } catch (thrown) {
    const error = toFarmError(thrown);
    const fields = (error.details.fields ?? []).map((violation) => {
      const planned = renders[Number(/^renders\[(\d+)\]/.exec(violation.field)?.[1] ?? -1)];
      if (planned === undefined) return violation;
      const inner = violation.field.replace(/^renders\[\d+\]/, "");
      return { ...violation, field: `${name}:${planned.place.line}:${planned.place.column} ${planned.field}${inner}` };
    });
    throw new FarmError(error.code, { message: error.message, details: { ...error.details, fields }, cause: error });
  }
}

function printDryRun({ output }: CliContext, { json }: BatchOptions, plan: BatchPlan): ExitCode {
  const names = plan.renders.map(({ folder }) => folder);
  if (json === true) output.json({ dryRun: true, jobs: 1, renders: names.map((name) => ({ name })) });
  else output.line(`right, nothing was submitted: renders ${names.length}, jobs 1`);
  return exitCodes.ok;
}

type Submitted = { readonly client: FarmClient; readonly submitted: readonly SubmittedPart[] };

async function finish(context: CliContext, options: BatchOptions, { client, submitted }: Submitted): Promise<ExitCode> {
  const { output } = context;
  const jobs = submitted.map(({ job }) => job.jobId);
  const asJson = options.json === true;
  if (!asJson && options.detach !== true)
    for (const { job, renders } of submitted) output.note(`job ${job.jobId}: ${renders.length} renders`);
  if (options.detach === true) {
    if (asJson) output.json({ jobs });
    else for (const job of jobs) output.line(job);
    return exitCodes.ok;
  }
  if (!(await follow(context, { client, submitted }, asJson))) {
    output.note(
      `The batch goes on. Repeat this command to come back to it; cancel it: ${jobs.map((job) => `vapfarm cancel ${job}`).join("; ")}`,
    );
    return exitCodes.interrupted;
  }
  const folder = resolve(context.workingFolder, options.out);
  const results = await collect(submitted, { client, folder, signal: context.interrupts.signal });
  if (asJson) output.json({ jobs, renders: results });
  else printResults(context, results);
  return exitCodeOfBatch(results);
}

/** Shows one view of all jobs until they have ended; false when the person left before. */
async function follow(context: CliContext, { client, submitted }: Submitted, asJson: boolean): Promise<boolean> {
  const left = new AbortController();
  const view = createProgressView(context.output, asJson);
  const release = context.interrupts.take(() => left.abort());
  const boards: JobBoard[] = submitted.map(({ renders }) => createJobBoard(renders.length));
  try {
    view.show([batchRow(boards)]);
    const options = { signal: left.signal, onOutage: () => view.note("  the farm does not answer; asking again") };
    await Promise.all(
      submitted.map(async ({ job }, index) => {
        for await (const response of client.watch(job.jobId, options)) {
          boards[index] = foldJob(boards[index] ?? createJobBoard(0), response);
          view.show([batchRow(boards)]);
        }
      }),
    );
    return !left.signal.aborted;
  } finally {
    release();
    view.stop();
  }
}

const resultColumns: readonly Column<BatchResult>[] = [
  { title: "render", cell: ({ name }) => name, weight: 4 },
  { title: "state", cell: ({ state }) => state, weight: 3 },
  { title: "seed", cell: ({ seed }) => seed },
  { title: "result", cell: resultText, weight: 2, least: 24 },
];

function resultText({ failure, files }: BatchResult): string {
  return failure === undefined ? (files["mp4"] ?? Object.values(files)[0] ?? "") : `${failure.code}: ${failure.message}`;
}

function printResults({ output }: CliContext, results: readonly BatchResult[]): void {
  output.line(renderTable(results, resultColumns, { width: output.screen.columns(), paint: output.paint }));
  const succeeded = results.filter(({ state }) => state === "succeeded").length;
  output.line(`${succeeded} of ${results.length} renders succeeded`);
  if (results.some(({ hasRandomWeights }) => hasRandomWeights)) output.line(`warning: ${randomWeightsNote}`);
  const remedies = new Set(results.flatMap(({ failure }) => (failure === undefined ? [] : [failure.remedy])));
  for (const remedy of remedies) output.note(`  what to do: ${remedy}`);
}

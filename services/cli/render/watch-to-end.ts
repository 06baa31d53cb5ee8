/**
 * Shows a job until it has ended, or until the person who watches leaves.
 *
 * A Ctrl-C never stops the job unasked: on a terminal it asks whether to cancel, elsewhere it leaves at once; a second one while
 * asking leaves too. Whoever leaves is told how to watch and to cancel.
 */
import { createInterface } from "node:readline/promises";
import type { Job, JobEvent, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { CliContext } from "../context.ts";
import type { FarmClient } from "../../client/farm-client.ts";
import { hasEnded } from "../../client/watch.ts";
import { plainText } from "../table.ts";
import { boardOf, foldResponse } from "./fold-updates.ts";
import { stageRows } from "./progress-board.ts";
import { createProgressView, type ProgressView } from "./progress-view.ts";

/** Which job is shown, and how. */
export type WatchRequest = {
  readonly client: FarmClient;
  readonly job: Job;
  readonly asJson: boolean;
  /** Told of every update, for scripts. */
  readonly onResponse?: (response: WatchJobResponse) => void;
};

/** `left`: the person left, the job goes on. */
export type WatchOutcome = { readonly kind: "ended"; readonly job: Job } | { readonly kind: "left" };

/** Follows with progress; asks on Ctrl-C. */
export async function watchToEnd(context: CliContext, request: WatchRequest): Promise<WatchOutcome> {
  const { client, job } = request;
  const left = new AbortController();
  const view = createProgressView(context.output, request.asJson);
  const release = context.interrupts.take(() => leave(context, { client, jobId: job.jobId, left, view }));
  try {
    // Scripts hear every event, also of a job that has ended.
    if (!hasEnded(job.state) || request.onResponse !== undefined) await show(request, view, left.signal);
    if (left.signal.aborted) return { kind: "left" };
    return { kind: "ended", job: await client.getJobPatiently(job.jobId, { signal: left.signal }) };
  } finally {
    release();
    view.stop();
  }
}

async function show(request: WatchRequest, view: ProgressView, signal: AbortSignal): Promise<void> {
  const { client, job } = request;
  let board = boardOf(job);
  view.show(stageRows(board));
  const onOutage = (): void => view.note("  the farm does not answer; asking again");
  // From the first event on: what happened between submit and now is part of the picture.
  for await (const response of client.watch(job.jobId, { signal, onOutage })) {
    request.onResponse?.(response);
    const update = response.update;
    if (update?.$case === "event" && update.value.kind === "task.retried")
      view.note(plainText(`  ${update.value.stage} again: ${update.value.message}`));
    if (update?.$case === "event") noteRender(view, update.value);
    board = foldResponse(board, response);
    view.show(stageRows(board));
  }
}

/** In a job of several renders: the end of each. */
function noteRender(view: ProgressView, { kind, renderPosition, message }: JobEvent): void {
  if (!kind.startsWith("render.") || renderPosition === undefined) return;
  view.note(plainText(`  render ${renderPosition} ${kind.slice("render.".length)}${message === "" ? "" : `: ${message}`}`));
}

type Leaving = { readonly client: FarmClient; readonly jobId: string; readonly left: AbortController; readonly view: ProgressView };

function leave(context: CliContext, { client, jobId, left, view }: Leaving): void {
  view.stop();
  const goOn = (): void => {
    context.output.note(`The job goes on. Watch it: vapfarm watch ${jobId}; cancel it: vapfarm cancel ${jobId}`);
    left.abort();
  };
  if (!context.canAsk) {
    goOn();
    return;
  }
  const release = context.interrupts.take(goOn);
  const answered = async (): Promise<void> => {
    if (await askToCancel()) await client.cancel(jobId);
    else goOn();
  };
  void answered().catch(goOn).finally(release);
}

async function askToCancel(): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question("\nCancel the job? [y/N] ")).trim());
  } finally {
    prompt.close();
  }
}

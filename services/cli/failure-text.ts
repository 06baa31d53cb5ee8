/**
 * Dead letters as text: what failed, each try, and the last lines that its runtime wrote.
 */
import type { FarmClient } from "../client/farm-client.ts";
import type { FailedAttempt, FailedTask } from "../gen/proto/vapfarm/v1/operator.ts";
import type { TimeText } from "./ages.ts";
import type { Output } from "./output.ts";
import { plainText } from "./table.ts";

export type FailureTextOptions = {
  readonly time: TimeText;
  /** Of each log tail: its last lines. */
  readonly lines: number;
};

/** Of a job that failed: few tasks tell why. */
const mostOfJob = 3;
const linesOfJob = 5;

/** One failed task, a line each. */
export function failureLines(failure: FailedTask, options: FailureTextOptions): readonly string[] {
  const { taskId, stage, pool, model, code, message, remedy, endTime, attempts } = failure;
  return [
    `task ${taskId} (${stage} of ${model}, pool ${pool}) failed ${options.time(endTime)}: ${code}: ${message}`,
    ...(remedy === "" ? [] : [`  what to do: ${remedy}, then vapfarm failures retry ${taskId}`]),
    `  took ${rendersText(failure)}`,
    ...attempts.flatMap((attempt) => attemptLines(attempt, options.lines)),
  ].map(plainText);
}

function rendersText({ renders, renderCount }: FailedTask): string {
  const shown = renders.slice(0, 3).map(({ jobId, position }) => `render ${position} of job ${jobId}`);
  return renderCount > shown.length ? `${shown.join(", ")} and ${renderCount - shown.length} more` : shown.join(", ");
}

function attemptLines(
  { number, workerName, outcome, code, errorClass, message, logTail }: FailedAttempt,
  lines: number,
): readonly string[] {
  const why = code === "" ? message : `${code} (${errorClass}): ${message}`;
  const head = `  attempt ${number} on ${workerName}: ${outcome}${why === "" ? "" : `, ${why}`}`;
  if (logTail === undefined || lines === 0) return [head];
  const tail = logTail.split("\n").filter((line) => line.trim() !== "");
  return [head, ...tail.slice(-lines).map((line) => `    | ${line}`)];
}

/** Tells why a job that failed did: its dead letters; of one render, those that took it. */
export async function printFailures(
  { client, output, time }: { readonly client: FarmClient; readonly output: Output; readonly time: TimeText },
  { jobId, position }: { readonly jobId: string; readonly position?: number },
): Promise<void> {
  const { failures, nextPageToken } = await client.calls.listFailures({ jobId, pageSize: 20 });
  const own = failures.filter(
    ({ renders, renderCount }) =>
      position === undefined ||
      renderCount > renders.length ||
      renders.some((render) => render.jobId === jobId && render.position === position),
  );
  for (const failure of own.slice(0, mostOfJob)) for (const line of failureLines(failure, { time, lines: linesOfJob })) output.line(line);
  if (own.length > mostOfJob || nextPageToken !== "") output.line(`more failed tasks: vapfarm failures --job ${jobId}`);
}

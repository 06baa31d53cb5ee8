/**
 * A job's events to its end, each once and in order, live progress between them.
 *
 * A stream that breaks or ends early is opened again after the last event seen, so a coordinator that restarts costs no event. A farm
 * whose database was restored may know fewer events than were seen: then all that it knows are told, from the first.
 */
import { toFarmError } from "../domain/errors.ts";
import type { WatchJobResponse } from "../gen/proto/vapfarm/v1/farm.ts";
import { pause } from "../platform/deadline.ts";
import { hasEnded } from "../platform/words.ts";
import type { FarmCalls } from "./calls.ts";
import { createPatience, isAborted, patiently, type PatienceOptions } from "./patience.ts";

export { hasEnded };

/** Where a watch begins. */
export type WatchOptions = PatienceOptions & {
  /** Events up to and including this number are not told; else all are. */
  readonly afterEventNumber?: bigint | undefined;
};

const againMs = 200;

/** Every update until the job has ended; returns early, without an error, when the signal aborts. */
export async function* watch(
  calls: Pick<FarmCalls, "watchJob" | "getJob">,
  jobId: string,
  options: WatchOptions = {},
): AsyncGenerator<WatchJobResponse> {
  const { signal } = options;
  const patience = createPatience(options);
  let after = options.afterEventNumber ?? 0n;
  let isOver = false;
  while (!isOver) {
    let silentSince = performance.now();
    try {
      for await (const response of calls.watchJob({ jobId, afterEventNumber: after }, { signal })) {
        patience.answered();
        silentSince = performance.now();
        if (response.update?.$case === "event") {
          after = response.update.value.number;
          isOver = hasEnded(response.update.value.jobState);
        }
        yield response;
      }
      // A coordinator that stops ends its streams in order too. What is asked now is no stream, so its silence is an outage.
      silentSince = Number.POSITIVE_INFINITY;
      isOver ||= await isJobOver(calls, jobId, { patience, signal, after });
      if (!isOver) await pause(againMs, signal);
    } catch (thrown) {
      if (isAborted(signal)) return;
      isOver = false;
      if (after !== (options.afterEventNumber ?? 0n) && isBeyondLog(thrown)) {
        after = options.afterEventNumber ?? 0n;
        continue;
      }
      // A job that waits may have no news for longer than a stream lasts.
      await patience.failed(thrown, Math.max(0, performance.now() - silentSince)).catch((failure: unknown) => {
        if (!isAborted(signal)) throw failure;
      });
      if (isAborted(signal)) return;
    }
  }
}

/** The farm says that the number is of no event of the job. */
function isBeyondLog(thrown: unknown): boolean {
  const { code, details } = toFarmError(thrown);
  return code === "FIELD_INVALID" && details.fields?.some(({ field }) => field === "after_event_number") === true;
}

type Asking = { readonly patience: ReturnType<typeof createPatience>; readonly signal: AbortSignal | undefined; readonly after: bigint };

async function isJobOver(calls: Pick<FarmCalls, "getJob">, jobId: string, { patience, signal, after }: Asking): Promise<boolean> {
  const { job } = await patiently(patience, () => calls.getJob({ jobId }, { signal }));
  return job === undefined || (hasEnded(job.state) && job.lastEventNumber <= after);
}

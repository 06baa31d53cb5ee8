/**
 * Tails: keeps the last log lines of attempts that were lost with their worker (docs/decisions/0026).
 *
 * Workers say the lines of what they run as they come; nobody reads them while it runs. Here the subjects that have some are held against the
 * attempts: of one that ended badly without a log they are kept with it, and what has ended is forgotten. A round that dies in between
 * is made good by the next.
 */
import { toFarmError } from "../../domain/errors.ts";
import { LostAttempt } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Logger } from "../../platform/logging.ts";
import type { TailStream } from "../../platform/nats/tail-stream.ts";
import { tailText } from "../dispatch/ask-mapping.ts";
import type { AttemptOwner, TailStore, TraceStore } from "../store/store-contract.ts";
import { renderContextOf } from "../tracing/trace-of.ts";
import type { DutySpec } from "./duty.ts";

export type TailsOptions = {
  readonly store: TailStore & Pick<TraceStore, "attemptOwners">;
  readonly openStream: () => Promise<TailStream>;
  readonly intervalMs: number;
  readonly logger: Logger;
  /** For the trace ids of log lines; undefined: the farm does not trace. */
  readonly traceShare: number | undefined;
};

/** Of one round: what is left waits for the next. */
const mostForgotten = 200;
const attemptId = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/;

/** The rounds; the stream is opened in the first and again after a failure. */
export function createTailsDuty(options: TailsOptions): DutySpec {
  let stream: TailStream | undefined;
  return {
    name: "tails",
    intervalMs: options.intervalMs,
    async run(_epoch, signal) {
      try {
        stream ??= await openEnsured(options);
        await keepAll(options, stream, signal);
      } catch (thrown) {
        stream = undefined;
        throw toFarmError(thrown, "BROKER_UNAVAILABLE");
      }
    },
  };
}

async function openEnsured({ openStream }: TailsOptions): Promise<TailStream> {
  const stream = await openStream();
  await stream.ensure();
  return stream;
}

async function keepAll(options: TailsOptions, stream: TailStream, signal: AbortSignal): Promise<void> {
  const named = await stream.names();
  if (named.length === 0) return;
  const needs = new Map(
    (await options.store.tailNeeds(named.filter((name) => attemptId.test(name)))).map((need) => [need.attemptId, need]),
  );
  const over = named.filter((name) => needs.get(name)?.isRunning !== true).slice(0, mostForgotten);
  const owners = new Map(
    (await options.store.attemptOwners(over.filter((name) => needs.has(name)))).map((owner) => [owner.attemptId, owner]),
  );
  for (const name of over) {
    if (signal.aborted) return;
    if (needs.has(name)) await keepOne(options, stream, { name, owner: owners.get(name) });
    await stream.forget(name);
  }
}

type Lost = { readonly name: string; readonly owner: AttemptOwner | undefined };

async function keepOne({ store, logger, traceShare }: TailsOptions, stream: TailStream, { name, owner }: Lost): Promise<void> {
  const logTail = tailText(readTail(await stream.last(name)));
  if (logTail === "") return;
  const kept = await store.keepTail(name, logTail);
  if (kept === undefined || owner === undefined) return;
  const { jobId, taskId } = owner;
  const traceId = traceShare === undefined ? undefined : renderContextOf(owner, traceShare).traceId;
  const labels = { ...(traceId === undefined ? {} : { traceId }), jobId, taskId: String(taskId), attemptId: name };
  logger.warn({ ...labels, worker: kept.worker }, "an attempt was lost; the last lines of its log are kept with it");
}

/** Empty for what is none. */
function readTail(payload: Uint8Array | undefined): string {
  try {
    return payload === undefined ? "" : LostAttempt.decode(payload).logTail;
  } catch {
    return "";
  }
}

/**
 * WatchJob: a job's events from Postgres after a number, then live, until the job has ended. An event of its end does not say that: the
 * job may have been retried since, and then more follows.
 *
 * Invariants: each event after the asked number comes exactly once and in order, because only rows of Postgres are sent and the
 * number sent last is the only state; hints merely say when to look. The database being away for a while ends no watch.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type WatchJobRequest, WatchJobResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { scopeOf } from "../rpc/caller.ts";
import { eventToProto, progressToProto } from "../rpc/job-mapping.ts";
import { jobOfCaller } from "../rpc/jobs.ts";
import type { Call } from "../rpc/method.ts";
import type { Slots } from "../../platform/slots.ts";
import type { EventView, JobState, JobStore, JobView } from "../store/store-contract.ts";
import type { Follower, WakeReason, WatchHub } from "./watch-hub.ts";

/** What WatchJob works with. */
export type WatchDependencies = {
  readonly store: Pick<JobStore, "getJob" | "listEvents">;
  readonly hub: Pick<WatchHub, "follow">;
  /** How often to look although nothing hinted. */
  readonly pollMs: number;
  /** Watches at a time. */
  readonly watches: Pick<Slots, "holdNow">;
};

const pageSize = 200;
const ended: readonly JobState[] = ["succeeded", "failed", "cancelled"];

/** The handler of WatchJob. */
export function createWatchJob(dependencies: WatchDependencies) {
  return async function* (request: WatchJobRequest, call: Call): AsyncGenerator<WatchJobResponse> {
    const job = await jobOfCaller(dependencies.store, request.jobId, call);
    const after = startOf(request, job);
    const leave = dependencies.watches.holdNow("FARM_BUSY");
    try {
      const follower = await dependencies.hub.follow(job.jobId);
      try {
        yield* follow({ ...dependencies, follower, call, jobId: job.jobId }, after);
      } finally {
        follower.close();
      }
    } finally {
      leave();
    }
  };
}

function startOf({ afterEventNumber }: WatchJobRequest, job: JobView): number {
  if (afterEventNumber >= 0n && afterEventNumber <= BigInt(job.lastEventNumber)) return Number(afterEventNumber);
  const field = {
    field: "after_event_number",
    reason: `${afterEventNumber} is outside 0 .. ${job.lastEventNumber}, the job's last event`,
    remedy: "give the number of the last event seen, or 0",
  };
  throw new FarmError("FIELD_INVALID", { message: `${field.field}: ${field.reason}`, details: { fields: [field] } });
}

type Watch = WatchDependencies & { readonly follower: Follower; readonly call: Call; readonly jobId: string };

async function* follow(watch: Watch, after: number): AsyncGenerator<WatchJobResponse> {
  let sent = after;
  let reason: WakeReason = "touched";
  while (reason !== "gone") {
    if (reason === "stopping") throw stopping(sent);
    // Taken before the events are read, so that no task's progress comes before its start.
    const progress = watch.follower.takeProgress();
    if (reason !== "progress") {
      for await (const event of eventsAfter(watch, sent)) {
        yield WatchJobResponse.create({ update: { $case: "event", value: eventToProto(event) } });
        sent = event.number;
      }
      if (await hasEnded(watch, sent)) return;
    }
    for (const message of progress) yield WatchJobResponse.create({ update: { $case: "progress", value: progressToProto(message) } });
    reason = await watch.follower.wait(watch.pollMs, watch.call.signal);
  }
}

function stopping(sent: number): FarmError {
  return new FarmError("COORDINATOR_UNAVAILABLE", { message: `this coordinator stops; watch again after event ${sent}` });
}

async function* eventsAfter({ store, jobId, ...watch }: Watch, after: number): AsyncGenerator<EventView> {
  let number = after;
  for (;;) {
    const page = await whenAvailable(() => store.listEvents(jobId, number, pageSize), watch);
    yield* page;
    number = page.at(-1)?.number ?? number;
    if (page.length < pageSize) return;
  }
}

/** Whether nothing follows: the job has ended and its last event was sent, or was pruned, or the job itself is gone. */
async function hasEnded({ store, jobId, call, ...watch }: Watch, sent: number): Promise<boolean> {
  const job = await whenAvailable(() => store.getJob(scopeOf(call.caller), jobId), { ...watch, call });
  return job === undefined || (ended.includes(job.state) && job.lastEventNumber <= sent);
}

/** A read that waits while the database does not answer, for as long as the caller stays. */
async function whenAvailable<T>(read: () => Promise<T>, watch: Pick<Watch, "follower" | "call" | "pollMs">): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (thrown) {
      if (toFarmError(thrown).code !== "DATABASE_UNAVAILABLE") throw thrown;
      // Not `wait`: progress that nobody has taken would end it at once, again and again.
      if ((await watch.follower.rest(watch.pollMs, watch.call.signal)) !== "rested") throw thrown;
    }
  }
}

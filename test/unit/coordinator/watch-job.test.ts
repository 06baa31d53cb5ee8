import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createWatchHub } from "../../../services/coordinator/events/watch-hub.ts";
import { createSlots } from "../../../services/platform/slots.ts";
import { createWatchJob } from "../../../services/coordinator/events/watch-job.ts";
import type { EventView, JobView } from "../../../services/coordinator/store/store-contract.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { ProgressMessage } from "../../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { WatchJobResponse } from "../../../services/gen/proto/vapfarm/v1/farm.ts";

const jobId = "0b54ce1c-0000-4000-8000-000000000001";
const job = { jobId, state: "running", lastEventNumber: 0 } as unknown as JobView;
const endedJob = { ...job, state: "succeeded", lastEventNumber: 1 } as const;
const end: EventView = {
  jobId,
  number: 1,
  at: new Date(0),
  kind: "job.succeeded",
  stage: "",
  taskId: 0,
  workerName: "",
  message: "",
  jobState: "succeeded",
  computeMs: 0,
  renderPosition: undefined,
};

/** A watch of a job whose events cannot be read at first, while a worker tells of its progress all the time. */
function watchWhileAway(options: { readonly failures: number; readonly pollMs: number }) {
  const listeners = new Map<string, (payload: Uint8Array) => void>();
  const hub = createWatchHub({
    broker: {
      subscribe: (subject, listener) => {
        listeners.set(subject, (payload) => listener(payload, subject));
        return () => void listeners.delete(subject);
      },
      publish: () => undefined,
      flush: () => Promise.resolve(),
    },
    subjects: { hint: () => "hint", progress: () => "progress" },
  });
  const reads = { count: 0 };
  const store = {
    getJob: () => Promise.resolve(reads.count > options.failures ? endedJob : job),
    listEvents: () => {
      reads.count += 1;
      listeners.get("progress")?.(ProgressMessage.encode(ProgressMessage.create({ taskId: 7n, step: reads.count })).finish());
      return reads.count <= options.failures ? Promise.reject(new FarmError("DATABASE_UNAVAILABLE")) : Promise.resolve([end]);
    },
  };
  const caller = new AbortController();
  const call = { caller: { tenant: "local", role: "admin" }, signal: caller.signal } as const;
  const updates = createWatchJob({ store, hub, pollMs: options.pollMs, watches: createSlots(1) })({ jobId, afterEventNumber: 0n }, call);
  return { updates, reads, caller, hub };
}

async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await turn();
}

describe("a watch while Postgres is away", () => {
  it("asks again only after its poll, though progress lies unread, and ends with its caller", async () => {
    const { updates, reads, caller } = watchWhileAway({ failures: Infinity, pollMs: 3_600_000 });
    const next = updates.next();
    await turns(50);
    expect(reads.count).toBe(1);
    caller.abort();
    await expect(next).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    expect(reads.count).toBe(1);
  });

  it("ends when the coordinator stops", async () => {
    const { updates, hub } = watchWhileAway({ failures: Infinity, pollMs: 3_600_000 });
    const next = updates.next();
    await turns(50);
    await hub.stop();
    await expect(next).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  });

  it("goes on where it was once Postgres answers", async () => {
    const { updates, reads } = watchWhileAway({ failures: 3, pollMs: 1 });
    const seen: WatchJobResponse[] = [];
    for await (const update of updates) seen.push(update);
    expect(seen.map(({ update }) => (update?.$case === "event" ? update.value.kind : update?.$case))).toEqual(["job.succeeded"]);
    expect(reads.count).toBe(4);
  });
});

/** A watch of a job with these events, whose state and last number the store tells as they are when it is asked. */
function watchOf(events: readonly EventView[], isOver: () => boolean) {
  const hub = createWatchHub({
    broker: { subscribe: () => () => undefined, publish: () => undefined, flush: () => Promise.resolve() },
    subjects: { hint: () => "hint", progress: () => "progress" },
  });
  const store = {
    getJob: () => Promise.resolve({ ...job, state: isOver() ? "failed" : "running", lastEventNumber: events.length } as JobView),
    listEvents: (_jobId: string, after: number, limit: number) =>
      Promise.resolve(events.filter(({ number }) => number > after).slice(0, limit)),
  };
  const caller = new AbortController();
  const call = { caller: { tenant: "local", role: "member" }, signal: caller.signal } as const;
  return { updates: createWatchJob({ store, hub, pollMs: 1, watches: createSlots(1) })({ jobId, afterEventNumber: 0n }, call), caller };
}

const numbered = (kind: string, number: number, jobState: EventView["jobState"]): EventView => ({ ...end, number, kind, jobState });

describe("a watch of a job that was retried", () => {
  const events = [numbered("job.failed", 1, "failed"), numbered("job.retried", 2, "queued"), numbered("job.failed", 3, "failed")];
  const kindsOf = (seen: readonly WatchJobResponse[]) => seen.map(({ update }) => (update?.$case === "event" ? update.value.kind : ""));

  it("from the beginning goes past the end before the retry, up to the last", async () => {
    const seen: WatchJobResponse[] = [];
    for await (const update of watchOf(events, () => true).updates) seen.push(update);
    expect(kindsOf(seen)).toEqual(["job.failed", "job.retried", "job.failed"]);
  });

  it("stays while the job runs again", async () => {
    const { updates, caller } = watchOf(events.slice(0, 2), () => false);
    const seen = [await updates.next(), await updates.next()];
    expect(seen).toMatchObject([
      { value: { update: { value: { kind: "job.failed" } } } },
      { value: { update: { value: { kind: "job.retried" } } } },
    ]);
    const next = updates.next();
    caller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

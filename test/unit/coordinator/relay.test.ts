import { describe, expect, it } from "vitest";
import { createRelay } from "../../../services/coordinator/duties/relay.ts";
import type { UnsentEvent } from "../../../services/coordinator/store/store-contract.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { JobEvent } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { EventStream } from "../../../services/platform/nats/event-stream.ts";

function eventOf(jobId: string, number: number): UnsentEvent {
  return {
    jobId,
    number,
    at: new Date(10_000),
    kind: "task.started",
    stage: "denoise",
    taskId: 1,
    workerName: "",
    message: "",
    jobState: undefined,
    computeMs: 0,
    renderPosition: undefined,
    jobRenders: 1,
  };
}

/** Event rows with a mark for each job of how far they were sent. */
function eventRows(rows: readonly UnsentEvent[], epoch = 7) {
  const sent = new Map<string, number>();
  return {
    sent,
    farmEpoch: () => Promise.resolve(epoch),
    unsentEvents: (limit: number) => Promise.resolve(rows.filter(({ jobId, number }) => number > (sent.get(jobId) ?? 0)).slice(0, limit)),
    markEventsSent(jobId: string, upTo: number) {
      const before = sent.get(jobId) ?? 0;
      if (before < upTo) sent.set(jobId, upTo);
      return Promise.resolve(before < upTo ? before : undefined);
    },
  };
}

/** A stream in memory that keeps JetStream's rule: a publish names the subject's last sequence. */
function memoryStream() {
  const messages: { readonly subject: string; readonly sequence: number; readonly payload: Uint8Array }[] = [];
  const state = { isThere: false, failAfter: Infinity };
  const last = (subject: string) => messages.findLast((message) => message.subject === subject);
  const stream: EventStream = {
    ensure: () => Promise.resolve(void (state.isThere = true)),
    last: (subject) => Promise.resolve(last(subject)),
    append({ subject, payload, expectedSequence }) {
      if (!state.isThere || messages.length >= state.failAfter) return Promise.reject(new FarmError("BROKER_UNAVAILABLE"));
      if ((last(subject)?.sequence ?? 0) !== expectedSequence) return Promise.resolve({ kind: "other_sequence" });
      const sequence = messages.length + 1;
      messages.push({ subject, sequence, payload });
      return Promise.resolve({ kind: "appended", sequence });
    },
  };
  const numbers = (subject: string) =>
    messages.filter((message) => message.subject === subject).map(({ payload }) => Number(JobEvent.decode(payload).number));
  return { stream, state, messages, numbers };
}

function relayOf(
  store: ReturnType<typeof eventRows>,
  stream: EventStream,
  onCopied: (events: readonly UnsentEvent[]) => void = () => undefined,
) {
  return createRelay({
    store,
    openStream: () => Promise.resolve(stream),
    subjectOf: (jobId) => `events.${jobId}`,
    intervalMs: 1,
    maxAgeMs: 1_000,
    onCopied,
  });
}

const { signal } = new AbortController();

describe("the relay", () => {
  it("copies unsent rows in order per job and marks them", async () => {
    const store = eventRows([eventOf("a", 2), eventOf("b", 1), eventOf("a", 1)]);
    const { stream, numbers } = memoryStream();
    await relayOf(store, stream).run(1, signal);
    expect([numbers("events.a"), numbers("events.b")]).toEqual([[1, 2], [1]]);
    expect([...store.sent]).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });

  it("does not double what an earlier relay copied but had not marked", async () => {
    const rows = [1, 2, 3].map((number) => eventOf("a", number));
    const { stream, numbers } = memoryStream();
    const unmarked = eventRows(rows.slice(0, 2));
    await relayOf(unmarked, stream).run(1, signal);
    const store = eventRows(rows);
    const copied: string[] = [];
    await relayOf(store, stream, (events) => copied.push(...events.map(({ kind }) => kind))).run(2, signal);
    expect(numbers("events.a")).toEqual([1, 2, 3]);
    expect(copied).toEqual(["task.started", "task.started", "task.started"]);
    expect(store.sent.get("a")).toBe(3);
  });

  it("tells nobody of what another relay has marked meanwhile", async () => {
    const store = eventRows([1, 2, 3].map((number) => eventOf("a", number)));
    const { stream, numbers } = memoryStream();
    const told: number[] = [];
    const read = store.unsentEvents;
    const stalled = { ...store, unsentEvents: async (limit: number) => [...(await read(limit)), ...(await overtaken())] };
    const overtaken = async (): Promise<readonly UnsentEvent[]> => {
      await store.markEventsSent("a", 2);
      return [];
    };
    await relayOf(stalled, stream, (events) => told.push(...events.map(({ number }) => number))).run(1, signal);
    expect([numbers("events.a"), told]).toEqual([[1, 2, 3], [3]]);
    const late = { ...store, unsentEvents: () => Promise.resolve([eventOf("a", 3)]) };
    await relayOf(late, stream, (events) => told.push(...events.map(({ number }) => number))).run(1, signal);
    expect(told).toEqual([3]);
  });

  it("copies what is from before a recovery anew and tells nobody of it", async () => {
    const epoch = 50_000;
    const rows = [eventOf("a", 1), eventOf("a", 2), { ...eventOf("a", 3), at: new Date(epoch + 5) }];
    const { stream, numbers } = memoryStream();
    const told: number[] = [];
    await relayOf(eventRows(rows, epoch), stream, (events) => told.push(...events.map(({ number }) => number))).run(1, signal);
    expect([numbers("events.a"), told]).toEqual([[1, 2, 3], [3]]);
  });

  it("fills a lost stream with the unsent rows only, and marks what was copied before a failure", async () => {
    const store = eventRows([1, 2, 3, 4].map((number) => eventOf("a", number)));
    const memory = memoryStream();
    memory.state.failAfter = 2;
    const told: number[] = [];
    const relay = relayOf(store, memory.stream, (events) => told.push(...events.map(({ number }) => number)));
    await expect(relay.run(1, signal)).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect(store.sent.get("a")).toBe(2);
    expect(told).toEqual([1, 2]);
    Object.assign(memory.state, { isThere: false, failAfter: Infinity });
    memory.messages.length = 0;
    await relay.run(1, signal);
    expect(memory.numbers("events.a")).toEqual([3, 4]);
    expect(told).toEqual([1, 2, 3, 4]);
  });
});

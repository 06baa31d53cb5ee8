import { describe, expect, it } from "vitest";
import { createRelay } from "../../../services/coordinator/duties/relay.ts";
import type { EventView } from "../../../services/coordinator/store/store-contract.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { JobEvent } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import type { EventStream } from "../../../services/platform/nats/event-stream.ts";

function eventOf(jobId: string, number: number): EventView {
  return {
    jobId,
    number,
    at: new Date(0),
    kind: "task.started",
    stage: "denoise",
    taskId: 1,
    workerName: "",
    message: "",
    jobState: undefined,
    computeMs: 0,
    renderPosition: undefined,
  };
}

/** Event rows with a mark for each job of how far they were sent. */
function eventRows(rows: readonly EventView[]) {
  const sent = new Map<string, number>();
  return {
    sent,
    farmEpoch: () => Promise.resolve(7),
    unsentEvents: (limit: number) => Promise.resolve(rows.filter(({ jobId, number }) => number > (sent.get(jobId) ?? 0)).slice(0, limit)),
    markEventsSent: (jobId: string, upTo: number) => Promise.resolve(void sent.set(jobId, upTo)),
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
  onCopied: (events: readonly EventView[]) => void = () => undefined,
) {
  return createRelay({
    store,
    openStream: () => Promise.resolve(stream),
    subjectOf: (jobId) => `events.${jobId}`,
    intervalMs: 1,
    maxAgeMs: 1_000,
    onUnsent: () => undefined,
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

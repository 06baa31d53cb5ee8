/**
 * Spans over real HTTP to a receiver that takes them, fails, hangs or is away.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { createTracer } from "../../../services/platform/tracing/create-tracer.ts";
import { noTracer, type TracerComponent, withSpan } from "../../../services/platform/tracing/tracer.ts";
import { traceIdOf } from "../../../services/platform/tracing/trace-ids.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../../support/otlp-receiver.ts";
import { until } from "../../support/until.ts";

const parent = { traceId: traceIdOf("job", 0), spanId: "00f067aa0ba902b7", isSampled: true };

let receiver: OtlpReceiver;
let tracer: TracerComponent;
let dropped: number;
let said: string[];

function create(endpoint: string | undefined): TracerComponent {
  const note = (_facts: unknown, message?: string): void => void said.push(message ?? "");
  return createTracer({
    config: { endpoint, share: 1 },
    service: "test",
    resource: { "vapfarm.worker": "w", nothing: undefined },
    logger: { info: note, warn: note },
    onDropped: (spans) => (dropped += spans),
    flushMs: 300,
  });
}

beforeEach(async () => {
  receiver = await startOtlpReceiver();
  dropped = 0;
  said = [];
  tracer = create(receiver.url);
  await tracer.start();
});

afterEach(async () => {
  await tracer.stop();
  await receiver.stop();
});

describe("a receiver that takes spans", () => {
  it("gets them with their parents, attributes, events, links and failures", async () => {
    const span = tracer.begin("outer", { parent, kind: "server", attributes: { stage: "denoise", steps: 3, none: undefined } });
    const inner = tracer.begin("inner", { parent: span.context, links: [{ ...parent, traceId: traceIdOf("other", 1) }] });
    inner.event("step", { step: 1 });
    inner.end("STAGE_HUNG");
    span.set({ isLast: true, share: 0.25 });
    span.end();
    span.end("again");
    await tracer.stop();
    expect([...receiver.paths]).toEqual(["/v1/traces"]);
    const [told, outer] = receiver.spans;
    expect(receiver.spans).toHaveLength(2);
    expect(outer).toMatchObject({
      traceId: parent.traceId,
      spanId: span.context?.spanId,
      parentSpanId: parent.spanId,
      name: "outer",
      kind: 2,
      attributes: { stage: "denoise", steps: 3, isLast: true, share: 0.25 },
      error: "",
      service: "vapfarm-test",
    });
    expect(Object.keys(outer?.attributes ?? {})).not.toContain("none");
    expect(told).toMatchObject({
      parentSpanId: span.context?.spanId,
      links: [{ traceId: traceIdOf("other", 1), spanId: parent.spanId }],
      events: [{ name: "step", attributes: { step: 1 } }],
      error: "STAGE_HUNG",
    });
    expect(told?.startNanos).toBeGreaterThanOrEqual(outer?.startNanos ?? 0n);
    expect(told?.endNanos).toBeLessThanOrEqual(outer?.endNanos ?? 0n);
    // The clock of spans is the machine's.
    expect(Math.abs(Number((outer?.endNanos ?? 0n) / 1_000_000n) - Date.now())).toBeLessThan(60_000);
    expect(dropped).toBe(0);
  });

  it("gets nothing of a trace that is not sampled, nor of none", async () => {
    const unsampled = tracer.begin("a", { parent: { ...parent, isSampled: false } });
    expect(unsampled.context).toEqual({ ...parent, isSampled: false });
    unsampled.end();
    tracer.begin("b", { parent: undefined }).end();
    tracer.emit({ name: "c", context: { ...parent, isSampled: false }, startMs: 1, endMs: 2 });
    await tracer.stop();
    expect(receiver.connections()).toBe(0);
  });

  it("gets them by itself, without being closed", async () => {
    await withSpan(tracer.begin("work", { parent }), () => Promise.resolve());
    await until("the batch arrives", () => receiver.spans.length === 1);
    const failing = withSpan(tracer.begin("fails", { parent }), () => Promise.reject(new FarmError("STAGE_FAILED")));
    await expect(failing).rejects.toMatchObject({ code: "STAGE_FAILED" });
    tracer.flush();
    await until("the next arrives", () => receiver.spans.length === 2);
    expect(receiver.spans[1]).toMatchObject({ name: "fails", error: "STAGE_FAILED" });
  });
});

describe("a receiver that does not", () => {
  it("costs spans, which are counted, and two lines of the log", async () => {
    receiver.behave("fail");
    tracer.begin("lost", { parent }).end();
    tracer.flush();
    await until("it is counted", () => dropped === 1);
    receiver.behave("take");
    tracer.begin("kept", { parent }).end();
    tracer.flush();
    await until("it arrives", () => receiver.spans.length === 1);
    expect(said.map((line) => line.replace(/:.*/, ""))).toEqual(["spans are not taken, and dropped", "spans are taken again"]);
  });

  it("is not waited for: what does not fit is dropped, and closing has a deadline", async () => {
    receiver.behave("hang");
    const begun = performance.now();
    for (let index = 0; index < 10_000; index += 1) tracer.begin("span", { parent }).end();
    expect(dropped).toBe(10_000 - 4_096);
    await tracer.stop();
    expect(performance.now() - begun).toBeLessThan(4_000);
    expect(dropped).toBe(10_000);
    tracer.begin("late", { parent }).end();
    expect(dropped).toBe(10_001);
    await tracer.stop();
  });

  it("may be away altogether", async () => {
    await receiver.stop();
    tracer.begin("span", { parent }).end();
    await tracer.stop();
    expect(dropped).toBe(1);
    receiver = await startOtlpReceiver();
  });
});

it("is nothing at all without an endpoint", async () => {
  const off = create(undefined);
  expect(off).toBe(noTracer);
  const span = off.begin("span", { parent });
  span.event("step");
  span.end();
  off.emit({ name: "span", context: parent, startMs: 1, endMs: 2 });
  off.flush();
  await off.start();
  await off.stop();
  expect(span.context).toEqual(parent);
  expect(receiver.connections()).toBe(0);
});

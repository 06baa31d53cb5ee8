/**
 * What tracing costs whoever is traced: a span that is off, one whose trace is not sampled, and one that is recorded and sent to a local
 * receiver.
 */
import { createTracer } from "../../services/platform/tracing/create-tracer.ts";
import { traceIdOf } from "../../services/platform/tracing/trace-ids.ts";
import { noTracer, type Tracer } from "../../services/platform/tracing/tracer.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { type Bench, type Figure, quantile } from "./report.ts";

const rounds = 15;
const parent = { traceId: traceIdOf("bench", 0), spanId: "00f067aa0ba902b7", isSampled: true };

/** What an agent does around a phase of an attempt. */
function spanAround(tracer: Tracer, isSampled: boolean, work: () => number): number {
  const span = tracer.begin("compute", { parent: { ...parent, isSampled }, attributes: { "vapfarm.stage": "denoise" } });
  const result = work();
  span.end();
  return result;
}

let sink = 0;
const work = (): number => (sink += 1);

/** Nanoseconds of one call, the median of the rounds. */
function nanosOf(calls: number, call: () => unknown): number {
  const times = Array.from({ length: rounds }, () => {
    const began = performance.now();
    for (let index = 0; index < calls; index += 1) call();
    return ((performance.now() - began) * 1e6) / calls;
  });
  return quantile(times, 0.5);
}

export const tracing: Bench = {
  name: "tracing: one span around a piece of work",
  notMeasured: "the reads of the database that a traced farm makes, and a receiver that is slow",
  async run(short) {
    const calls = short ? 1_000 : 200_000;
    const receiver = await startOtlpReceiver();
    let dropped = 0;
    const tracer = createTracer({
      config: { endpoint: receiver.url, share: 1 },
      service: "bench",
      logger: { info: () => undefined, warn: () => undefined },
      onDropped: (spans) => (dropped += spans),
    });
    await tracer.start();
    const bare = nanosOf(calls, work);
    const off = nanosOf(calls, () => spanAround(noTracer, true, work));
    const unsampled = nanosOf(calls, () => spanAround(tracer, false, work));
    // As many as wait at most: none is dropped for want of room.
    const recorded = nanosOf(short ? 100 : 250, () => spanAround(tracer, true, work));
    await tracer.stop();
    await receiver.stop();
    const figures: Figure[] = [
      { name: "work alone", value: bare, unit: "ns" },
      { name: "with a span, tracing off", value: off, unit: "ns" },
      { name: "with a span, trace not sampled", value: unsampled, unit: "ns" },
      { name: "with a span, recorded", value: recorded, unit: "ns" },
      { name: "share of a 50 ms task with its 12 spans, tracing off", value: (off * 12) / 50e6, unit: "" },
      { name: "share of a 50 ms task with its 12 spans, recorded", value: (recorded * 12) / 50e6, unit: "" },
      { name: "spans sent", value: receiver.spans.length, unit: "" },
      { name: "spans dropped", value: dropped, unit: "" },
    ];
    return figures;
  },
};

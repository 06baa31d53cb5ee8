import { beforeEach, describe, expect, it } from "vitest";
import type { ClaimView, DispatchStore, EventView, NextOutcome, TraceOwner } from "../../../services/coordinator/store/store-contract.ts";
import { withClaimTraces } from "../../../services/coordinator/tracing/claim-traces.ts";
import { createRenderTraces } from "../../../services/coordinator/tracing/render-traces.ts";
import { createSubmitSpans } from "../../../services/coordinator/tracing/submit-span.ts";
import { attemptContextOf } from "../../../services/coordinator/tracing/trace-of.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { parseTraceparent, traceparentOf } from "../../../services/platform/tracing/trace-context.ts";
import { isWithinShare, traceIdOf } from "../../../services/platform/tracing/trace-ids.ts";
import { type FinishedSpan, noTracer, silentSpan, type Tracer } from "../../../services/platform/tracing/tracer.ts";

const logger = createLogger({ name: "test", level: "silent" });
const event = (kind: string, jobId: string, renderPosition?: number): EventView => ({
  ...{ jobId, number: 1, at: new Date(0), kind, stage: "", taskId: 0, workerName: "", message: "", jobState: undefined, computeMs: 0 },
  renderPosition,
});

let spans: FinishedSpan[];
const tracer = (share: number): Tracer => ({
  isOn: true,
  share,
  begin: (_name, { parent }) => silentSpan(parent),
  emit: (span) => void spans.push(span),
});

beforeEach(() => {
  spans = [];
});

describe("renders that end", () => {
  let asked: string[];
  let dropped: number;
  let failing: boolean;
  beforeEach(() => {
    asked = [];
    dropped = 0;
    failing = false;
  });

  const tracesOf = (used: Tracer) =>
    createRenderTraces({
      tracer: used,
      logger,
      onDropped: (renders) => (dropped += renders),
      store: {
        renderOwner(jobId, position) {
          asked.push(`${jobId}/${position ?? "only"}`);
          if (failing) return Promise.reject(new FarmError("DATABASE_UNAVAILABLE"));
          const owner: TraceOwner = { jobId, position: position ?? 0, renders: position === undefined ? 1 : 9, traceparent: undefined };
          return Promise.resolve(jobId === "batch" && position === undefined ? undefined : owner);
        },
        tracedRender: (jobId, position) =>
          Promise.resolve({
            ...{
              jobId,
              position,
              renders: 1,
              traceparent: undefined,
              state: "succeeded",
              code: undefined,
              model: "m",
              pool: "p",
              tenant: "t",
            },
            ...{ jobClass: "production", createdMs: 1, endedMs: 2, earlierEndMs: undefined, tasks: [] },
          }),
      },
    });

  it("are told once each: those of a batch by their own events, the only one of a job by the job's", async () => {
    const traces = tracesOf(tracer(1));
    traces.onEvents([event("task.succeeded", "one"), event("job.succeeded", "one"), event("render.failed", "batch", 3)]);
    traces.onEvents([event("job.failed", "batch")]);
    await traces.stop();
    expect(asked).toEqual(["one/only", "batch/3", "batch/only"]);
    expect(spans.map(({ attributes }) => attributes?.["vapfarm.job"])).toEqual(["one", "batch"]);
  });

  it("of a batch are not even looked up where their traces are not sampled", async () => {
    const traces = tracesOf(tracer(0.25));
    const positions = Array.from({ length: 40 }, (_, position) => position);
    traces.onEvents(positions.map((position) => event("render.succeeded", "batch", position)));
    await traces.stop();
    const sampled = positions.filter((position) => isWithinShare(traceIdOf("batch", position), 0.25));
    expect(sampled.length).toBeGreaterThan(0);
    expect(asked).toEqual(sampled.map((position) => `batch/${position}`));
  });

  it("are dropped and counted when too many wait or when they cannot be read", async () => {
    const traces = tracesOf(tracer(1));
    failing = true;
    traces.onEvents(Array.from({ length: 2_100 }, (_, position) => event("render.succeeded", "batch", position)));
    await traces.stop();
    expect(dropped).toBe(2_100);
    expect(spans).toEqual([]);
  });

  it("are nobody's business where tracing is off", async () => {
    const traces = tracesOf(noTracer);
    traces.onEvents([event("job.succeeded", "one")]);
    await traces.stop();
    expect(asked).toEqual([]);
  });
});

describe("claims", () => {
  const owner = { attemptId: "a", taskId: 7, jobId: "second", position: 0, renders: 1, traceparent: undefined };
  const claim = { attemptId: "a", jobIds: ["first", "second"] } as unknown as ClaimView;
  const answered = { kind: "answered", claim } as NextOutcome;
  const nothing = { kind: "answered", claim: undefined } as NextOutcome;
  const store: DispatchStore = {
    next: () => Promise.resolve([nothing, answered]),
    beat: () => Promise.resolve([]),
    report: () => Promise.resolve([]),
    idleWorkers: () => Promise.resolve([]),
  };

  it("name their attempt's place in the trace, and first the job whose trace it is", async () => {
    const traced = withClaimTraces(store, { store: { attemptOwners: () => Promise.resolve([owner]) }, tracer: tracer(1), logger });
    const [none, told] = await traced.next([]);
    expect(none).toBe(nothing);
    const traceparent = traceparentOf(attemptContextOf(owner, "a", 1));
    expect(told).toMatchObject({ claim: { jobIds: ["second", "first"], traceparent } });
  });

  it("go out without when it cannot be read, and untouched where tracing is off", async () => {
    const failing = { attemptOwners: () => Promise.reject(new FarmError("DATABASE_UNAVAILABLE")) };
    expect(await withClaimTraces(store, { store: failing, tracer: tracer(1), logger }).next([])).toEqual([nothing, answered]);
    expect(withClaimTraces(store, { store: failing, tracer: noTracer, logger })).toBe(store);
  });

  it("do not wait for a read that hangs", async () => {
    const hanging = { attemptOwners: () => Promise.withResolvers<never>().promise };
    expect(await withClaimTraces(store, { store: hanging, tracer: tracer(1), logger }).next([])).toEqual([nothing, answered]);
  });
});

describe("a submit", () => {
  const caller = parseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const stored = { kind: "stored" } as never;

  it("is a span below its caller's, whose place is kept with the job", async () => {
    const submit = { jobId: "job", renders: 1, caller, sinceMs: 5 };
    let kept: string | undefined;
    await createSubmitSpans(tracer(1)).around(submit, ({ traceparent }) => {
      kept = traceparent;
      return Promise.resolve(stored);
    });
    expect(kept).toBe("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    expect(spans).toMatchObject([{ name: "submit", parentSpanId: caller?.spanId, startMs: 5, context: { traceId: caller?.traceId } }]);
  });

  it("that was made before, or that failed, is told in its caller's trace only", async () => {
    const submits = createSubmitSpans(tracer(1));
    const ask = { jobId: "job", renders: 1, sinceMs: 5 };
    await submits.around({ ...ask, caller: undefined }, () => Promise.resolve({ kind: "conflict" }));
    expect(spans).toEqual([]);
    await submits.around({ ...ask, caller }, () => Promise.resolve({ kind: "conflict" }));
    const failing = submits.around({ ...ask, caller }, () => Promise.reject(new FarmError("DATABASE_UNAVAILABLE")));
    await expect(failing).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    expect(spans.map(({ attributes, error }) => attributes?.["vapfarm.outcome"] ?? error)).toEqual(["conflict", "DATABASE_UNAVAILABLE"]);
    expect(new Set(spans.map(({ context }) => context.spanId)).size).toBe(2);
  });

  it("keeps nothing where tracing is off", async () => {
    await createSubmitSpans(noTracer).around({ jobId: "job", renders: 1, caller, sinceMs: 5 }, (kept) => {
      expect(kept).toEqual({});
      return Promise.resolve(stored);
    });
  });
});

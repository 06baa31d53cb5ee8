import { describe, expect, it } from "vitest";
import type { TracedAttempt, TracedRender, TracedTask } from "../../../services/coordinator/store/store-contract.ts";
import { spansOfRender } from "../../../services/coordinator/tracing/spans-of-render.ts";
import { attemptContextOf, renderContextOf, submitContextOf } from "../../../services/coordinator/tracing/trace-of.ts";
import { traceIdOf } from "../../../services/platform/tracing/trace-ids.ts";

const callers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const unsampled = callers.replace(/01$/, "00");
const owner = { jobId: "job", position: 2, renders: 5, traceparent: undefined };

const attempt = (attemptId: string, overrides: Partial<TracedAttempt> = {}): TracedAttempt => ({
  ...{ attemptId, number: 1, state: "succeeded", startedMs: 1_100, endedMs: 1_400, beganMs: 1_100, workerName: "w", provider: "cpu" },
  ...{ code: undefined, loadMs: 1, computeMs: 2, deviceMs: 3, ...overrides },
});

const task = (attempts: readonly TracedAttempt[], overrides: Partial<TracedTask> = {}): TracedTask => ({
  ...{
    taskId: 7,
    stage: "denoise",
    label: "denoise",
    pool: "p",
    model: "demo",
    createdMs: 1_000,
    readyMs: 1_050,
    owner,
    attempts,
    ...overrides,
  },
});

const render = (overrides: Partial<TracedRender> = {}): TracedRender => ({
  ...{ ...owner, state: "succeeded", code: undefined, model: "demo", pool: "p", tenant: "t", jobClass: "production" },
  ...{ createdMs: 1_000, endedMs: 2_000, earlierEndMs: undefined, tasks: [task([attempt("a")])], ...overrides },
});

const told = (...parameters: Parameters<typeof spansOfRender>) =>
  spansOfRender(...parameters).map(({ name, startMs, endMs, error }) => [name, startMs, endMs, ...(error === undefined ? [] : [error])]);

describe("the spans of a render", () => {
  it("are the render, the waits and the attempts, below each other", () => {
    const spans = spansOfRender(render(), 1);
    expect(told(render(), 1)).toEqual([
      ["render", 1_000, 2_000],
      ["wait denoise", 1_050, 1_100],
      ["attempt denoise", 1_100, 1_400],
    ]);
    const [whole, wait, tried] = spans;
    expect(whole).toMatchObject({ parentSpanId: undefined, links: [submitContextOf(owner, 1)] });
    expect([wait?.parentSpanId, tried?.parentSpanId]).toEqual([whole?.context.spanId, whole?.context.spanId]);
    expect(tried?.context).toEqual(attemptContextOf(owner, "a", 1));
    expect(new Set(spans.map(({ context }) => context.traceId))).toEqual(new Set([traceIdOf("job", 2)]));
    expect(new Set(spans.map(({ context }) => context.spanId)).size).toBe(3);
  });

  it("show each try, what ended it, and what it waited for after the one before", () => {
    const lost = attempt("a", { state: "lost", endedMs: 1_200, code: "LEASE_LAPSED" });
    const running = attempt("b", { number: 2, state: "running", startedMs: 1_300, endedMs: undefined });
    const failed = render({ state: "failed", code: "SUSPECTED_POISON", tasks: [task([lost, running])] });
    expect(told(failed, 1)).toEqual([
      ["render", 1_000, 2_000, "SUSPECTED_POISON"],
      ["wait denoise", 1_050, 1_100],
      ["attempt denoise", 1_100, 1_200, "LEASE_LAPSED"],
      ["wait denoise", 1_200, 1_300],
      ["attempt denoise", 1_300, 2_000],
    ]);
  });

  it("show work that was another's first as a link to it, and what nobody did not at all", () => {
    const first = { ...owner, position: 0 };
    const shared = task([attempt("lost", { state: "lost" }), attempt("b", { endedMs: 900 })], { owner: first });
    const undone = task([attempt("c", { state: "failed" })], { owner: first });
    const [, reuse, ...more] = spansOfRender(render({ tasks: [shared, undone] }), 1);
    expect(more).toEqual([]);
    expect(reuse).toMatchObject({ name: "reuse denoise", startMs: 1_000, endMs: 1_000, links: [attemptContextOf(first, "b", 1)] });
  });

  it("show how long a render of a manifest waited to be planned", () => {
    const late = render({ tasks: [task([attempt("a")], { createdMs: 1_080, readyMs: 1_100 })] });
    expect(told(late, 1)[1]).toEqual(["wait window", 1_000, 1_080]);
  });

  it("of one that was tried again are those since, below the first life", () => {
    const again = render({
      earlierEndMs: 1_500,
      tasks: [task([attempt("a")]), task([attempt("b", { startedMs: 1_700, endedMs: 1_800 })], { taskId: 8, readyMs: 1_600 })],
    });
    const [whole, ...spans] = spansOfRender(again, 1);
    expect(whole).toMatchObject({ startMs: 1_500, parentSpanId: renderContextOf(owner, 1).spanId });
    expect(whole?.context.spanId).not.toBe(whole?.parentSpanId);
    expect(spans.map(({ name, parentSpanId }) => [name, parentSpanId === whole?.context.spanId])).toEqual([
      ["wait denoise", true],
      ["attempt denoise", true],
    ]);
  });

  it("are none where the trace is not sampled", () => {
    expect(spansOfRender(render(), 0)).toEqual([]);
    expect(spansOfRender(render({ renders: 1, traceparent: unsampled }), 1)).toEqual([]);
  });

  it("say nothing of prompts: of the render's spec only the model's name is read", () => {
    const names = spansOfRender(render(), 1).flatMap(({ attributes }) => Object.keys(attributes ?? {}));
    expect(names.filter((name) => !/^vapfarm\.[a-z_.]+$/.test(name) || /prompt|secret|token|seed|sha/.test(name))).toEqual([]);
  });
});

describe("whose trace a render goes on in", () => {
  it("is its caller's where it is the job's only one, whatever the share", () => {
    const only = { ...owner, position: 0, renders: 1, traceparent: callers };
    expect(renderContextOf(only, 0)).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", isSampled: true });
    expect(renderContextOf({ ...only, traceparent: unsampled }, 1).isSampled).toBe(false);
    const [whole] = spansOfRender(render(only), 0);
    expect(whole).toMatchObject({ parentSpanId: submitContextOf(only, 0).spanId, links: [] });
  });

  it("is its own in a batch, linked to the submit in the caller's", () => {
    const one = { ...owner, traceparent: callers };
    expect(renderContextOf(one, 1).traceId).toBe(traceIdOf("job", 2));
    const [whole] = spansOfRender(render(one), 1);
    expect(whole?.links).toEqual([submitContextOf(one, 1)]);
    expect(submitContextOf(one, 1).traceId).toBe("0af7651916cd43dd8448eb211c80319c");
  });

  it("is its own and its submit's where nobody said", () => {
    const only = { ...owner, position: 0, renders: 1 };
    expect(submitContextOf(only, 1).traceId).toBe(renderContextOf(only, 1).traceId);
    expect(submitContextOf(owner, 1).traceId).not.toBe(renderContextOf({ ...owner, position: 0 }, 1).traceId);
  });
});

/**
 * What the coordinator tells of a render that has ended: the render as a whole, its wait for the window of its pool, and of each task the
 * waits and attempts, by the database's clock; for work that was another render's first, a link to it.
 *
 * Pure. The agent's and the runtime's spans hang below the attempts', which are told here because a worker that died tells nothing. An
 * attempt is told by the first render that used its task, as it stands when that one ends; a render that was tried again tells only what
 * came since.
 */
import type { TraceContext } from "../../platform/tracing/trace-context.ts";
import { spanIdOf } from "../../platform/tracing/trace-ids.ts";
import type { FinishedSpan, SpanAttributes } from "../../platform/tracing/tracer.ts";
import type { TracedAttempt, TracedRender, TracedTask, TraceOwner } from "../store/store-contract.ts";
import { attemptContextOf, renderContextOf, submitContextOf } from "./trace-of.ts";

/** Below what clocks and statements make of no wait at all. */
const leastWaitMs = 1;

/** All spans, the render's first; none when its trace is not sampled. */
export function spansOfRender(render: TracedRender, share: number): readonly FinishedSpan[] {
  const first = renderContextOf(render, share);
  if (!first.isSampled) return [];
  const sinceMs = render.earlierEndMs ?? 0;
  const again = render.earlierEndMs !== undefined;
  const spanId = again ? spanIdOf("render", first.spanId, String(sinceMs)) : first.spanId;
  const life = { render, share, sinceMs, context: { ...first, spanId } };
  return [
    wholeSpan(life, again ? first.spanId : undefined),
    ...windowSpans(life),
    ...render.tasks.flatMap((task) => taskSpans(life, task)),
  ];
}

/** One life of a render: from its submit, or since it was tried again, to its end. */
type Life = { readonly render: TracedRender; readonly share: number; readonly sinceMs: number; readonly context: TraceContext };

function wholeSpan({ render, share, sinceMs, context }: Life, firstLife: string | undefined): FinishedSpan {
  const { jobId, position, renders, model, pool, tenant, jobClass, state, code } = render;
  const submit = submitContextOf(render, share);
  const isOwnSubmit = submit.traceId === context.traceId;
  return {
    name: "render",
    context,
    parentSpanId: firstLife ?? (isOwnSubmit ? submit.spanId : undefined),
    startMs: Math.max(render.createdMs, sinceMs),
    endMs: render.endedMs,
    attributes: {
      ...ofRender({ jobId, position }),
      ...{ "vapfarm.model": model, "vapfarm.pool": pool, "vapfarm.tenant": tenant, "vapfarm.class": jobClass },
      ...{ "vapfarm.renders": renders, "vapfarm.state": state },
    },
    links: isOwnSubmit ? [] : [submit],
    error: state === "failed" ? (code ?? "INTERNAL") : undefined,
  };
}

/** Renders of a manifest are planned when there is room; until then they have no tasks. */
function windowSpans({ render, sinceMs, context }: Life): readonly FinishedSpan[] {
  const own = render.tasks.filter(({ owner }) => isOf(owner, render)).map(({ createdMs }) => createdMs);
  const plannedMs = Math.min(...own);
  if (sinceMs > 0 || !Number.isFinite(plannedMs) || plannedMs - render.createdMs < leastWaitMs) return [];
  return [
    {
      name: "wait window",
      context: { ...context, spanId: spanIdOf("window", context.spanId) },
      parentSpanId: context.spanId,
      startMs: render.createdMs,
      endMs: plannedMs,
      attributes: { ...ofRender(render), "vapfarm.pool": render.pool },
    },
  ];
}

function taskSpans(life: Life, task: TracedTask): readonly FinishedSpan[] {
  if (!isOf(task.owner, life.render)) return reuseSpans(life, task);
  return task.attempts.flatMap((attempt, index) => {
    if (attempt.startedMs < life.sinceMs) return [];
    const readyMs = task.attempts[index - 1]?.endedMs ?? task.readyMs;
    return [...waitSpans(life, task, { attempt, readyMs }), attemptSpan(life, task, attempt)];
  });
}

type Claimed = { readonly attempt: TracedAttempt; readonly readyMs: number };

function waitSpans({ render, context }: Life, task: TracedTask, { attempt, readyMs }: Claimed): readonly FinishedSpan[] {
  if (attempt.startedMs - readyMs < leastWaitMs) return [];
  return [
    {
      name: `wait ${task.stage}`,
      context: { ...context, spanId: spanIdOf("wait", attempt.attemptId) },
      parentSpanId: context.spanId,
      startMs: Math.max(readyMs, render.createdMs),
      endMs: attempt.startedMs,
      attributes: { ...ofRender(render), ...ofTask(task), "vapfarm.attempt.number": attempt.number },
    },
  ];
}

function attemptSpan({ render, share, context }: Life, task: TracedTask, attempt: TracedAttempt): FinishedSpan {
  const { attemptId, number, state, code, workerName, provider, loadMs, computeMs, deviceMs, startedMs, beganMs } = attempt;
  return {
    name: `attempt ${task.stage}`,
    context: attemptContextOf(render, attemptId, share),
    parentSpanId: context.spanId,
    startMs: startedMs,
    // One that outlives its render was for another by then.
    endMs: attempt.endedMs ?? Math.max(render.endedMs, startedMs),
    attributes: {
      ...ofRender(render),
      ...ofTask(task),
      ...{ "vapfarm.attempt": attemptId, "vapfarm.attempt.number": number, "vapfarm.worker": workerName, "vapfarm.state": state },
      ...{ "vapfarm.provider": provider, "vapfarm.code": code },
      ...{ "vapfarm.load_ms": loadMs, "vapfarm.compute_ms": computeMs, "vapfarm.device_ms": deviceMs },
      "vapfarm.reserved_ms": beganMs === undefined ? undefined : Math.max(0, beganMs - startedMs),
    },
    error: state === "failed" || state === "lost" ? (code ?? "INTERNAL") : undefined,
  };
}

/** Work that was another render's first: a span without length, linked to the attempt that did it. */
function reuseSpans({ render, share, sinceMs, context }: Life, task: TracedTask): readonly FinishedSpan[] {
  const done = task.attempts.find(({ state }) => state === "succeeded");
  if (done === undefined) return [];
  const atMs = Math.min(Math.max(done.endedMs ?? 0, render.createdMs, sinceMs), render.endedMs);
  return [
    {
      name: `reuse ${task.stage}`,
      context: { ...context, spanId: spanIdOf("reuse", context.spanId, String(task.taskId)) },
      parentSpanId: context.spanId,
      startMs: atMs,
      endMs: atMs,
      attributes: { ...ofRender(render), ...ofTask(task), "vapfarm.attempt": done.attemptId, "vapfarm.reused_job": task.owner.jobId },
      links: [attemptContextOf(task.owner, done.attemptId, share)],
    },
  ];
}

function isOf(owner: TraceOwner, { jobId, position }: TraceOwner): boolean {
  return owner.jobId === jobId && owner.position === position;
}

function ofRender({ jobId, position }: Pick<TraceOwner, "jobId" | "position">): SpanAttributes {
  return { "vapfarm.job": jobId, "vapfarm.render": position };
}

function ofTask({ taskId, stage, label, pool, model }: TracedTask): SpanAttributes {
  return { "vapfarm.task": String(taskId), "vapfarm.stage": stage, "vapfarm.label": label, "vapfarm.pool": pool, "vapfarm.model": model };
}

/**
 * Tells the spans of renders as they end.
 *
 * It hears of ends from the relay, which reads every committed event once, in order, in one coordinator at a time: however a render ended
 * (a report, a reap, a cancel, a sweep), and whoever committed it, it is told at most once. What waits here when the coordinator or the relay
 * ends, or does not fit, is lost: a trace is no record.
 */
import { toFarmError } from "../../domain/errors.ts";
import { withDeadline } from "../../platform/deadline.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import { isWithinShare, traceIdOf } from "../../platform/tracing/trace-ids.ts";
import type { Tracer } from "../../platform/tracing/tracer.ts";
import type { EventView, TraceStore } from "../store/store-contract.ts";
import { spansOfRender } from "./spans-of-render.ts";
import { renderContextOf } from "./trace-of.ts";

export type RenderTraces = Component & {
  /** Events that the relay has copied. */
  readonly onEvents: (events: readonly EventView[]) => void;
};

export type RenderTracesOptions = {
  readonly store: Pick<TraceStore, "renderOwner" | "tracedRender">;
  readonly tracer: Tracer;
  readonly logger: Logger;
  /** Told of renders that are not traced, because too many wait or because they could not be read. */
  readonly onDropped: (renders: number) => void;
};

type Ended = { readonly jobId: string; readonly position: number | undefined };

const mostWaiting = 2_000;
const stopMs = 2_000;
const renderEnds: readonly string[] = ["render.succeeded", "render.failed", "render.cancelled"];
/** Only the end of a job of one render is the end of a render. */
const jobEnds: readonly string[] = ["job.succeeded", "job.failed", "job.cancelled"];

/** Nothing is read for renders whose traces are not sampled, and nothing at all where tracing is off. */
export function createRenderTraces(options: RenderTracesOptions): RenderTraces {
  const { tracer, onDropped } = options;
  const waiting: Ended[] = [];
  let telling: Promise<void> | undefined;
  const tellAll = async (): Promise<void> => {
    for (let ended = waiting.shift(); ended !== undefined; ended = waiting.shift()) await tell(options, ended);
    telling = undefined;
  };
  return {
    onEvents(events) {
      if (!tracer.isOn) return;
      for (const ended of events.flatMap((event) => endOf(event, tracer.share))) {
        if (waiting.length < mostWaiting) waiting.push(ended);
        else onDropped(1);
      }
      if (waiting.length > 0) telling ??= tellAll();
    },
    start: () => Promise.resolve(),
    async stop() {
      await withDeadline(telling ?? Promise.resolve(), { ms: stopMs, what: "telling the last traces" }).catch(() => undefined);
      onDropped(waiting.splice(0).length);
    },
  };
}

function endOf({ kind, jobId, renderPosition }: EventView, share: number): readonly Ended[] {
  if (jobEnds.includes(kind)) return [{ jobId, position: undefined }];
  if (!renderEnds.includes(kind) || renderPosition === undefined) return [];
  return isWithinShare(traceIdOf(jobId, renderPosition), share) ? [{ jobId, position: renderPosition }] : [];
}

async function tell({ store, tracer, logger, onDropped }: RenderTracesOptions, { jobId, position }: Ended): Promise<void> {
  try {
    const owner = await store.renderOwner(jobId, position);
    if (owner === undefined || !renderContextOf(owner, tracer.share).isSampled) return;
    const render = await store.tracedRender(jobId, owner.position);
    if (render !== undefined) for (const span of spansOfRender(render, tracer.share)) tracer.emit(span);
  } catch (thrown) {
    onDropped(1);
    logger.debug({ jobId, code: toFarmError(thrown).code }, "a render could not be traced");
  }
}

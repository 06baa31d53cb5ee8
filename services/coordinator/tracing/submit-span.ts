/**
 * The span of a submit: what was checked is planned and stored. Its id is known from the job's, so that the spans of the job's renders can
 * name it.
 */
import { toFarmError } from "../../domain/errors.ts";
import { traceparentOf, type TraceContext } from "../../platform/tracing/trace-context.ts";
import { randomSpanId } from "../../platform/tracing/trace-ids.ts";
import type { Tracer } from "../../platform/tracing/tracer.ts";
import { createWallClock } from "../../platform/tracing/wall-clock.ts";
import type { JobToStore, SubmitOutcome } from "../store/store-contract.ts";
import { submitContextOf } from "./trace-of.ts";

export type SubmitSpans = {
  /** Ms since 1970. */
  now(): number;
  /**
   * Stores the job, given what is to be kept of its caller's trace, under a span since `sinceMs`. A job that was there already has its span:
   * a repeat's is another, in its caller's trace.
   */
  around(submit: Submit, store: (kept: Pick<JobToStore, "traceparent">) => Promise<SubmitOutcome>): Promise<SubmitOutcome>;
};

export type Submit = {
  readonly jobId: string;
  readonly renders: number;
  /** The span of the call; undefined where its caller sent none. */
  readonly caller: TraceContext | undefined;
  readonly sinceMs: number;
};

export function createSubmitSpans(tracer: Tracer): SubmitSpans {
  const now = createWallClock();
  return {
    now,
    async around(submit, store) {
      if (!tracer.isOn) return store({});
      const traceparent = submit.caller === undefined ? undefined : traceparentOf(submit.caller);
      const tell = (outcome: SubmitOutcome["kind"] | undefined, error?: string): void => {
        const context = submitContextOf({ ...submit, traceparent }, tracer.share);
        const attributes = { "vapfarm.job": submit.jobId, "vapfarm.renders": submit.renders, "vapfarm.outcome": outcome };
        const span = { name: "submit", parentSpanId: submit.caller?.spanId, startMs: submit.sinceMs, endMs: now(), attributes, error };
        if (outcome === "stored") tracer.emit({ ...span, context });
        else if (submit.caller !== undefined) tracer.emit({ ...span, context: { ...context, spanId: randomSpanId() } });
      };
      try {
        const outcome = await store(traceparent === undefined ? {} : { traceparent });
        tell(outcome.kind);
        return outcome;
      } catch (thrown) {
        tell(undefined, toFarmError(thrown).code);
        throw thrown;
      }
    },
  };
}

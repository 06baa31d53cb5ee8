/**
 * Builds what traces (the tracer, and what it is told of submits, claims and renders), and what keeps the logs of lost attempts.
 */
import { type Component, sequence } from "../platform/lifecycle.ts";
import type { Metrics } from "../platform/metrics.ts";
import { subjectsOf } from "../platform/nats/subjects.ts";
import { openTailStream, type TailStream } from "../platform/nats/tail-stream.ts";
import { createTracer } from "../platform/tracing/create-tracer.ts";
import { countDroppedSpans } from "../platform/tracing/dropped-spans.ts";
import { tracingOf } from "../platform/tracing/settings.ts";
import type { Tracer, TracerComponent } from "../platform/tracing/tracer.ts";
import type { CoordinatorOptions } from "./app.ts";
import type { DutySpec } from "./duties/duty.ts";
import { createTailsDuty } from "./duties/tails.ts";
import type { Store } from "./store/store-contract.ts";
import { withClaimTraces } from "./tracing/claim-traces.ts";
import { createRenderTraces, type RenderTraces } from "./tracing/render-traces.ts";
import { createSubmitSpans, type SubmitSpans } from "./tracing/submit-span.ts";

export type Tracing = {
  readonly tracer: TracerComponent;
  readonly component: Component;
  readonly traces: RenderTraces;
  readonly submitSpans: SubmitSpans;
  /** The store, with claims that name their traces. */
  readonly dispatchStore: Store;
};

/** Nothing is traced before the tracer has started. */
export function createTracing({ config, resources, logger }: CoordinatorOptions, registry: Metrics): Tracing {
  const { store } = resources;
  const onDropped = countDroppedSpans(registry);
  const resource = { "vapfarm.farm": config.VAPFARM_FARM };
  const tracer = createTracer({ config: tracingOf(config), service: "coordinator", resource, logger, onDropped });
  const traces = createRenderTraces({ store, tracer, logger, onDropped });
  return {
    tracer,
    component: sequence([tracer, traces]),
    traces,
    submitSpans: createSubmitSpans(tracer),
    dispatchStore: withClaimTraces(store, { store, tracer, logger }),
  };
}

/** The duty that keeps the last log lines of attempts that were lost. */
export function createTails({ config, resources, logger }: CoordinatorOptions, tracer: Tracer, intervalMs: number): DutySpec {
  const { store, broker } = resources;
  const { tailStream: name, tail: subjectOf } = subjectsOf(config.VAPFARM_FARM);
  const openStream = (): Promise<TailStream> => openTailStream(broker, { name, subjectOf });
  return createTailsDuty({ store, openStream, intervalMs, logger, traceShare: tracer.isOn ? tracer.share : undefined });
}

/**
 * The agent's spans: of an attempt's phases, and of its report until that was answered. All hang below the attempt's own span, which the
 * coordinator tells.
 */
import type { AttemptReport, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { parseTraceparent, traceHeaders } from "../../platform/tracing/trace-context.ts";
import type { OpenSpan, SpanAttributes, SpanKind, Tracer } from "../../platform/tracing/tracer.ts";
import { spanAttributesOf } from "./claim-labels.ts";

export type SpanOf = (name: string, about?: { readonly kind?: SpanKind; readonly attributes?: SpanAttributes }) => OpenSpan;

/** Begins spans of one attempt. */
export function spansOf(tracer: Tracer, claim: TaskClaim): SpanOf {
  const parent = parseTraceparent(claim.traceparent);
  return (name, { kind, attributes = {} } = {}) =>
    tracer.begin(name, {
      parent,
      ...(kind === undefined ? {} : { kind }),
      attributes: parent?.isSampled === true ? { ...spanAttributesOf(claim), ...attributes } : {},
    });
}

/** Spans of reports on their way; one that is forgotten is never told. */
export class ReportSpans {
  private readonly open = new WeakMap<AttemptReport, OpenSpan>();

  begin(report: AttemptReport, span: SpanOf): void {
    this.open.set(report, span("report", { kind: "client" }));
  }

  /** Of a request that carries reports: the coordinator's part hangs below the first one's. */
  headersOf(reports: readonly AttemptReport[]): Readonly<Record<string, string>> {
    const contexts = reports.map((report) => this.open.get(report)?.context);
    return traceHeaders(contexts.find((context) => context?.isSampled === true));
  }

  end(report: AttemptReport, superseded: boolean): void {
    this.open.get(report)?.end(superseded ? "SESSION_SUPERSEDED" : undefined);
    this.open.delete(report);
  }
}

/**
 * The NATS services that workers talk to: next, beat and report of each pool, as one member of the coordinators' group.
 *
 * Requests may be lost or doubled; the store's stored answers make a repeat harmless, so a handler that fails simply does not
 * answer and the worker sends the same sequence again. What cannot be read, or finds too many asks
 * before it, is answered with a refusal. Asks batch: while one claim
 * of a pool is in the store, the asks that arrive wait and go together; beats never wait for claims.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import {
  BeatRequest,
  BeatResponse,
  NextRequest,
  NextResponse,
  ReportRequest,
  ReportResponse,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Broker, Endpoint, RequestHandler } from "../../platform/nats/broker.ts";
import { coordinatorGroup, type Subjects } from "../../platform/nats/subjects.ts";
import { parseTraceparent, traceparentHeader } from "../../platform/tracing/trace-context.ts";
import type { Tracer } from "../../platform/tracing/tracer.ts";
import type {
  Aftermath,
  BeatAnswer,
  BeatAsk,
  DispatchStore,
  DutyStore,
  NextAsk,
  NextOutcome,
  ReportAsk,
  ReportAnswer,
} from "../store/store-contract.ts";
import { beatAskFromProto, headerFromProto, nextAskFromProto, reportAskFromProto } from "./ask-mapping.ts";
import { type Batcher, createBatcher } from "./batcher.ts";
import { beatAnswerToProto, nextOutcomeToProto, reportAnswerToProto } from "./claim-mapping.ts";

export type DispatchOptions = {
  readonly store: DispatchStore & Pick<DutyStore, "recordCanary">;
  readonly broker: Pick<Broker, "serve">;
  readonly subjects: Pick<Subjects, "next" | "beat" | "report">;
  readonly pools: readonly string[];
  readonly version: string;
  /** Called after each commit that changed something. */
  readonly onCommitted: (aftermaths: readonly Aftermath[]) => void;
  /** Told of each ask, for counting. */
  readonly observer: DispatchObserver;
  /** Reports whose worker traces have spans of their commit. */
  readonly tracer: Tracer;
};

/** One ask that is over. */
export type EndedAsk = {
  readonly subject: "next" | "beat" | "report" | "canary";
  readonly pool: string;
  /** `OK`, why it was refused, or why it got no answer. */
  readonly code: string;
  readonly seconds: number;
};

export type DispatchObserver = {
  readonly onNext: (ask: NextAsk, outcome: NextOutcome) => void;
  readonly onReport: (ask: ReportAsk, answer: ReportAnswer) => void;
  readonly onAsk: (ask: EndedAsk) => void;
};

const maxAsks = 64;
/** Of one kind and pool: more than this means that the database has been too slow for minutes. */
const maxWaiting = 10_000;

type Batchers = {
  readonly next: Batcher<NextAsk, NextOutcome>;
  readonly report: Batcher<ReportAsk, ReportAnswer>;
  readonly beat: Batcher<BeatAsk, BeatAnswer>;
};

/** Answers workers from `start` to `stop`; stop waits for what was begun. */
export function createDispatchService(options: DispatchOptions): Component {
  let end: (() => Promise<void>) | undefined;
  const service = { name: coordinatorGroup, version: options.version, group: coordinatorGroup };
  return {
    async start() {
      end = await options.broker.serve(
        service,
        options.pools.flatMap((pool) => endpointsOf(pool, options)),
      );
    },
    async stop() {
      const ending = end;
      end = undefined;
      await ending?.();
    },
  };
}

function endpointsOf(pool: string, options: DispatchOptions): readonly Endpoint[] {
  const answering = { ...options, batchers: batchersOf(options) };
  const { subjects, observer, tracer } = options;
  const endpoint = (kind: "next" | "report" | "beat", answer: (payload: Uint8Array) => Promise<Reply>): Endpoint => ({
    name: `${kind}-${pool}`,
    subject: subjects[kind](pool),
    handler: observed({ subject: kind, pool }, { observer, tracer }, answer),
  });
  return [
    endpoint("next", (payload) => answerNext(payload, pool, answering)),
    endpoint("report", (payload) => answerReport(payload, answering)),
    endpoint("beat", (payload) => answerBeat(payload, answering)),
  ];
}

/** What goes back, and how the ask ended. */
type Reply = { readonly bytes: Uint8Array; readonly code: string; readonly isCanary?: boolean };

function observed(
  where: Pick<EndedAsk, "subject" | "pool">,
  { observer, tracer }: Pick<DispatchOptions, "observer" | "tracer">,
  answer: (payload: Uint8Array) => Promise<Reply>,
): RequestHandler {
  return async (payload, header) => {
    const begunAtMs = performance.now();
    const parent = tracer.isOn ? parseTraceparent(header(traceparentHeader)) : undefined;
    const span = tracer.begin("commit", { parent, kind: "server", attributes: { "vapfarm.pool": where.pool } });
    const end = (code: string, subject = where.subject): void =>
      observer.onAsk({ ...where, subject, code, seconds: (performance.now() - begunAtMs) / 1_000 });
    try {
      const { bytes, code, isCanary = false } = await answer(payload);
      end(code, isCanary ? "canary" : where.subject);
      span.end();
      return bytes;
    } catch (thrown) {
      const { code } = toFarmError(thrown);
      end(code);
      span.end(code);
      throw thrown;
    }
  };
}

function batchersOf({ store, onCommitted }: DispatchOptions): Batchers {
  const keyOf = ({ sessionId }: { readonly sessionId: string }): string => sessionId;
  const announced = <O extends { readonly kind: string; readonly aftermath?: Aftermath }>(outcomes: readonly O[]): readonly O[] => {
    onCommitted(outcomes.flatMap(({ aftermath }) => (aftermath === undefined ? [] : [aftermath])));
    return outcomes;
  };
  return {
    next: createBatcher({ keyOf, maxAsks, maxWaiting, run: async (asks: readonly NextAsk[]) => announced(await store.next(asks)) }),
    report: createBatcher({ keyOf, maxAsks, maxWaiting, run: async (asks: readonly ReportAsk[]) => announced(await store.report(asks)) }),
    beat: createBatcher({ keyOf, maxAsks, maxWaiting, run: (asks: readonly BeatAsk[]) => store.beat(asks) }),
  };
}

type Answering = DispatchOptions & { readonly batchers: Batchers };

async function answerNext(payload: Uint8Array, pool: string, { batchers, observer }: Answering): Promise<Reply> {
  const ask = readAsk(() => nextAskFromProto(NextRequest.decode(payload), pool));
  const outcome = ask instanceof FarmError ? ask : await unlessBusy(batchers.next.ask(ask));
  if (outcome instanceof FarmError) return { bytes: NextResponse.encode({ outcome: refusalOf(outcome) }).finish(), code: outcome.code };
  if (!(ask instanceof FarmError)) observer.onNext(ask, outcome);
  return { bytes: NextResponse.encode(nextOutcomeToProto(outcome)).finish(), code: codeOf(outcome) };
}

async function answerReport(payload: Uint8Array, { batchers, observer }: Answering): Promise<Reply> {
  const ask = readAsk(() => reportAskFromProto(ReportRequest.decode(payload)));
  const answer = ask instanceof FarmError ? ask : await unlessBusy(batchers.report.ask(ask));
  if (answer instanceof FarmError) return { bytes: ReportResponse.encode({ outcome: refusalOf(answer) }).finish(), code: answer.code };
  if (!(ask instanceof FarmError)) observer.onReport(ask, answer);
  return { bytes: ReportResponse.encode(reportAnswerToProto(answer)).finish(), code: codeOf(answer) };
}

async function answerBeat(payload: Uint8Array, { batchers, store }: Answering): Promise<Reply> {
  const request = readAsk(() => BeatRequest.decode(payload));
  if (!(request instanceof FarmError) && request.canary) return answerCanary(request, store);
  const ask = request instanceof FarmError ? request : readAsk(() => beatAskFromProto(request));
  const answer = ask instanceof FarmError ? ask : await unlessBusy(batchers.beat.ask(ask));
  if (answer instanceof FarmError) return { bytes: BeatResponse.encode({ outcome: refusalOf(answer) }).finish(), code: answer.code };
  return { bytes: BeatResponse.encode(beatAnswerToProto(answer)).finish(), code: codeOf(answer) };
}

/** An ask that fails alone, of a call with others, is answered with why. */
function codeOf(outcome: NextOutcome | ReportAnswer | BeatAnswer): string {
  return outcome.kind === "refused" ? outcome.code : "OK";
}

async function answerCanary(request: BeatRequest, store: Pick<DutyStore, "recordCanary">): Promise<Reply> {
  const header = readAsk(() => headerFromProto(request.header));
  if (header instanceof FarmError) {
    return { bytes: BeatResponse.encode({ outcome: refusalOf(header) }).finish(), code: header.code, isCanary: true };
  }
  await store.recordCanary(Number(request.canaryElapsedMs));
  const value = { farmEpoch: 0n, leaseMs: 0n, levels: [] };
  return { bytes: BeatResponse.encode({ outcome: { $case: "answer", value } }).finish(), code: "OK", isCanary: true };
}

/** The outcome, or the refusal of an ask that found too many before it: its worker backs off and sends it again. */
async function unlessBusy<O>(asked: Promise<O>): Promise<O | FarmError> {
  return await asked.catch((thrown: unknown) => {
    const error = toFarmError(thrown);
    if (error.code !== "FARM_BUSY") throw thrown;
    return error;
  });
}

/** The ask, or what is wrong with it: an expected outcome, since versions roll and messages may be damaged. */
function readAsk<T>(read: () => T): T | FarmError {
  try {
    return read();
  } catch (thrown) {
    return toFarmError(thrown, "PROTOCOL_UNSUPPORTED");
  }
}

function refusalOf({ code, message }: FarmError) {
  return { $case: "refusal" as const, value: { code, message, farmEpoch: 0n } };
}

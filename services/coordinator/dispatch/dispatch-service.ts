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
  /** Told of each answered ask, for counting. */
  readonly observer: DispatchObserver;
  /** Reports whose worker traces have spans of their commit. */
  readonly tracer: Tracer;
};

export type DispatchObserver = {
  onNext(ask: NextAsk, outcome: NextOutcome): void;
  onReport(ask: ReportAsk, answer: ReportAnswer): void;
  /** An ask that was refused, or got no answer. */
  onFailure(code: string): void;
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
  const observed =
    (answer: RequestHandler): RequestHandler =>
    (payload, header) => {
      const parent = tracer.isOn ? parseTraceparent(header(traceparentHeader)) : undefined;
      const span = tracer.begin("commit", { parent, kind: "server", attributes: { "vapfarm.pool": pool } });
      return answer(payload, header).then(
        (reply) => {
          span.end();
          return reply;
        },
        (thrown: unknown) => {
          const { code } = toFarmError(thrown);
          span.end(code);
          observer.onFailure(code);
          throw thrown;
        },
      );
    };
  return [
    { name: `next-${pool}`, subject: subjects.next(pool), handler: observed((payload) => answerNext(payload, pool, answering)) },
    { name: `report-${pool}`, subject: subjects.report(pool), handler: observed((payload) => answerReport(payload, answering)) },
    { name: `beat-${pool}`, subject: subjects.beat(pool), handler: observed((payload) => answerBeat(payload, answering)) },
  ];
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

async function answerNext(payload: Uint8Array, pool: string, { batchers, observer }: Answering): Promise<Uint8Array> {
  const ask = readAsk(() => nextAskFromProto(NextRequest.decode(payload), pool));
  if (ask instanceof FarmError) return NextResponse.encode({ outcome: refusalOf(ask) }).finish();
  const outcome = await unlessBusy(batchers.next.ask(ask));
  if (outcome instanceof FarmError) return NextResponse.encode({ outcome: refusalOf(outcome) }).finish();
  observer.onNext(ask, outcome);
  noteRefusal(outcome, observer);
  return NextResponse.encode(nextOutcomeToProto(outcome)).finish();
}

async function answerReport(payload: Uint8Array, { batchers, observer }: Answering): Promise<Uint8Array> {
  const ask = readAsk(() => reportAskFromProto(ReportRequest.decode(payload)));
  if (ask instanceof FarmError) return ReportResponse.encode({ outcome: refusalOf(ask) }).finish();
  const answer = await unlessBusy(batchers.report.ask(ask));
  if (answer instanceof FarmError) return ReportResponse.encode({ outcome: refusalOf(answer) }).finish();
  observer.onReport(ask, answer);
  noteRefusal(answer, observer);
  return ReportResponse.encode(reportAnswerToProto(answer)).finish();
}

async function answerBeat(payload: Uint8Array, { batchers, store, observer }: Answering): Promise<Uint8Array> {
  const request = readAsk(() => BeatRequest.decode(payload));
  if (request instanceof FarmError) return BeatResponse.encode({ outcome: refusalOf(request) }).finish();
  if (request.canary) return answerCanary(request, store);
  const ask = readAsk(() => beatAskFromProto(request));
  if (ask instanceof FarmError) return BeatResponse.encode({ outcome: refusalOf(ask) }).finish();
  const answer = await unlessBusy(batchers.beat.ask(ask));
  if (answer instanceof FarmError) return BeatResponse.encode({ outcome: refusalOf(answer) }).finish();
  noteRefusal(answer, observer);
  return BeatResponse.encode(beatAnswerToProto(answer)).finish();
}

/** An ask that fails alone, of a call with others, is answered with why. */
function noteRefusal(outcome: NextOutcome | ReportAnswer | BeatAnswer, observer: DispatchObserver): void {
  if (outcome.kind === "refused") observer.onFailure(outcome.code);
}

async function answerCanary(request: BeatRequest, store: Pick<DutyStore, "recordCanary">): Promise<Uint8Array> {
  const header = readAsk(() => headerFromProto(request.header));
  if (header instanceof FarmError) return BeatResponse.encode({ outcome: refusalOf(header) }).finish();
  await store.recordCanary(Number(request.canaryElapsedMs));
  const value = { farmEpoch: 0n, leaseMs: 0n, levels: [] };
  return BeatResponse.encode({ outcome: { $case: "answer", value } }).finish();
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

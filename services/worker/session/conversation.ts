/**
 * The agent's side of `next` and `report`: one request in flight, each answered before the next one is written.
 *
 * Invariant: what a request says of the worker (held attempts, reports, free slots) is true when it is written; when it is sent again it
 * keeps its bytes, and what changed meanwhile goes into the next one.
 */
import {
  type AttemptReport,
  type AttemptReportOutcome,
  type LostAttempt,
  type NextAnswer,
  NextRequest,
  type Refusal,
  type ReportAnswer,
  ReportRequest,
  type WorkerDescription,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { askAheadAtMs, type Estimate, withSample } from "./ahead.ts";
import type { AttemptBook } from "./attempt-book.ts";
import { backOffMs } from "./back-off.ts";
import { sleep } from "./clock.ts";
import { exchange, type ExchangePorts } from "./exchange.ts";
import { createLatch, type Latch } from "./latch.ts";
import { responseToRefusal } from "./refusal-response.ts";
import type { Session } from "./session.ts";
import { chooseTurn, type Turn } from "./turn.ts";
import { readNext, readReport, type Reply } from "./wire.ts";

export type ConversationPorts = {
  readonly exchange: ExchangePorts;
  readonly book: AttemptBook;
  readonly subjects: { readonly next: string; readonly report: string };
  readonly pool: string;
  readonly pollMs: number;
  readonly session: () => Session;
  readonly worker: () => Omit<WorkerDescription, "life">;
  /** How long the fetching of inputs takes. */
  readonly fetchEstimate: () => Estimate | undefined;
  /** Named until a `next` is answered. */
  readonly lostAttempts: readonly LostAttempt[];
  /** Headers of a request that carries these reports. */
  readonly headersOf: (reports: readonly AttemptReport[]) => Readonly<Record<string, string>>;
  readonly runtimeReady: () => boolean;
  readonly onClaim: (claim: NonNullable<NextAnswer["claim"]>, session: Session) => void;
  readonly onLevels: (levels: NextAnswer["levels"]) => void;
  readonly onOutcomes: (outcomes: readonly AttemptReportOutcome[], asked: readonly AttemptReport[]) => void;
  readonly onRefusal: (refusal: Refusal, session: Session) => void;
  /** The coordinator had nothing for the free slot. */
  readonly onNothing: () => void;
};

type NextTurn = Extract<Turn, { readonly kind: "next" }>;
type Asked = { readonly session: Session; readonly reports: readonly AttemptReport[] };

/** The loop; `run` ends when the signal aborts or the last word was answered. */
export class Conversation {
  private readonly ports: ConversationPorts;
  private readonly latch: Latch;
  private askWanted = true;
  private pollDueAtMs = 0;
  private draining = false;
  /** The last word is due: once nothing is held, or at once. */
  private leaving: "no" | "when_empty" | "now" = "no";
  private left = false;
  private lost: readonly LostAttempt[];
  private refusals = 0;
  private askEstimate: Estimate | undefined;
  /** The attempt for whose end a reservation was asked: once is enough, unless something says that there may be work. */
  private askedAheadFor: string | undefined;

  constructor(ports: ConversationPorts) {
    this.ports = ports;
    this.lost = ports.lostAttempts;
    this.latch = createLatch(ports.exchange.clock);
  }

  /** There may be work: ask as soon as a slot is free. */
  wake(): void {
    this.askWanted = true;
    this.askedAheadFor = undefined;
    this.latch.fire();
  }

  /** Something that a turn depends on has changed. */
  look(): void {
    this.latch.fire();
  }

  /** Asks for nothing any more. */
  drain(): void {
    this.draining = true;
    this.latch.fire();
  }

  /** Says the last word, once nothing is held or with what is still held, then ends the loop. */
  leave(when: "when_empty" | "now"): void {
    this.leaving = when;
    this.latch.fire();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.left) {
      await this.turn(signal);
      // A new session answers the first refusal at once; a coordinator that goes on refusing is not to be flooded.
      if (this.refusals > 1) await this.waitAfterRefusals(signal);
    }
  }

  private waitAfterRefusals(signal: AbortSignal): Promise<void> {
    const { clock, backOff, draw } = this.ports.exchange;
    return sleep(clock, backOffMs(this.refusals, backOff, draw()), signal);
  }

  private async turn(signal: AbortSignal): Promise<void> {
    const { book, exchange: edge } = this.ports;
    const nowMs = edge.clock.nowMs();
    const turn = chooseTurn({
      nowMs,
      opened: this.ports.session().opened,
      draining: this.draining,
      // A claim that was on its way when the leaving began is given back first.
      leaving: this.leaving === "now" || (this.leaving === "when_empty" && book.isEmpty()),
      runtimeReady: this.ports.runtimeReady(),
      slotFree: book.slotFree(),
      finishing: book.finishing(),
      askWanted: this.askWanted,
      pollDueAtMs: this.pollDueAtMs,
      aheadDueAtMs: this.aheadDueAtMs(nowMs),
      waitingReports: book.waitingReports().length,
    });
    if (turn.kind === "wait") await this.latch.wait(turn.untilMs === undefined ? undefined : Math.max(0, turn.untilMs - nowMs), signal);
    else if (turn.kind === "next") await this.next(turn, signal);
    else await this.report(signal);
  }

  private aheadDueAtMs(nowMs: number): number | undefined {
    const running = this.ports.book.soonFree();
    if (running === undefined || running.claim.attemptId === this.askedAheadFor) return undefined;
    return askAheadAtMs({ nowMs, leftMs: running.leftMs(), ask: this.askEstimate, fetch: this.ports.fetchEstimate() });
  }

  private async next({ freeSlots, aheadSlots, leaving }: NextTurn, signal: AbortSignal): Promise<void> {
    const { book, session, worker, subjects, exchange: edge } = this.ports;
    const asked = { session: session(), reports: book.waitingReports() };
    if (freeSlots > 0) this.askWanted = false;
    if (aheadSlots > 0) this.askedAheadFor = book.soonFree()?.claim.attemptId;
    const heldAttemptIds = book.idsOf(asked.session.id);
    const described = { ...worker(), life: asked.session.life };
    const said = { worker: described, heldAttemptIds, freeSlots, aheadSlots, reports: [...asked.reports], leaving };
    const request = { header: asked.session.nextHeader(), ...said, lostAttempts: [...this.lost] };
    const payload = NextRequest.encode(request).finish();
    const answered = await this.ask({ subject: subjects.next, payload, read: readNext }, asked, signal);
    if (answered === undefined || this.refused(answered.answer, asked.session)) return;
    asked.session.renew(answered.answer.answer, answered.sentAtMs);
    this.askEstimate = withSample(this.askEstimate, edge.clock.nowMs() - answered.sentAtMs);
    this.lost = [];
    this.schedulePoll();
    this.left = leaving;
    this.take(answered.answer.answer, { ...asked, freeSlots });
  }

  private async report(signal: AbortSignal): Promise<void> {
    const { book, session, subjects, pool } = this.ports;
    const asked = { session: session(), reports: book.waitingReports() };
    const payload = ReportRequest.encode({ header: asked.session.nextHeader(), pool, reports: [...asked.reports] }).finish();
    const answered = await this.ask({ subject: subjects.report, payload, read: readReport }, asked, signal);
    if (answered === undefined || this.refused(answered.answer, asked.session)) return;
    this.ports.onOutcomes(answered.answer.answer.reportOutcomes, asked.reports);
  }

  private take(answer: NextAnswer, asked: Asked & { readonly freeSlots: number }): void {
    this.ports.onOutcomes(answer.reportOutcomes, asked.reports);
    this.ports.onLevels(answer.levels);
    if (answer.claim !== undefined) this.ports.onClaim(answer.claim, asked.session);
    else if (asked.freeSlots > 0) this.ports.onNothing();
  }

  /** Sends until answered; undefined when the agent stops or the session ended meanwhile. */
  private async ask<A extends NextAnswer | ReportAnswer>(
    request: { readonly subject: string; readonly payload: Uint8Array; readonly read: (reply: Uint8Array) => Reply<A> | undefined },
    { session, reports }: Asked,
    signal: AbortSignal,
  ) {
    const either = AbortSignal.any([session.signal, signal]);
    const read = (bytes: Uint8Array): Reply<A> | undefined => {
      const reply = request.read(bytes);
      return reply?.kind === "refusal" && responseToRefusal(reply.refusal.code) === "retry" ? undefined : reply;
    };
    const headers = this.ports.headersOf(reports);
    const answered = await exchange(this.ports.exchange, { ...request, headers, read, signal: either });
    return session === this.ports.session() ? answered : undefined;
  }

  private refused<A>(reply: Reply<A>, session: Session): reply is Extract<Reply<A>, { kind: "refusal" }> {
    if (reply.kind === "answer") {
      this.refusals = 0;
      return false;
    }
    this.refusals += 1;
    this.left = this.leaving !== "no";
    this.wake();
    this.ports.onRefusal(reply.refusal, session);
    return true;
  }

  private schedulePoll(): void {
    const { clock, draw } = this.ports.exchange;
    // ±20 %, so that the workers of a farm do not ask in step.
    this.pollDueAtMs = clock.nowMs() + this.ports.pollMs * (0.8 + 0.4 * draw());
  }
}

/**
 * The worker agent: claims tasks, keeps their leases, runs them, reports them; never infers (design §1, §2, §4).
 *
 * Owns the session and what a refusal, a level, a lapse or a stop means for the attempts of the moment. Nothing here waits for NATS to
 * compute: an outage delays words, not work.
 */
import { FarmError, isErrorCode } from "../../domain/errors.ts";
import {
  type AttemptLevel,
  type AttemptReport,
  type AttemptReportOutcome,
  AttemptReportDisposition,
  type BeatAnswer,
  type Refusal,
  type TaskClaim,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { AgentPorts } from "./agent-ports.ts";
import { AgentBooks } from "./agent-books.ts";
import { AttemptBook } from "./attempt-book.ts";
import { ReportSpans, spansOf } from "./attempt-spans.ts";
import { type Attempt, startAttempt } from "./attempt.ts";
import { type Beats, createBeats } from "./beats.ts";
import { labelsOf } from "./claim-labels.ts";
import { settledWithin } from "./clock.ts";
import { Conversation } from "./conversation.ts";
import { drainTimes } from "./drain.ts";
import { standingOf } from "./lease-clock.ts";
import { createLiveProgress, type LiveProgress } from "./live-progress.ts";
import { responseToRefusal } from "./refusal-response.ts";
import { createRunBooks } from "./run-books.ts";
import { Session } from "./session.ts";
import { levelName, readSignal } from "./wire.ts";
import { answeredLine, claimedLine } from "./work-journal.ts";

export type Agent = Component & {
  /** Resolves with the reason when going on cannot help; the process must then stop. */
  readonly ended: Promise<FarmError>;
  /** Throws while the worker cannot take work. */
  checkReady(): void;
};

/** Builds the agent; nothing is sent before `start`. */
export function createAgent(ports: AgentPorts): Agent {
  const agent = new WorkerAgent(ports);
  return { start: () => agent.start(), stop: () => agent.stop(), ended: agent.ended.promise, checkReady: () => agent.checkReady() };
}

class WorkerAgent {
  readonly ended = Promise.withResolvers<FarmError>();
  private readonly ports: AgentPorts;
  private readonly books: AgentBooks;
  private readonly attempts: AttemptBook;
  private readonly beats: Beats;
  private readonly conversation: Conversation;
  private readonly progress: LiveProgress;
  private readonly reportSpans = new ReportSpans();
  private readonly stopped = new AbortController();
  private readonly loops: Promise<void>[] = [];
  private readonly cleanups: (() => void)[] = [];
  private session: Session;
  private stopping = false;
  private failed = false;
  private lapsed = false;
  private onEmpty: () => void = () => undefined;

  constructor(ports: AgentPorts) {
    this.ports = ports;
    this.session = new Session(ports.firstLife, 0n);
    this.books = new AgentBooks(ports);
    this.attempts = new AttemptBook(() => this.lookAtBook());
    this.beats = this.createBeats();
    this.conversation = this.createConversation();
    this.progress = createLiveProgress({
      clock: ports.clock,
      publish: (subject, payload) => ports.link.publish(subject, payload),
      subjectOf: (jobId) => ports.subjects.progress(jobId),
      workerName: ports.workerName,
      intervalMs: ports.timings.progressMs,
    });
  }

  async start(): Promise<void> {
    const { link, subjects, workerId, runtime, timings } = this.ports;
    // Before the first `next`, so that no wake is missed.
    this.cleanups.push(link.subscribe(subjects.worker(workerId), (payload) => this.onSignal(payload)));
    this.cleanups.push(runtime.onChange(() => this.conversation.wake()));
    await link.flush(timings.requestMs).catch(() => undefined);
    this.loops.push(this.conversation.run(this.stopped.signal), this.beats.run(this.stopped.signal));
    for (const loop of this.loops) void loop.catch((thrown: unknown) => this.fail(new FarmError("INTERNAL", { cause: thrown })));
  }

  /** Drains: what runs may end within the drain time, then it is given back; the last word says that the worker leaves. */
  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    if (this.loops.length > 0 && !this.failed) await this.drain();
    this.attempts.stopAll("stop");
    this.stopped.abort();
    for (const cleanup of this.cleanups.splice(0)) cleanup();
    await Promise.allSettled(this.loops);
  }

  checkReady(): void {
    if (this.failed) throw new FarmError("SESSION_ENDED", { message: "the agent has ended" });
    if (!this.ports.runtime.isReady())
      throw new FarmError("RUNTIME_START_FAILED", { message: "the stage runtime does not answer, or loads its engines" });
    const { lease } = this.session;
    if (lease === undefined || this.standing() !== "current") throw new FarmError("COORDINATOR_UNAVAILABLE");
  }

  private async drain(): Promise<void> {
    const { clock, timings, logger, link, leaveAtOnce } = this.ports;
    const { waitMs, settleMs } = drainTimes({ ...timings, leaveAtOnce }, this.attempts.leaveMs());
    this.conversation.drain();
    this.attempts.giveBackReserved("stop");
    let isEmpty = await settledWithin(clock, waitMs, this.emptied());
    if (!isEmpty) {
      logger.warn({ waitMs, settleMs }, leaveAtOnce ? "giving back what runs" : "draining took too long; giving back what runs");
      this.attempts.stopAll("stop");
      isEmpty = await settledWithin(clock, settleMs, this.emptied());
    }
    if (!link.isConnected()) return;
    this.conversation.leave(isEmpty ? "when_empty" : "now");
    const [conversation] = this.loops;
    if (conversation !== undefined) await settledWithin(clock, timings.farewellMs, conversation);
  }

  private emptied(): Promise<void> {
    return new Promise((resolve) => {
      this.onEmpty = resolve;
      this.lookAtBook();
    });
  }

  private lookAtBook(): void {
    this.ports.metrics.busy(!this.attempts.slotFree());
    if (this.attempts.isEmpty()) this.onEmpty();
    this.conversation.look();
  }

  private onClaim(claim: TaskClaim, session: Session): void {
    const { attemptId, stage } = claim;
    if (this.attempts.has(attemptId)) return;
    const { clock, runtime, crash, attempt: rest, logger, tracer } = this.ports;
    crash("claimed");
    const { isReserved } = claim;
    logger.info({ ...labelsOf(claim), stage, attempt: claim.attemptNumber, isReserved }, "claimed");
    this.ports.journal.write(claimedLine(claim, session));
    const run = createRunBooks(claim, this.ports.metrics);
    const attempt = startAttempt(claim, {
      ...rest,
      clock,
      runtime,
      crash,
      span: spansOf(tracer, claim),
      announce: (id, artifacts, signal) => this.beats.announce(id, artifacts, signal),
      tell: (id, checkpoint, signal) => this.beats.tell(id, checkpoint, signal),
      onCheckpoint: (event) => this.books.onCheckpoint(claim, event),
      onStop: (reason) => this.books.onStop(reason, attempt.computed),
      onChange: () => this.onProgress(attempt),
      onFetched: (tookMs) => this.books.onFetched(tookMs),
      onProgress: (progress) => run.onProgress(progress),
      onBegan: (idleMs) => {
        run.began();
        this.onBegan(claim, idleMs);
      },
    });
    this.attempts.hold(attempt, session.id);
    // One that never began frees nothing: who asked for it would only ask again.
    void attempt.computed.then(() => run.free());
    void attempt.computed.then(() => (isReserved && !attempt.hasBegun() ? this.conversation.look() : this.conversation.wake()));
    void attempt.ended.then((report) => {
      run.onEnded(report);
      this.onEnded(attempt, report);
    });
    this.onProgress(attempt);
    if (this.stopping) attempt.stop("stop");
    if (isReserved && this.attempts.isMakingWay()) attempt.giveBack("preempt");
  }

  /** What is reserved tells nothing: the task is as likely another worker's. */
  private onProgress(attempt: Attempt): void {
    if (!attempt.claim.isReserved || attempt.hasBegun()) this.progress.tell(attempt.claim, attempt.view());
    this.conversation.look();
  }

  /** Until a beat says so, what was reserved may be taken away. */
  private onBegan(claim: TaskClaim, idleMs: number | undefined): void {
    this.books.onBegan(claim, idleMs);
    if (claim.isReserved) this.beats.soon();
  }

  private onEnded(attempt: Attempt, report: AttemptReport): void {
    const { claim } = attempt;
    this.reportSpans.begin(report, spansOf(this.ports.tracer, claim));
    if (claim.isReserved && !attempt.hasBegun()) this.books.onUnbegun(claim, { report, stopped: attempt.stopReason() });
    else this.books.onEnded(claim, report);
  }

  private onOutcomes(outcomes: readonly AttemptReportOutcome[], asked: readonly AttemptReport[]): void {
    if (asked.length > 0) this.ports.crash("reported");
    for (const report of asked) {
      const outcome = outcomes.find(({ attemptId }) => attemptId === report.attemptId);
      this.ports.journal.write(answeredLine(report, outcome));
      const superseded = outcome?.disposition === AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_SUPERSEDED;
      this.reportSpans.end(report, superseded);
      const claim = this.attempts.find(report.attemptId)?.claim;
      if (claim !== undefined) this.books.onAnswered(claim, { report, superseded });
    }
    this.attempts.release(asked.map(({ attemptId }) => attemptId));
  }

  private onLevels(levels: readonly AttemptLevel[]): void {
    for (const { attemptId, level } of levels) this.attempts.applyLevel(attemptId, levelName(level));
    if (this.attempts.isMakingWay()) this.attempts.giveBackReserved("preempt");
  }

  private onBeatAnswer(answer: BeatAnswer): void {
    this.onLevels(answer.levels);
  }

  private onSignal(payload: Uint8Array): void {
    const signal = readSignal(payload);
    if (signal?.$case === "wake") this.conversation.wake();
    if (signal?.$case === "level") this.onLevels([signal.value]);
  }

  private onRefusal(refusal: Refusal, session: Session): void {
    if (session !== this.session) return;
    const { code, message } = refusal;
    const response = responseToRefusal(code);
    if (response === "retry") return;
    this.ports.logger.warn({ code, response }, `the coordinator refused: ${message}`);
    if (response === "end_worker") {
      this.fail(new FarmError(isErrorCode(code) ? code : "INTERNAL", { message }));
      return;
    }
    this.session = new Session(session.life + 1n, response === "new_session" ? session.epoch : 0n);
    if (response === "new_session") this.attempts.stopAll("session_ended");
    else this.forgetAttempts(session);
    session.end();
  }

  /** No report tells of these, so they are counted here. */
  private forgetAttempts(session: Session): void {
    this.ports.metrics.leaseLost(this.attempts.idsOf(session.id).length);
    this.attempts.forgetAll();
  }

  private fail(error: FarmError): void {
    if (this.failed) return;
    this.failed = true;
    this.attempts.stopAll("session_ended");
    this.stopped.abort();
    this.ended.resolve(error);
  }

  private standing() {
    const { clock, timings } = this.ports;
    return this.session.lease === undefined ? undefined : standingOf(this.session.lease, clock.nowMs(), timings.outageLimitMs);
  }

  private lookAtLease(): void {
    const standing = this.standing();
    const lapsed = standing === "lapsed" || standing === "outage_limit_reached";
    if (lapsed !== this.lapsed)
      this.ports.logger.warn({ lapsed }, lapsed ? "the lease could not be renewed in time" : "the lease is renewed");
    this.lapsed = lapsed;
    if (standing === "outage_limit_reached") this.attempts.stopAll("outage");
  }

  private createBeats(): Beats {
    const { clock, link, logger, subjects, pool, timings } = this.ports;
    return createBeats({
      clock,
      link,
      logger,
      book: this.attempts,
      subject: subjects.beat(pool),
      pool,
      beatMs: timings.beatMs,
      retryMs: timings.retry.firstMs,
      session: () => this.session,
      counters: () => this.books.counters(),
      onAnswer: (answer) => this.onBeatAnswer(answer),
      onRefusal: (refusal, session) => this.onRefusal(refusal, session),
      afterBeat: () => this.lookAtLease(),
    });
  }

  private createConversation(): Conversation {
    const { clock, link, logger, draw, subjects, pool, timings, worker, runtime } = this.ports;
    return new Conversation({
      exchange: { link, clock, logger, draw, requestMs: timings.requestMs, backOff: timings.retry },
      book: this.attempts,
      subjects: { next: subjects.next(pool), report: subjects.report(pool) },
      pool,
      pollMs: timings.pollMs,
      session: () => this.session,
      worker,
      fetchEstimate: () => this.books.fetchEstimate(),
      lostAttempts: this.ports.lostAttempts ?? [],
      headersOf: (reports) => this.reportSpans.headersOf(reports),
      runtimeReady: () => runtime.isReady(),
      onClaim: (claim, session) => this.onClaim(claim, session),
      onLevels: (levels) => this.onLevels(levels),
      onOutcomes: (outcomes, asked) => this.onOutcomes(outcomes, asked),
      onRefusal: (refusal, session) => this.onRefusal(refusal, session),
      onNothing: () => this.books.onNothing(),
    });
  }
}

/**
 * Which attempts this worker holds, and which of their reports nobody has answered yet.
 *
 * An attempt is held from its claim until its report is answered. It belongs to the session that claimed it: a later session neither
 * lists nor renews it, but still delivers its report, for the books.
 */
import { type AttemptBeat, AttemptPhase as WirePhase, type AttemptReport } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Attempt } from "./attempt.ts";
import type { AttemptLevelName, AttemptPhase, StopReason } from "./attempt-words.ts";

type Holding = {
  readonly attempt: Attempt;
  readonly sessionId: string;
  computing: boolean;
  /** Whether the coordinator counts it as reserved: until a beat was answered that said it has begun. */
  isReserved: boolean;
  report: AttemptReport | undefined;
  /** False when the farm was restored: nobody knows the attempt any more. */
  reportable: boolean;
};

const mostReportsAtOnce = 16;

const wirePhases = {
  fetch: WirePhase.ATTEMPT_PHASE_FETCH,
  compute: WirePhase.ATTEMPT_PHASE_COMPUTE,
  finish: WirePhase.ATTEMPT_PHASE_FINISH,
} as const satisfies Record<AttemptPhase, WirePhase>;

/** Attempts that compute or finish at a time, beside one that is to compute: what has computed is bounded, however slow it is stored. */
const mostBeforeReport = 1;

/** The attempts of one worker with one slot. */
export class AttemptBook {
  private readonly holdings = new Map<string, Holding>();
  private readonly onChange: () => void;

  constructor(onChange: () => void) {
    this.onChange = onChange;
  }

  /** Takes an attempt in and follows it to its report. */
  hold(attempt: Attempt, sessionId: string): void {
    const { isReserved } = attempt.claim;
    const holding: Holding = { attempt, sessionId, computing: true, isReserved, report: undefined, reportable: true };
    this.holdings.set(attempt.claim.attemptId, holding);
    this.passSlot();
    void attempt.computed.then(() => {
      holding.computing = false;
      this.passSlot();
      this.onChange();
    });
    void attempt.ended.then((report) => {
      holding.report = report;
      if (!holding.reportable) this.holdings.delete(attempt.claim.attemptId);
      this.passSlot();
      this.onChange();
    });
  }

  has(attemptId: string): boolean {
    return this.holdings.has(attemptId);
  }

  find(attemptId: string): Attempt | undefined {
    return this.holdings.get(attemptId)?.attempt;
  }

  isEmpty(): boolean {
    return this.holdings.size === 0;
  }

  /** Whether no attempt fetches or computes. */
  slotFree(): boolean {
    return !this.some((holding) => holding.computing);
  }

  /** The attempt after whose compute the slot is free, if nothing is reserved for then and nothing else will have it. */
  soonFree(): Attempt | undefined {
    const [running, next] = this.waiting();
    if (next !== undefined || running?.stopReason() !== undefined) return undefined;
    return this.some(({ isReserved, report }) => isReserved && report === undefined) ? undefined : running;
  }

  /** The coordinator has answered this beat. */
  onBeatAnswered(beats: readonly AttemptBeat[]): void {
    const begun = beats.filter(({ phase }) => phase !== wirePhases.fetch).map(({ attemptId }) => this.holdings.get(attemptId));
    const news = begun.filter((holding) => holding?.isReserved === true);
    for (const holding of news) if (holding !== undefined) holding.isReserved = false;
    if (news.length > 0) this.onChange();
  }

  /** Whether the slot is given up for another task's sake: what is reserved must not take it. */
  isMakingWay(): boolean {
    return this.waiting().some((attempt) => attempt.hasBegun() && attempt.stopReason() === "preempt");
  }

  /** What is only reserved goes back. */
  giveBackReserved(reason: StopReason): void {
    for (const attempt of this.waiting()) attempt.giveBack(reason);
  }

  /** Attempts between compute and report. */
  finishing(): number {
    return [...this.holdings.values()].filter(({ computing, report }) => !computing && report === undefined).length;
  }

  idsOf(sessionId: string): string[] {
    return [...this.holdings].filter(([, holding]) => holding.sessionId === sessionId).map(([attemptId]) => attemptId);
  }

  /** What a beat of this session renews: all it holds, but for runs that stand still. */
  beatsOf(sessionId: string): AttemptBeat[] {
    return [...this.holdings.values()].filter((holding) => holding.sessionId === sessionId && holding.attempt.isRenewable()).map(beatOf);
  }

  /** Reports that nobody answered yet, oldest first. */
  waitingReports(): readonly AttemptReport[] {
    const reports = [...this.holdings.values()].map(({ report }) => report).filter((report) => report !== undefined);
    return reports.slice(0, mostReportsAtOnce);
  }

  /** The coordinator has answered these reports: nothing is left to do for them. */
  release(attemptIds: readonly string[]): void {
    for (const attemptId of attemptIds) this.holdings.delete(attemptId);
    this.onChange();
  }

  applyLevel(attemptId: string, level: AttemptLevelName): void {
    this.holdings.get(attemptId)?.attempt.applyLevel(level);
  }

  /** The newest first: what waits for the slot must not begin when the one before it ends. */
  stopAll(reason: StopReason): void {
    for (const { attempt } of [...this.holdings.values()].toReversed()) attempt.stop(reason);
  }

  /** How long the slowest run that can leave with a last checkpoint may take to. */
  leaveMs(): number {
    return Math.max(0, ...[...this.holdings.values()].map(({ attempt }) => attempt.leaveMs()));
  }

  /** The farm was restored: what is held ends, and none of it is told. */
  forgetAll(): void {
    for (const [attemptId, holding] of this.holdings) {
      holding.reportable = false;
      holding.attempt.stop("session_ended");
      if (holding.report !== undefined) this.holdings.delete(attemptId);
    }
    this.onChange();
  }

  /** All attempts with what they do, for live progress. */
  running(): readonly Attempt[] {
    return [...this.holdings.values()].filter(({ report }) => report === undefined).map(({ attempt }) => attempt);
  }

  /** Those that fetch, wait for the slot or compute, in the order of their claims. */
  private waiting(): readonly Attempt[] {
    return [...this.holdings.values()].filter(({ computing }) => computing).map(({ attempt }) => attempt);
  }

  /** The slot is the oldest's that has not computed; the next may lie with the runtime before, if little enough is being finished. */
  private passSlot(): void {
    const open = [...this.holdings.values()].filter(({ report }) => report === undefined);
    open.find(({ computing }) => computing)?.attempt.takeSlot();
    for (const { attempt } of open.slice(0, mostBeforeReport + 1)) attempt.admit();
  }

  private some(matches: (holding: Holding) => boolean): boolean {
    return [...this.holdings.values()].some(matches);
  }
}

function beatOf({ attempt }: Holding): AttemptBeat {
  const { phase, step, steps, deviceMs } = attempt.view();
  return { attemptId: attempt.claim.attemptId, phase: wirePhases[phase], step, steps, deviceMs, announcedArtifacts: [] };
}

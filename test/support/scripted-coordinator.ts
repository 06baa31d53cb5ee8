/**
 * A coordinator of a few lines that keeps its promises (stored answers, fences, levels) in memory, so that tests can play what the
 * network does to its replies.
 */
import {
  type AttemptReport,
  AttemptReportDisposition,
  BeatRequest,
  BeatResponse,
  Level,
  NextRequest,
  NextResponse,
  ReportRequest,
  ReportResponse,
  type RequestHeader,
  TaskClaim,
} from "../../services/gen/proto/vapfarm/v1/dispatch.ts";
import type { DeepPartial } from "../../services/gen/proto/vapfarm/v1/dispatch.ts";

/** What happens to one message: its reply is lost or comes only after the request was sent again, or the request arrives twice. */
export type Fate = "deliver" | "lose" | "late" | "double";

export type Answering = { readonly kind: "next" | "report" | "beat"; readonly header: RequestHeader; readonly times: number };

type SessionRow = { sequence: bigint; bytes: Uint8Array; answer: Uint8Array; readonly attempts: Set<string>; ended: string | undefined };

/** Everything that tests look at is public. */
export class ScriptedCoordinator {
  readonly nexts: NextRequest[] = [];
  readonly beats: BeatRequest[] = [];
  readonly committed: AttemptReport[] = [];
  readonly dropped: AttemptReport[] = [];
  /** How often each request arrived, by session, kind and sequence. */
  readonly arrivals = new Map<string, number>();
  /** A request with a used sequence and other bytes: never allowed. */
  readonly violations: string[] = [];
  readonly levels = new Map<string, Level>();
  readonly sessions = new Map<string, SessionRow>();
  leaseMs = 15_000n;
  farmEpoch = 7n;
  /** Answers an ask ahead; a coordinator of the version before knows none. */
  reserves = true;
  /** Refuses every request with this code. */
  refuseWith: string | undefined;
  fateOf: (answering: Answering) => Fate = () => "deliver";
  private readonly waiting: TaskClaim[] = [];
  private readonly live = new Map<string, string>();
  private readonly watchers = new Set<() => void>();
  private attempts = 0;

  /** Puts a task into the queue; returns the id that its attempt will have. */
  addTask(task: DeepPartial<TaskClaim>): string {
    this.attempts += 1;
    const attemptId = this.attempts.toString(16).padStart(32, "0");
    this.waiting.push(TaskClaim.create({ taskId: BigInt(this.attempts), stage: "text_encode", model: "demo", ...task, attemptId }));
    return attemptId;
  }

  isLive(attemptId: string): boolean {
    return this.live.has(attemptId);
  }

  /** Gives an attempt away: its fence is lost. */
  revoke(attemptId: string): void {
    this.live.delete(attemptId);
  }

  /** As after a reaped lease: the session and its fences are gone. */
  endSessions(code = "SESSION_ENDED"): void {
    for (const session of this.sessions.values()) {
      session.ended ??= code;
      for (const attemptId of session.attempts) this.live.delete(attemptId);
    }
  }

  /** Resolves when the condition holds; it is looked at after each request. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.watchers.delete(look);
        resolve();
      };
      this.watchers.add(look);
      look();
    });
  }

  /** Answers a request over a transport that plays its fate; undefined when the reply is lost. */
  async play(kind: Answering["kind"], bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const { reply, fate, key } = this.answer(kind, bytes);
    if (fate === "lose") return undefined;
    if (fate === "double") this.answer(kind, bytes);
    if (fate === "late") await this.until(() => (this.arrivals.get(key) ?? 0) > 1);
    return reply;
  }

  /** Answers a request. */
  answer(kind: Answering["kind"], bytes: Uint8Array): { readonly reply: Uint8Array; readonly fate: Fate; readonly key: string } {
    const request = kind === "next" ? NextRequest.decode(bytes) : kind === "beat" ? BeatRequest.decode(bytes) : ReportRequest.decode(bytes);
    const header = request.header ?? { protocolVersion: 0, sessionId: "", sequence: 0n, farmEpoch: 0n };
    const key = `${header.sessionId} ${kind} ${header.sequence.toString()}`;
    const times = (this.arrivals.get(key) ?? 0) + 1;
    this.arrivals.set(key, times);
    const reply = this.refusal(kind, header) ?? (kind === "beat" ? this.beat(bytes) : this.stored(kind, bytes, header));
    const fate = this.fateOf({ kind, header, times });
    // After the reply is on its way, so that what a test does next comes later.
    setImmediate(() => [...this.watchers].forEach((look) => look()));
    return { reply, fate, key };
  }

  private refusal(kind: Answering["kind"], { sessionId, farmEpoch }: RequestHeader): Uint8Array | undefined {
    const code =
      this.refuseWith ?? (farmEpoch !== 0n && farmEpoch !== this.farmEpoch ? "EPOCH_MISMATCH" : this.sessions.get(sessionId)?.ended);
    if (code === undefined) return undefined;
    const outcome = { $case: "refusal" as const, value: { code, message: "as the test wants", farmEpoch: this.farmEpoch } };
    if (kind === "next") return NextResponse.encode({ outcome }).finish();
    return kind === "beat" ? BeatResponse.encode({ outcome }).finish() : ReportResponse.encode({ outcome }).finish();
  }

  private stored(kind: "next" | "report", bytes: Uint8Array, { sessionId, sequence }: RequestHeader): Uint8Array {
    const session = this.sessions.get(sessionId);
    if (session?.sequence === sequence) {
      if (!Buffer.from(session.bytes).equals(bytes)) this.violations.push(`other bytes for sequence ${sequence.toString()}`);
      return session.answer;
    }
    if (session !== undefined && sequence < session.sequence) this.violations.push(`sequence ${sequence.toString()} after a newer one`);
    const row = session ?? { sequence, bytes, answer: bytes, attempts: new Set<string>(), ended: undefined };
    this.sessions.set(sessionId, row);
    row.sequence = sequence;
    row.bytes = bytes;
    row.answer = kind === "next" ? this.next(bytes, row) : this.report(bytes);
    return row.answer;
  }

  private next(bytes: Uint8Array, session: SessionRow): Uint8Array {
    const request = NextRequest.decode(bytes);
    this.nexts.push(request);
    const reportOutcomes = this.take(request.reports);
    for (const attemptId of session.attempts) if (!request.heldAttemptIds.includes(attemptId)) this.live.delete(attemptId);
    const isAhead = request.freeSlots === 0 && request.aheadSlots > 0 && this.reserves;
    const waiting = request.freeSlots > 0 || isAhead ? this.waiting.shift() : undefined;
    const claim = waiting === undefined ? undefined : { ...waiting, isReserved: isAhead };
    if (claim !== undefined) {
      this.live.set(claim.attemptId, claim.stage);
      session.attempts.add(claim.attemptId);
    }
    const value = { farmEpoch: this.farmEpoch, leaseMs: this.leaseMs, claim, reportOutcomes, levels: [] };
    return NextResponse.encode({ outcome: { $case: "answer", value } }).finish();
  }

  private report(bytes: Uint8Array): Uint8Array {
    const reportOutcomes = this.take(ReportRequest.decode(bytes).reports);
    return ReportResponse.encode({ outcome: { $case: "answer", value: { farmEpoch: this.farmEpoch, reportOutcomes } } }).finish();
  }

  private take(reports: readonly AttemptReport[]) {
    return reports.map((report) => {
      const { attemptId } = report;
      if (this.live.delete(attemptId)) {
        this.committed.push(report);
        return { attemptId, disposition: AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_COMMITTED };
      }
      const known = this.committed.some((earlier) => earlier.attemptId === attemptId);
      if (!known) this.dropped.push(report);
      const { ATTEMPT_REPORT_DISPOSITION_ALREADY_COMMITTED: already, ATTEMPT_REPORT_DISPOSITION_SUPERSEDED: superseded } =
        AttemptReportDisposition;
      return { attemptId, disposition: known ? already : superseded };
    });
  }

  private beat(bytes: Uint8Array): Uint8Array {
    const request = BeatRequest.decode(bytes);
    this.beats.push(request);
    const levels = request.attempts.map(({ attemptId }) => ({
      attemptId,
      level: this.live.has(attemptId) ? (this.levels.get(attemptId) ?? Level.LEVEL_WANTED) : Level.LEVEL_REVOKED,
    }));
    const value = { farmEpoch: this.farmEpoch, leaseMs: this.leaseMs, levels };
    return BeatResponse.encode({ outcome: { $case: "answer", value } }).finish();
  }
}

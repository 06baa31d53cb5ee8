/**
 * What the model's workers say, and what each of it must be answered.
 *
 * A claim is the store's choice: the model says among which tasks it may choose, and is told which one it took.
 */
import type {
  AttemptReport,
  BeatAsk,
  Disposition,
  NextAsk,
  ReportAsk,
  WorkerDescription,
} from "../../../services/coordinator/store/store-contract.ts";
import { settleJobs } from "./model-jobs.ts";
import { isHeld, isSteered } from "./model-levels.ts";
import { avoidedBy, expectedMs, fail, giveBack, lacksOutput, revoke, succeed } from "./model-tasks.ts";
import {
  beginAttempt,
  isRunning,
  isWanted,
  type Model,
  type ModelAttempt,
  type ModelSession,
  type ModelTask,
  move,
  tick,
  wrong,
} from "./queue-model.ts";

type Refused = { readonly kind: "refused"; readonly code: string };
type Replayed = { readonly kind: "replayed"; readonly session: ModelSession };
export type Admission = Refused | Replayed | { readonly kind: "admitted"; readonly session: ModelSession };

/** A task that was claimed, under the fence that the store gave it. */
export type Taken = { readonly task: ModelTask; readonly attemptId: string };

/** What a claim is charged while nothing is known of its shape. */
export const leastChargeMs = 5;

const refused = (code: string): Refused => ({ kind: "refused", code });

function endedCode(reason: ModelSession["endReason"]): Refused {
  return refused(reason === "superseded" ? "SESSION_SUPERSEDED" : "SESSION_ENDED");
}

function openSession(model: Model, sessionId: string, worker: WorkerDescription): ModelSession | undefined {
  const known = model.workers.get(worker.workerId);
  if (known !== undefined && known.life >= worker.life) return undefined;
  const session: ModelSession = {
    id: sessionId,
    worker: worker.workerId,
    isLive: true,
    endReason: undefined,
    sequence: -1,
    beatSequence: -1,
    lapsedAt: undefined,
    progress: [],
    answered: undefined,
  };
  model.sessions.set(sessionId, session);
  if (known?.session.isLive === true)
    Object.assign(known.session, { isLive: false, endReason: "superseded" } satisfies Partial<ModelSession>);
  return session;
}

/** Whether an ask may go on. */
export function admit(model: Model, ask: NextAsk | ReportAsk): Admission {
  const kind = "worker" in ask ? "next" : "report";
  const session = model.sessions.get(ask.sessionId) ?? ("worker" in ask ? openSession(model, ask.sessionId, ask.worker) : undefined);
  if (session === undefined) return refused(kind === "next" ? "SESSION_SUPERSEDED" : "SESSION_ENDED");
  const isLastWord = session.endReason === "stopped" && ask.sequence === session.sequence;
  if (kind === "next" && !session.isLive && !isLastWord) return endedCode(session.endReason);
  if (ask.sequence < session.sequence) return refused("SEQUENCE_STALE");
  if (session.isLive) session.lapsedAt = undefined;
  if (ask.sequence > session.sequence) return { kind: "admitted", session };
  return session.answered?.kind === kind ? { kind: "replayed", session } : refused("SEQUENCE_STALE");
}

/** The ask without the shapes whose engines are shut on its worker when the call begins. */
export function withoutQuarantined(model: Model, ask: NextAsk): NextAsk {
  const { workerId, shapes } = ask.worker;
  return { ...ask, worker: { ...ask.worker, shapes: shapes.filter((shape) => !model.quarantines.has(`${workerId}/${shape}`)) } };
}

function applyReport(model: Model, { attemptId, outcome, deviceMs }: AttemptReport): Disposition {
  const attempt = model.attempts.get(attemptId);
  if (attempt === undefined) return "superseded";
  if (attempt.disposition !== undefined) return attempt.disposition === "committed" ? "already_committed" : "superseded";
  const disposition = isRunning(attempt) ? "committed" : "superseded";
  attempt.disposition = disposition;
  attempt.usage = { disposition, deviceMs };
  if (disposition === "superseded") return disposition;
  if (outcome.kind === "failure") {
    if (outcome.abandoned) giveBack(model, attempt, true);
    else fail(model, attempt, { code: outcome.code, bad: outcome.badInputs, event: "fail" });
    return disposition;
  }
  const names = outcome.outputs.map(({ name }) => name);
  if (lacksOutput(model, attempt.task, names)) fail(model, attempt, { code: "STAGE_FAILED", bad: [], event: "fail" });
  else succeed(model, attempt, names);
  return disposition;
}

/** Ends an attempt that its worker does not report. */
export function free(model: Model, attempt: ModelAttempt, lostCode: string | undefined): void {
  if (!isRunning(attempt)) return;
  attempt.usage = { disposition: lostCode === undefined ? "returned" : "lost", deviceMs: attempt.deviceMs };
  if (lostCode === undefined) giveBack(model, attempt, false);
  else fail(model, attempt, { code: lostCode, bad: [], event: "lapse" });
}

export const runningOf = (model: Model, sessions: readonly (ModelSession | undefined)[]): ModelAttempt[] =>
  [...model.attempts.values()]
    .filter((attempt) => isRunning(attempt) && sessions.includes(attempt.session))
    .toSorted((left, right) => left.task.id - right.task.id);

function freeUnheld(model: Model, ask: NextAsk, session: ModelSession): void {
  const former = model.workers.get(ask.worker.workerId)?.session;
  for (const attempt of runningOf(model, [session, former])) {
    if (attempt.session !== session) free(model, attempt, "SESSION_SUPERSEDED");
    else if (ask.leaving || !ask.heldAttemptIds.includes(attempt.id)) free(model, attempt, undefined);
    else attempt.naming = "named";
  }
}

/** First half of a next: what is heard, before anything is claimed. */
export function hear(model: Model, ask: NextAsk, session: ModelSession): readonly Disposition[] {
  const dispositions = ask.reports.map((report) => applyReport(model, report));
  freeUnheld(model, ask, session);
  model.workers.set(ask.worker.workerId, { name: ask.worker.workerId, life: ask.worker.life, session, shapes: ask.worker.shapes });
  return dispositions;
}

function hasOther(model: Model, task: ModelTask): boolean {
  return [...model.workers.values()].some(
    ({ name, session, shapes }) =>
      shapes.includes(task.shape) &&
      !task.avoid.includes(name) &&
      session.isLive &&
      session.lapsedAt === undefined &&
      !model.cordons.has(name),
  );
}

/** Whether the worker may take the task if it is ready, be it busy or not. */
export function couldTake(model: Model, workerId: string, task: ModelTask): boolean {
  const worker = model.workers.get(workerId);
  const isOpen = worker?.session.isLive === true && !isSteered(model, workerId) && !model.justShut.has(workerId);
  const isFit = worker?.shapes.includes(task.shape) === true && (!task.avoid.includes(workerId) || !hasOther(model, task));
  return isOpen && isFit && task.place === "ready" && !isHeld(model, task);
}

const isAhead = ({ freeSlots }: NextAsk): boolean => freeSlots === 0;

/** Whether the worker waits for what it was promised before: one at a time. */
const hasReservation = (model: Model, session: ModelSession): boolean =>
  [...model.attempts.values()].some((attempt) => attempt.place === "reserved" && attempt.session === session);

/** The tasks of which a worker that was just heard may be given one. */
export function claimable(model: Model, ask: NextAsk, session: ModelSession): readonly ModelTask[] {
  const { workerId } = ask.worker;
  const asksForNone = ask.leaving || (isAhead(ask) && (ask.aheadSlots === 0 || hasReservation(model, session)));
  if (asksForNone || isSteered(model, workerId) || model.justShut.has(workerId)) return [];
  const able = model.tasks.filter((task) => couldTake(model, workerId, task));
  const kept = able.find(({ slot }) => slot?.attempt.session.worker === workerId);
  if (kept !== undefined) return [kept];
  const offered = able.filter(({ isRipe }) => isRipe || !isAhead(ask));
  return offered.length > 0 || isAhead(ask) ? offered : takeReservation(model, workerId);
}

/** A worker that is free and finds nothing takes what was promised to another for longest; that is ready then, if it lacks no input. */
function takeReservation(model: Model, workerId: string): readonly ModelTask[] {
  const shapes = model.workers.get(workerId)?.shapes ?? [];
  const promised = [...model.attempts.values()].filter(
    ({ place, session, task }) =>
      place === "reserved" &&
      session.worker !== workerId &&
      shapes.includes(task.shape) &&
      !isHeld(model, task) &&
      !avoidedBy(task).includes(workerId) &&
      isWanted(task),
  );
  const [oldest] = promised.toSorted((left, right) => left.startedAt - right.startedAt);
  if (oldest === undefined) return [];
  revoke(model, oldest);
  return oldest.task.place === "ready" ? [oldest.task] : [];
}

/** Second half of a next: what was claimed (undefined: nothing) and what the session is then. What comes of jobs is settled for all of a call. */
export function finishNext(
  model: Model,
  ask: NextAsk,
  { session, taken }: { readonly session: ModelSession; readonly taken: Taken | undefined },
): void {
  if (taken !== undefined) claim(model, taken, { session, isAhead: isAhead(ask) });
  if (ask.leaving) Object.assign(session, { isLive: false, endReason: "stopped" } satisfies Partial<ModelSession>);
  session.sequence = ask.sequence;
}

function claim(
  model: Model,
  { task, attemptId }: Taken,
  { session, isAhead: isReserved }: { readonly session: ModelSession; readonly isAhead: boolean },
): void {
  if (model.attempts.has(attemptId)) wrong(`attempt ${attemptId} was claimed twice`);
  const attempt: ModelAttempt = {
    id: attemptId,
    task,
    number: task.attempts.length + 1,
    session,
    place: isReserved ? "reserved" : "running",
    hasBegun: !isReserved,
    chargedMs: isReserved ? 0 : Math.max(leastChargeMs, expectedMs(model, task.shape)),
    startedAt: tick(model),
    disposition: undefined,
    errorClass: undefined,
    isUnordered: false,
    deviceMs: 0,
    usage: undefined,
    naming: "named",
  };
  task.attempts.push(attempt);
  task.current = attempt;
  model.attempts.set(attemptId, attempt);
  move(task, "claim");
}

export function report(model: Model, ask: ReportAsk, session: ModelSession): readonly Disposition[] {
  const dispositions = ask.reports.map((each) => applyReport(model, each));
  session.sequence = ask.sequence;
  settleJobs(model);
  return dispositions;
}

/** A beat's refusal; undefined: it was heard. */
export function beat(model: Model, ask: BeatAsk): Refused | undefined {
  const session = model.sessions.get(ask.sessionId);
  if (session === undefined) return refused("SESSION_ENDED");
  if (!session.isLive) return endedCode(session.endReason);
  if (session.beatSequence > ask.sequence) return refused("SEQUENCE_STALE");
  session.beatSequence = ask.sequence;
  session.lapsedAt = undefined;
  session.progress = ask.attempts;
  for (const attempt of runningOf(model, [session])) {
    const said = ask.attempts.find(({ attemptId }) => attemptId === attempt.id);
    if (said === undefined) {
      if (attempt.naming === "named") attempt.naming = "unnamed";
    } else hearOf(model, attempt, said);
  }
  return undefined;
}

/** What a beat says of an attempt that it names. */
function hearOf(model: Model, attempt: ModelAttempt, { deviceMs, phase, checkpoint }: BeatAsk["attempts"][number]): void {
  attempt.naming = "named";
  attempt.deviceMs = Math.max(attempt.deviceMs, deviceMs);
  if (attempt.place === "reserved" && phase !== "fetch") {
    beginAttempt(attempt);
    attempt.chargedMs = expectedMs(model, attempt.task.shape);
  }
  const { task } = attempt;
  if (checkpoint !== undefined && checkpoint.step > (task.checkpoint?.step ?? 0)) {
    task.checkpoint = { step: checkpoint.step, attempt, keptAt: tick(model) };
  }
}

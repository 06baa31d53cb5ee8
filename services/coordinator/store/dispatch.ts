/**
 * Dispatch: next, report and beat, each one statement for all asks of a call.
 *
 * Invariants: an outcome for each ask, in order; a session takes part in a call at most once, so that its
 * sequence is always judged against what is committed; one ask that the database refuses fails alone.
 */
import { errorTable, type ErrorClass, isErrorCode, toFarmError } from "../../domain/errors.ts";
import { isSha256 } from "../../domain/ids.ts";
import { type NamedStatement, type Pool, runStatement } from "../../platform/database/pool.ts";
import { beatStatement } from "./sql/beat.ts";
import { keepLogTailsStatement } from "./sql/failures.ts";
import { nextStatement } from "./sql/next.ts";
import { reportStatement } from "./sql/report.ts";
import { idleWorkersStatement } from "./sql/workers.ts";
import { callFunction, noAftermath, retryPolicy, type StoreContext, toPayload } from "./store-context.ts";
import type {
  Aftermath,
  AttemptReport,
  BeatAnswer,
  BeatAsk,
  DispatchStore,
  NextAsk,
  NextOutcome,
  ProducedArtifact,
  Refusal,
  ReportAnswer,
  ReportAsk,
} from "./store-contract.ts";

type Ask = { readonly sessionId: string };
type Reply<Outcome> = {
  readonly outcomes: readonly { readonly position: number; readonly outcome: Outcome }[];
  readonly aftermath?: Aftermath;
};
/** Asks with their positions in the call. */
type Round<A extends Ask> = readonly (readonly [number, A])[];
type Call<A extends Ask> = { readonly pool: Pool; readonly statement: NamedStatement; readonly options: unknown; toWire(ask: A): object };

/** What the SQL functions return where the contract says `undefined`. */
type StoredClaim = { readonly claim?: unknown };

/** What the column holds. */
const mostSteps = 2 ** 31 - 1;

/** The part of the store that workers talk to. */
export function createDispatch(context: StoreContext): DispatchStore {
  const { pool, beatPool, settings } = context;
  const options = { leaseMs: settings.leaseMs, pools: settings.pools, policy: retryPolicy, order: settings.order };
  const next: Call<NextAsk> = { pool, statement: nextStatement, options, toWire: (ask) => nextToWire(ask, context) };
  const report: Call<ReportAsk> = { pool, statement: reportStatement, options, toWire: (ask) => reportAskToWire(ask, context) };
  const beat: Call<BeatAsk> = { pool: beatPool, statement: beatStatement, options, toWire: beatToWire };
  return {
    async next(asks) {
      const outcomes = (await callAll<NextAsk, NextOutcome>(next, asks)).map(withoutNull);
      await keepLogTails(pool, asks);
      return outcomes;
    },
    report: (asks) => callAll<ReportAsk, ReportAnswer>(report, asks),
    beat: (asks) => callAll<BeatAsk, BeatAnswer>(beat, asks),
    async idleWorkers(poolName, shape, limit) {
      const rows = await runStatement<{ readonly id: string }>(pool, idleWorkersStatement, [poolName, shape, limit]);
      return rows.map(({ id }) => id);
    },
  };
}

/** A worker says it once, with its first asks. */
async function keepLogTails(pool: Pool, asks: readonly NextAsk[]): Promise<void> {
  for (const { worker, lostAttempts = [] } of asks) {
    if (lostAttempts.length > 0) await runStatement(pool, keepLogTailsStatement, [worker.workerId, toPayload(lostAttempts)]);
  }
}

function withoutNull<Outcome extends { readonly kind: string } & StoredClaim>(outcome: Outcome): Outcome {
  return outcome.kind === "answered" ? { ...outcome, claim: outcome.claim ?? undefined } : outcome;
}

/** Rounds in which no session appears twice, positions kept. */
function roundsOf<A extends Ask>(asks: readonly A[]): readonly Round<A>[] {
  const rounds: (readonly [number, A])[][] = [];
  const used = new Map<string, number>();
  for (const [position, ask] of asks.entries()) {
    const round = used.get(ask.sessionId) ?? 0;
    used.set(ask.sessionId, round + 1);
    (rounds[round] ??= []).push([position, ask]);
  }
  return rounds;
}

async function callAll<A extends Ask, Outcome>(call: Call<A>, asks: readonly A[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const round of roundsOf(asks)) {
    for (const [position, outcome] of await callSafely<A, Outcome>(call, round)) outcomes[position] = outcome;
  }
  return outcomes;
}

/** A round; when something in it fails for a reason of its own, each ask by itself. */
async function callSafely<A extends Ask, Outcome>(call: Call<A>, round: Round<A>): Promise<readonly (readonly [number, Outcome])[]> {
  try {
    return await callRound<A, Outcome>(call, round);
  } catch (thrown) {
    const { code, message } = toFarmError(thrown);
    if (code === "DATABASE_UNAVAILABLE" || round.length === 1) throw thrown;
    const refused: Refusal = { kind: "refused", code, message, farmEpoch: 0 };
    const alone = round.map((entry) => callRound<A, Outcome>(call, [entry]).catch(() => [[entry[0], refused as Outcome] as const]));
    return (await Promise.all(alone)).flat();
  }
}

async function callRound<A extends Ask, Outcome>(call: Call<A>, round: Round<A>): Promise<readonly (readonly [number, Outcome])[]> {
  const wire = round.map(([position, ask]) => ({ ...call.toWire(ask), position }));
  const values = [toPayload(wire), toPayload(call.options)];
  const reply = await callFunction<Reply<Outcome & { readonly kind: string; readonly replayed?: boolean }>>(
    call.pool,
    call.statement,
    values,
  );
  let aftermath = reply.aftermath;
  return reply.outcomes.map(({ position, outcome }) => {
    if (reply.aftermath === undefined || outcome.kind !== "answered") return [position, outcome];
    const told = outcome.replayed === true ? noAftermath : (aftermath ?? noAftermath);
    if (outcome.replayed !== true) aftermath = undefined;
    return [position, { ...outcome, aftermath: told }];
  });
}

function nextToWire({ reports, ...ask }: NextAsk, context: StoreContext): object {
  return { ...ask, reports: reports.map((report) => reportToWire(report, context)) };
}

function reportAskToWire({ reports, ...ask }: ReportAsk, context: StoreContext): object {
  return { ...ask, reports: reports.map((report) => reportToWire(report, context)) };
}

function beatToWire({ attempts, ...ask }: BeatAsk): object {
  const progress = attempts.map(({ attemptId, phase, step, steps, deviceMs }) => ({
    attemptId,
    phase,
    step,
    steps,
    deviceMs: soundMs(deviceMs),
  }));
  const announced = attempts.flatMap(({ announcedArtifacts }) => announcedArtifacts).filter(isSound);
  return { ...ask, progress, announced, checkpoints: attempts.flatMap(checkpointToWire) };
}

function checkpointToWire({ attemptId, checkpoint }: BeatAsk["attempts"][number]): readonly object[] {
  if (checkpoint === undefined || !isSound(checkpoint)) return [];
  const { step, sha256, sizeBytes } = checkpoint;
  return Number.isInteger(step) && step > 0 && step <= mostSteps ? [{ attemptId, step, sha256, sizeBytes }] : [];
}

/** Times that the books can hold. */
function soundMs(ms: number): number {
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function isSound({ sha256, sizeBytes }: Pick<ProducedArtifact, "sha256" | "sizeBytes">): boolean {
  return isSha256(sha256) && Number.isSafeInteger(sizeBytes) && sizeBytes >= 0;
}

function reportToWire({ outcome, ...report }: AttemptReport, { jitter }: StoreContext): object {
  const times = {
    deviceMs: soundMs(report.deviceMs),
    loadMs: soundMs(report.loadMs),
    computeMs: soundMs(report.computeMs),
    fetchMs: soundMs(report.fetchMs),
    finishMs: soundMs(report.finishMs),
  };
  const fields = { attemptId: report.attemptId, ...times };
  if (outcome.kind === "success") {
    const { outputs, provider, profile, warnings, score } = outcome;
    const names = new Set(outputs.map(({ name }) => name));
    if (outputs.every(isSound) && names.size === outputs.length)
      return { ...fields, success: { outputs, provider, profile, warnings, score } };
    return { ...fields, failure: failureToWire({ code: "STAGE_FAILED", message: "the outputs are not well formed" }, jitter()) };
  }
  const { code, message, abandoned, badInputs, logTail } = outcome;
  return { ...fields, failure: { ...failureToWire({ code, message }, jitter()), abandoned, badInputs, logTail } };
}

function failureToWire({ code, message }: { readonly code: string; readonly message: string }, jitter: number): object {
  const errorClass: ErrorClass = isErrorCode(code) ? errorTable[code].errorClass : "unexplained";
  return { code, message, errorClass, jitter, abandoned: false, badInputs: [] };
}

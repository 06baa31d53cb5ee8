/**
 * A duty: work on a timer that one coordinator at a time does.
 *
 * Invariants: a round runs only while this process holds the duty's row, and its writes carry the row's epoch, so a holder that
 * stalled past its time changes nothing; a failed round is logged and counted and the next one comes as ever. Start and stop are safe
 * when called twice, and stop waits for the round that runs and gives the row back.
 */
import { type ErrorCode, type FarmError, toFarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import { type Component, looping } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import type { DutyStore } from "../store/store-contract.ts";

export type DutySpec = {
  readonly name: string;
  readonly intervalMs: number;
  /** One round; the epoch goes into every write. */
  run(epoch: number, signal: AbortSignal): Promise<void>;
};

type RoundOutcome = "ran" | "not_held" | "failed";

export type Round = {
  readonly duty: string;
  readonly outcome: RoundOutcome;
  /** Why it failed. */
  readonly code?: ErrorCode;
};

export type DutyOptions = {
  readonly store: Pick<DutyStore, "holdDuty" | "releaseDuty">;
  /** Names this process among the coordinators. */
  readonly holder: string;
  readonly holdMs: number;
  readonly logger: Logger;
  /** Told of each round, for counting and for tests to wait on. */
  readonly onRound: (round: Round) => void;
};

type Running = DutyOptions & {
  /** Told of each round's failure, or undefined: logged when it changes, so that an outage is two lines and not thousands. */
  readonly noteFailure: (error: FarmError | undefined) => void;
};

export type Duty = Component & {
  /** Lets the next round begin at once instead of after the interval. */
  nudge(): void;
};

type Hold = { readonly epoch: number; readonly sinceMs: number };

/** What a round leaves. The row may be held although the round failed. */
type RoundEnd = { readonly hold: Hold | undefined; readonly mayHold: boolean };

/** A duty that does not run yet. */
export function createDuty(spec: DutySpec, given: DutyOptions): Duty {
  const options: Running = { ...given, noteFailure: failureLog(spec.name, given.logger) };
  let nudged = new AbortController();
  const loop = async (signal: AbortSignal): Promise<void> => {
    let last: RoundEnd = { hold: undefined, mayHold: false };
    while (!signal.aborted) {
      nudged = new AbortController();
      last = await round(spec, options, { hold: last.hold, signal });
      await pause(spec.intervalMs, AbortSignal.any([signal, nudged.signal]));
    }
    if (last.mayHold) await release(spec, options);
  };
  return { ...looping(loop), nudge: () => nudged.abort() };
}

type RoundState = { readonly hold: Hold | undefined; readonly signal: AbortSignal };

/** One round; the hold to go on with is undefined when it must be taken anew. */
async function round(spec: DutySpec, options: Running, state: RoundState): Promise<RoundEnd> {
  try {
    const hold = await keepHold(spec, options, state.hold);
    if (hold === undefined) {
      options.onRound({ duty: spec.name, outcome: "not_held" });
      return { hold: undefined, mayHold: false };
    }
    await spec.run(hold.epoch, state.signal);
    options.noteFailure(undefined);
    options.onRound({ duty: spec.name, outcome: "ran" });
    return { hold, mayHold: true };
  } catch (thrown) {
    const error = toFarmError(thrown);
    if (!state.signal.aborted) options.noteFailure(error);
    options.onRound({ duty: spec.name, outcome: "failed", code: error.code });
    // Where the database is away a stop does not wait for it once more.
    return { hold: undefined, mayHold: error.code !== "DATABASE_UNAVAILABLE" };
  }
}

function failureLog(duty: string, logger: Logger): Running["noteFailure"] {
  let code: ErrorCode | undefined;
  return (error) => {
    if (error !== undefined && error.code !== code) logger.warn({ duty, code: error.code, err: error }, "rounds of a duty fail");
    if (error === undefined && code !== undefined) logger.info({ duty }, "a duty runs again");
    code = error?.code;
  };
}

/** Renews after a third of the time, so that most rounds cost one statement less. */
async function keepHold(spec: DutySpec, { store, holder, holdMs }: DutyOptions, hold: Hold | undefined): Promise<Hold | undefined> {
  const sinceMs = performance.now();
  if (hold !== undefined && sinceMs - hold.sinceMs < holdMs / 3) return hold;
  const taken = await store.holdDuty(spec.name, holder, holdMs);
  return taken === undefined ? undefined : { epoch: taken.epoch, sinceMs };
}

async function release(spec: DutySpec, { store, holder, logger }: DutyOptions): Promise<void> {
  await store.releaseDuty(spec.name, holder).catch((thrown: unknown) => {
    logger.debug({ duty: spec.name, err: thrown }, "could not give a duty back; its time runs out by itself");
  });
}

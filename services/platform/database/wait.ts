/**
 * Waiting for a database that is about to be there: pods of one release start in no order.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import { pause } from "../deadline.ts";

export type DatabaseWait = {
  /** How long what fails is tried again; 0: not at all. */
  readonly ms: number;
  /** Whether time can mend it. */
  readonly isPassing: (error: FarmError) => boolean;
  /** Told of the first failure, and of each that differs from the one before. */
  readonly onWait: (error: FarmError) => void;
  /** Ends the wait early, with the failure of the moment. */
  readonly signal: AbortSignal;
};

const betweenTriesMs = 1_000;

/** The outcome of the first try that succeeds; its failure when time is up or cannot mend it. */
export async function waitForDatabase<T>(attempt: () => Promise<T>, wait: DatabaseWait): Promise<T> {
  const until = performance.now() + wait.ms;
  let told = "";
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = toFarmError(thrown);
      if (!wait.isPassing(error) || wait.signal.aborted || performance.now() >= until) throw error;
      if (error.message !== told) wait.onWait(error);
      told = error.message;
    }
    await pause(betweenTriesMs, wait.signal);
  }
}

/**
 * Set scores: stores what the sets of runs that ended come to, so that SQL sees it though nobody asked for the run, and takes away those of runs
 * that are open again.
 *
 * Its writes carry no epoch: they follow from which end the run has had, and hold whoever makes them; GetRun stores the same.
 */
import { setScoresOf } from "../rpc/set-scores.ts";
import type { RunStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type SetScoresOptions = {
  readonly store: Pick<RunStore, "dropStaleSetScores" | "unscoredRuns" | "clipScores" | "storeSetScores">;
  readonly intervalMs: number;
};

/** Of a round; the next one goes on. */
const mostRuns = 20;

/** The rounds of set scores. */
export function createSetScores({ store, intervalMs }: SetScoresOptions): DutySpec {
  return {
    name: "set-scores",
    intervalMs,
    async run(_epoch, signal) {
      await store.dropStaleSetScores();
      for (const run of await store.unscoredRuns(mostRuns)) {
        if (signal.aborted) return;
        await store.storeSetScores(run, setScoresOf(run, await store.clipScores(run.runId)));
      }
    },
  };
}

/**
 * The reaper: ends sessions whose lease ran out, so that their tasks run again (design §4.4).
 *
 * The store reads who lapsed, decides by domain/reaping whether the beat path is proven and how much may be reaped at once, and ends in one
 * transaction what is then still lapsed; this duty tells of it.
 */
import type { Logger } from "../../platform/logging.ts";
import type { Aftermath, DutyStore, ReapOutcome } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type ReaperOptions = {
  readonly store: Pick<DutyStore, "reap">;
  readonly intervalMs: number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onReap: (outcome: ReapOutcome) => void;
};

/** The reaper's rounds. */
export function createReaper({ store, intervalMs, logger, onCommitted, onReap }: ReaperOptions): DutySpec {
  let heldBack: string | undefined;
  return {
    name: "reaper",
    intervalMs,
    async run(epoch) {
      const outcome = await store.reap(epoch);
      onReap(outcome);
      const { kind, sessions, attempts, refused, reason, massLapse } = outcome;
      if (refused > 0) logger.error({ refused }, "sessions could not be ended: a state change was refused as illegal");
      if (massLapse)
        logger.error({ sessions, attempts, reason }, "much of a pool lapsed at once: look at the network, NATS and the workers");
      if (kind === "reaped")
        logger.warn({ sessions, attempts }, "leases ran out, or attempts were not named any more: their tasks run again");
      if (kind === "held_back" && reason !== heldBack) logger.info({ reason }, "reaping is held back");
      heldBack = kind === "held_back" ? reason : undefined;
      onCommitted(outcome.aftermath);
    },
  };
}

/**
 * Collection: artifacts that nothing refers to are condemned, and after the waiting time deleted under their row's lock (design §4.12).
 *
 * Bytes go before the row: a crash in between leaves a row without bytes, which the next round takes up again.
 */
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { Logger } from "../../platform/logging.ts";
import type { DutyStore } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type CollectionOptions = {
  readonly store: Pick<DutyStore, "condemnArtifacts" | "collectArtifact">;
  readonly artifacts: Pick<ArtifactStore, "delete">;
  readonly intervalMs: number;
  readonly logger: Logger;
};

/** The collection's rounds. */
export function createCollection({ store, artifacts, intervalMs, logger }: CollectionOptions): DutySpec {
  return {
    name: "collection",
    intervalMs,
    async run(epoch, signal) {
      let collected = 0;
      for (const sha256 of await store.condemnArtifacts(epoch)) {
        if (signal.aborted) return;
        const outcome = await store.collectArtifact(sha256, () => artifacts.delete(sha256));
        if (outcome === "collected") collected += 1;
      }
      if (collected > 0) logger.info({ collected }, "collected artifacts");
    },
  };
}

/**
 * Disruptions: what the cluster does to pods and nodes is told to the workers there, and kept as the cause of what they lose (domain/disruption).
 *
 * A round takes all pods as they are, so that a word which was missed is made good by the next one. It is nudged by what the informers see.
 */
import { type Disruption, disruptionOf, type NodeSight } from "../../domain/disruption.ts";
import type { Logger } from "../../platform/logging.ts";
import type { DutySpec } from "../duties/duty.ts";
import type { Aftermath, ScalingStore, SeenPod } from "../store/store-contract.ts";
import type { ClusterNode, ClusterPod } from "./cluster.ts";
import type { Informer } from "./informer.ts";

export type DisruptionOptions = {
  readonly store: Pick<ScalingStore, "disrupt">;
  readonly pools: readonly string[];
  readonly pods: Pick<Informer<ClusterPod>, "items" | "silentMs">;
  /** Undefined: nodes may not be looked at. */
  readonly nodes: Pick<Informer<ClusterNode>, "items" | "silentMs"> | undefined;
  readonly intervalMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onDisrupted: (cause: Disruption["cause"]) => void;
};

/** A pod may be known before its new node is. */
const newNodeMs = 120_000;
/** What was seen longer ago says nothing of what is there now; bookmarks come each minute. */
const mostSilentMs = 150_000;

/** The rounds; nothing is told before the pods are known, nor by how they were long ago. */
export function createDisruptions(options: DisruptionOptions): DutySpec {
  const { store, pools, intervalMs, logger, onCommitted, onDisrupted } = options;
  return {
    name: "disruptions",
    intervalMs,
    async run(epoch) {
      const pods = options.pods.items();
      if (pods === undefined || options.pods.silentMs() > mostSilentMs) return;
      const own = [...pods.values()].filter(({ pool }) => pools.includes(pool));
      const round = await store.disrupt(
        epoch,
        pools,
        own.map((pod) => seenFrom(pod, options)),
      );
      if (round === undefined) return;
      for (const { worker, cause, message } of round.told) {
        onDisrupted(cause);
        logger.warn({ worker, cause }, `the cluster takes a worker, or its work: ${message}`);
      }
      if (round.excused > 0) logger.info({ attempts: round.excused }, "lost attempts are not charged: the cluster says why they were lost");
      onCommitted({ ready: [], touchedJobIds: [], pushes: round.pushes });
    },
  };
}

function seenFrom(pod: ClusterPod, { nodes, now }: DisruptionOptions): SeenPod {
  const { name, pool, createdAtMs, endsAtMs } = pod;
  const nowMs = now();
  const endsInMs = endsAtMs === undefined ? undefined : Math.max(0, endsAtMs - nowMs);
  const found = disruptionOf({ ...pod, endsInMs }, nodeOf(pod, nodes, nowMs));
  return {
    pool,
    name,
    createdAtMs,
    cause: found?.cause,
    message: found?.message ?? "",
    isExcuse: found?.isExcuse ?? false,
    leaveMs: found?.leaveInMs,
  };
}

/** A node is gone where the pod ran long before the nodes were seen last, and it was none of them. */
function nodeOf({ node, createdAtMs, startedAtMs }: ClusterPod, nodes: DisruptionOptions["nodes"], nowMs: number): NodeSight {
  const items = nodes?.items();
  const silentMs = nodes?.silentMs() ?? Infinity;
  if (items === undefined || node === undefined || silentMs > mostSilentMs) return "unknown";
  const ranForMs = nowMs - silentMs - (startedAtMs ?? createdAtMs);
  return items.get(node) ?? (ranForMs > newNodeMs ? "gone" : "unknown");
}

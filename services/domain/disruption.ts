/**
 * What is taken from a worker by the cluster, and is not its own doing: evictions, preemptions, deleted pods, lost and reclaimed nodes.
 *
 * Pure. Such a cause is known from outside of the worker (design §4.7), so what it loses costs no retry. What a container did itself, out of
 * memory above all, is none; and where the kubelet evicts for want of memory or disk, which may be the worker's own hunger, so often and no more
 * (`isPressure`).
 */

/** What the cluster says of a worker's pod. */
export type PodSight = {
  readonly isDeleting: boolean;
  /** Until when it may run, where it is being deleted. */
  readonly endsInMs: number | undefined;
  /** Of the condition DisruptionTarget, where it is true. */
  readonly disruption: { readonly reason: string; readonly message: string } | undefined;
  readonly phase: string;
  /** Of a pod that failed, e.g. `Evicted`. */
  readonly statusReason: string;
  /** How a container ended that does not run again, e.g. `OOMKilled`; undefined: none has. */
  readonly ended: { readonly reason: string; readonly exitCode: number } | undefined;
};

/** What it says of the pod's node. `gone`: there is no such node any more. */
export type NodeSight =
  | "unknown"
  | "gone"
  | {
      readonly isReady: boolean;
      /** Keys. */
      readonly taints: readonly string[];
    };

export type DisruptionCause =
  "evicted" | "preempted" | "tainted" | "shutdown" | "pressure" | "deleted" | "reclaimed" | "node_lost" | "node_gone" | "own_fault";

export type Disruption = {
  readonly cause: DisruptionCause;
  readonly message: string;
  /** What it loses costs no retry. */
  readonly isExcuse: boolean;
  /** When what runs is asked to leave; undefined: it goes on, while it can. */
  readonly leaveInMs: number | undefined;
};

/** What nodes carry that are about to be taken away: spot and maintenance notices of the clouds and of those that watch for them. */
const reclaimingTaints: ReadonlySet<string> = new Set([
  "aws-node-termination-handler/spot-itn",
  "aws-node-termination-handler/scheduled-maintenance",
  "aws-node-termination-handler/asg-lifecycle-termination",
  "aws-node-termination-handler/rebalance-recommendation",
  "cloud.google.com/impending-node-termination",
  "kubernetes.azure.com/scalesetpriority-evicting",
  "remediator.kubernetes.azure.com/unschedulable",
  "karpenter.sh/disrupted",
  "karpenter.sh/disruption",
  "ToBeDeletedByClusterAutoscaler",
  "node.kubernetes.io/out-of-service",
  "node.cloudprovider.kubernetes.io/shutdown",
]);

/** Before its time is up a denoise writes a last checkpoint, and tells of it. */
const leaveBeforeMs = 20_000;

const reasons: Readonly<Record<string, DisruptionCause>> = {
  EvictionByEvictionAPI: "evicted",
  PreemptionByScheduler: "preempted",
  DeletionByTaintManager: "tainted",
  DeletionByPodGC: "node_gone",
  TerminationByKubelet: "shutdown",
};

/** What is being done to the worker; undefined: nothing that is known. */
export function disruptionOf(pod: PodSight, node: NodeSight): Disruption | undefined {
  if (pod.disruption !== undefined) return announced(pod, pod.disruption);
  if (isOwnEnd(pod)) {
    const message = `its container ended: ${pod.ended?.reason ?? "failed"}, exit code ${pod.ended?.exitCode ?? "unknown"}`;
    return { cause: "own_fault", message, isExcuse: false, leaveInMs: undefined };
  }
  if (pod.isDeleting) return excuse("deleted", "its pod is being deleted", leaveBefore(pod));
  return ofNode(node);
}

/** Of a pod that is there no more, although nobody saw it end. */
export const vanished: Disruption = { cause: "deleted", message: "its pod was deleted", isExcuse: true, leaveInMs: undefined };

function announced(pod: PodSight, { reason, message }: { readonly reason: string; readonly message: string }): Disruption {
  const cause = pod.statusReason === "Evicted" && reason === "TerminationByKubelet" ? "pressure" : (reasons[reason] ?? "evicted");
  return excuse(cause, `${reason}${message === "" ? "" : `: ${message}`}`, leaveBefore(pod));
}

/** A container that ended by itself, before anybody took the pod away. One that ended well was told to. */
function isOwnEnd({ ended, isDeleting, phase }: PodSight): boolean {
  if (ended === undefined) return false;
  if (ended.reason === "OOMKilled") return true;
  return ended.exitCode !== 0 && !isDeleting && phase !== "Succeeded";
}

function ofNode(node: NodeSight): Disruption | undefined {
  if (node === "unknown") return undefined;
  if (node === "gone") return excuse("node_gone", "its node is gone", undefined);
  const taint = node.taints.find((key) => reclaimingTaints.has(key));
  if (taint !== undefined) return excuse("reclaimed", `its node is being taken away (${taint})`, 0);
  return node.isReady ? undefined : excuse("node_lost", "its node is not ready", undefined);
}

function excuse(cause: DisruptionCause, message: string, leaveInMs: number | undefined): Disruption {
  return { cause, message, isExcuse: true, leaveInMs };
}

function leaveBefore({ endsInMs }: PodSight): number {
  return endsInMs === undefined ? 0 : Math.max(0, endsInMs - leaveBeforeMs);
}

/**
 * What the coordinator asks of a Kubernetes cluster; declared by its users, the duties of this folder.
 *
 * Every call has a deadline of its own and is tried again where that is safe. What then does not succeed is KUBERNETES_UNAVAILABLE (no answer, or
 * one that says later) or KUBERNETES_REFUSED (this request will not succeed as it is).
 */
import type { NodeSight, PodSight } from "../../domain/disruption.ts";
import type { ScaledKind } from "../../domain/scale-victims.ts";

/** An object of the farm's namespace that has a number of replicas. */
export type ScaleTarget = { readonly kind: ScaledKind; readonly name: string };

export type Scale = {
  readonly replicas: number;
  /** Of the object when it was read: a write that names it fails when the object has changed. */
  readonly resourceVersion: string;
};

export type ClusterPod = Omit<PodSight, "endsInMs"> & {
  readonly name: string;
  /** Of the label `vapfarm.io/pool`. */
  readonly pool: string;
  readonly node: string | undefined;
  readonly createdAtMs: number;
  /** When its first container ran first; undefined: not yet, or it has been restarted. */
  readonly startedAtMs: number | undefined;
  /** Until when it may run, where it is being deleted. */
  readonly endsAtMs: number | undefined;
  readonly deletionCost: number | undefined;
};

export type ClusterNode = Exclude<NodeSight, string> & { readonly name: string };

export type Listed<T> = { readonly items: readonly T[]; readonly resourceVersion: string };

export type WatchEvent<T> =
  | { readonly kind: "set"; readonly item: T; readonly resourceVersion: string }
  | { readonly kind: "gone"; readonly name: string; readonly resourceVersion: string }
  /** Nothing changed up to here. */
  | { readonly kind: "bookmark"; readonly resourceVersion: string };

/** `expired`: the version is too old to go on from; list anew. `closed`: go on from the last version. */
export type WatchEnd = "closed" | "expired";

/** One kind of objects, listed and watched. */
export type Source<T> = {
  list(signal: AbortSignal): Promise<Listed<T>>;
  /** Calls `onEvent` until the watch ends, orderly or because nothing was heard for too long; throws what kept it from being opened or read. */
  watch(resourceVersion: string, onEvent: (event: WatchEvent<T>) => void, signal: AbortSignal): Promise<WatchEnd>;
};

export type Cluster = {
  readScale(target: ScaleTarget, signal: AbortSignal): Promise<Scale>;
  /** `conflict`: the object has changed since it was read, and nothing was written. */
  writeScale(target: ScaleTarget, scale: Scale, signal: AbortSignal): Promise<"written" | "conflict">;
  /** Undefined takes it away. `gone`: there is no such pod any more. */
  setDeletionCost(pod: string, cost: number | undefined, signal: AbortSignal): Promise<"written" | "gone">;
  /** Workers of the farm, whatever their pool. */
  readonly pods: Source<ClusterPod>;
  readonly nodes: Source<ClusterNode>;
};

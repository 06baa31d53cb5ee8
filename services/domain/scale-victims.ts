/**
 * Which workers go when a pool shrinks, and in which steps, so that nothing that runs is lost.
 *
 * Pure. A victim is cordoned first, so that it gets nothing new; what it runs it finishes. Only when it was seen idle under its cordon may the
 * cluster take it. A Deployment takes the pods with the lowest deletion cost, of those that are ready; a StatefulSet always the last one, so
 * there the last ones are the victims, whatever they run. Which pod the cluster takes in the end is economy: one that runs something drains.
 */

export type ScaledKind = "Deployment" | "StatefulSet";

/** The worker of a pod, until its session has ended. */
export type PodWorker = {
  readonly workerId: string;
  /** Nobody has heard it for as long as its lease: it may be gone, or at work behind a network that is away. */
  readonly isSilent: boolean;
  /** Who set it aside: the farm because it shrinks or loses it, or a person; `drained`: a person who wants it to go. */
  readonly cordon: "none" | "scaling" | "disruption" | "operator" | "drained";
  /** Attempts that it holds. */
  readonly running: number;
  /** Device time that is lost if it goes now: since the last checkpoints. */
  readonly lossMs: number;
  /** Device time that they have left. */
  readonly leftMs: number;
};

export type ScalePod = {
  readonly name: string;
  readonly createdAtMs: number;
  /** As the pod says now. */
  readonly deletionCost: number | undefined;
  /** Undefined: none that lives, it starts or is broken. */
  readonly worker: PodWorker | undefined;
  /** It runs for so short a time that its worker, where none is known, may be about to take work. */
  readonly isYoung: boolean;
};

export type ScalePlan = {
  /** What the cluster is asked for now; on the way to what is desired. */
  readonly replicas: number;
  readonly cordon: readonly string[];
  readonly uncordon: readonly string[];
  /** Only those that change; undefined: as before. */
  readonly costs: readonly { readonly pod: string; readonly cost: number | undefined }[];
};

export type ScaleStep = {
  readonly kind: ScaledKind;
  readonly asked: number;
  readonly desired: number;
  /** Those that are not being deleted. */
  readonly pods: readonly ScalePod[];
};

/** Below what a pod has that says nothing, 0. */
export const victimCost = -100;

/** The next step from what is asked for to what is desired. */
export function planScale(step: ScaleStep): ScalePlan {
  const { kind, asked, desired, pods } = step;
  const ordered = kind === "StatefulSet" ? byOrdinal(pods) : byLoss(pods);
  const victims = ordered.slice(0, Math.max(0, Math.min(asked, pods.length) - desired));
  const removable = removableOf(victims, kind);
  const replicas = Math.min(asked, Math.max(desired, Math.min(asked, pods.length) - removable.length));
  return {
    replicas: desired >= asked ? desired : replicas,
    cordon: victims.flatMap(({ worker }) => (worker?.cordon === "none" ? [worker.workerId] : [])),
    uncordon: pods.flatMap((pod) => (pod.worker?.cordon === "scaling" && !victims.includes(pod) ? [pod.worker.workerId] : [])),
    costs: kind === "StatefulSet" ? [] : changedCosts(pods, removable),
  };
}

/** Victims that can go now: surely nothing lives there, or nothing runs and nothing new can come; one that is silent may run something. Of a StatefulSet those behind a busy one only. */
function removableOf(victims: readonly ScalePod[], kind: ScaledKind): readonly ScalePod[] {
  const canGo = ({ worker, isYoung }: ScalePod): boolean =>
    worker === undefined ? !isYoung : !worker.isSilent && worker.running === 0 && worker.cordon !== "none";
  // The cluster takes those that are not ready before it looks at costs: while one may be about to take work, only others that serve nobody go.
  const isStarting = victims.some(({ worker, isYoung }) => worker === undefined && isYoung);
  if (kind === "Deployment") return victims.filter((pod) => canGo(pod) && !(isStarting && pod.worker !== undefined));
  const first = victims.findIndex((pod) => !canGo(pod));
  return first < 0 ? victims : victims.slice(0, first);
}

function changedCosts(pods: readonly ScalePod[], removable: readonly ScalePod[]): ScalePlan["costs"] {
  return pods.flatMap((pod) => {
    const isVictim = removable.includes(pod);
    if (isVictim === (pod.deletionCost === victimCost)) return [];
    return [{ pod: pod.name, cost: isVictim ? victimCost : undefined }];
  });
}

/** Those that serve nobody, then idle ones, then by what is lost; those that a person looks at last. Chosen ones stay chosen among equals. */
function byLoss(pods: readonly ScalePod[]): readonly ScalePod[] {
  return pods.toSorted((left, right) => {
    const [a, b] = [keyOf(left), keyOf(right)];
    const at = a.findIndex((value, index) => value !== b[index]);
    if (at >= 0) return (a[at] ?? 0) - (b[at] ?? 0);
    return left.name < right.name ? -1 : 1;
  });
}

function keyOf({ worker, createdAtMs }: ScalePod): readonly number[] {
  // The cluster takes those that are not ready first, the youngest of them before the others.
  if (worker === undefined) return [0, -createdAtMs];
  const isLeaving = worker.cordon === "drained" || worker.cordon === "disruption";
  if (worker.cordon === "operator") return [3, worker.lossMs, worker.leftMs, -createdAtMs];
  if (worker.running === 0 && !worker.isSilent) return [1, isLeaving ? 0 : worker.cordon === "scaling" ? 1 : 2, -createdAtMs];
  return [2, isLeaving ? 0 : 1, worker.lossMs, worker.leftMs, worker.cordon === "scaling" ? 0 : 1, -createdAtMs];
}

function byOrdinal(pods: readonly ScalePod[]): readonly ScalePod[] {
  const ordinal = ({ name }: ScalePod): number => Number(/-(\d+)$/.exec(name)?.[1] ?? -1);
  return pods.toSorted((left, right) => ordinal(right) - ordinal(left));
}

/**
 * What scaling asks of the store: the work and the workers of pools, what was decided, and what the cluster does to workers.
 */
import type { DisruptionCause } from "../../domain/disruption.ts";
import type { PoolWork, ScaleMemory } from "../../domain/scaling.ts";
import type { PodWorker } from "../../domain/scale-victims.ts";
import type { Aftermath, LevelPush } from "./aftermath-contract.ts";

/** A worker whose session has not ended, by the name that its pod has too. */
export type NamedWorker = PodWorker & { readonly name: string };

export type ScalingFacts = {
  readonly pool: string;
  readonly work: PoolWork;
  readonly workers: readonly NamedWorker[];
  /** How long workers took from their start until they could work; those that were new last. */
  readonly startupsMs: readonly number[];
  /** Of the last decision; undefined: there was none. */
  readonly memory: ScaleMemory | undefined;
  /** Beats of workers arrive; otherwise their silence says nothing. */
  readonly isHeard: boolean;
  readonly nowMs: number;
};

/** A decision, with what it was made from; `asked` is what the cluster is known to be asked for. */
export type ScaleRecord = {
  readonly pool: string;
  readonly desired: number;
  readonly asked: number;
  readonly serving: number;
  readonly starting: number;
  readonly backlogMs: number;
  readonly loadMs: number;
  readonly reason: string;
};

export type ScaleChange = ScaleRecord & {
  readonly memory: ScaleMemory;
  /** Workers that get nothing new, and those that get work again: only what scaling itself set aside. */
  readonly cordon: readonly string[];
  readonly uncordon: readonly string[];
};

/** A pod of a pool, and what is done to it. */
export type SeenPod = {
  readonly pool: string;
  readonly name: string;
  /** A session that was there before is none of its. */
  readonly createdAtMs: number;
  /** Undefined: nothing. */
  readonly cause: DisruptionCause | undefined;
  readonly message: string;
  readonly isExcuse: boolean;
  readonly leaveMs: number | undefined;
};

export type DisruptionRound = {
  /** What was not known before. */
  readonly told: readonly { readonly worker: string; readonly cause: DisruptionCause; readonly message: string }[];
  /** Lost attempts that were charged before the cause was known, and are not any more. */
  readonly excused: number;
  readonly pushes: readonly LevelPush[];
};

/** Both writes do nothing under an epoch that is over: that of the duty `scaling` or `disruptions`. */
export type ScalingStore = {
  /** One snapshot, of bounded cost: more ready tasks than `mostTasks` of a pool are not counted. */
  scalingFacts(
    pools: readonly string[],
    limits: { readonly mostTasks: number; readonly unknownTaskMs: number },
  ): Promise<readonly ScalingFacts[]>;
  /** Undefined when the duty is lost: then nothing may be asked of the cluster. */
  applyScale(dutyEpoch: number, change: ScaleChange): Promise<Aftermath | undefined>;
  /** `pods`: all there are of the pools. A pod that is not among them any more has taken its worker along. */
  disrupt(dutyEpoch: number, pools: readonly string[], pods: readonly SeenPod[]): Promise<DisruptionRound | undefined>;
  /** What was decided last, of pools that are still decided about. */
  scaleRecords(): Promise<readonly ScaleRecord[]>;
};

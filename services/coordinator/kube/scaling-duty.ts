/**
 * Scaling: each pool's work and workers → how many there should be → the cluster is asked for them, step by step (domain/scaling,
 * domain/scale-victims).
 *
 * Invariants: nothing is asked of the cluster unless the decision was kept under the duty's epoch after the object was read, and the write names
 * the version that was read: a holder that slept loses to whoever came after it. A worker is taken only when it was seen idle under its cordon;
 * nobody is while beats do not arrive, for then nobody can be seen. One pool's failure keeps no other from its round.
 */
import { FarmError } from "../../domain/errors.ts";
import { decideScale, type PoolFleet, type ScaleDecision } from "../../domain/scaling.ts";
import { planScale, type ScalePlan, type ScalePod } from "../../domain/scale-victims.ts";
import { runEach } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import type { DutySpec } from "../duties/duty.ts";
import type { Aftermath, ScaleChange, ScalingFacts, ScalingStore } from "../store/store-contract.ts";
import type { Cluster, ClusterPod, Scale, ScaleTarget } from "./cluster.ts";
import type { Informer } from "./informer.ts";
import { loadTimeOf } from "./load-time.ts";
import type { ScaledPool } from "./settings.ts";

export type ScalingOptions = {
  readonly store: Pick<ScalingStore, "scalingFacts" | "applyScale">;
  readonly pools: readonly ScaledPool[];
  /** Undefined: numbers are only told. */
  readonly cluster: Pick<Cluster, "readScale" | "writeScale" | "setDeletionCost"> | undefined;
  readonly pods: Pick<Informer<ClusterPod>, "items" | "silentMs"> | undefined;
  readonly unknownTaskMs: number;
  readonly intervalMs: number;
  /** How long a round may ask the cluster; well under the duty's hold. */
  readonly budgetMs: number;
  readonly now: () => number;
  readonly logger: Logger;
  readonly onCommitted: (aftermath: Aftermath) => void;
  readonly onScaled: (change: { readonly pool: string; readonly direction: "up" | "down" }) => void;
};

/** Ready tasks of a pool that are counted, no more: beyond them it gets as many workers as it may have. */
const mostTasks = 50_000;
/** Nobody is taken by what the cluster was like longer ago; bookmarks come each minute. */
const mostSilentMs = 150_000;
/** A pod that has run for less, or for less than this many load times, may be about to have a worker. */
const youngMs = 60_000;
const youngLoads = 2;
/** An object that others write all the time is left to the next round. */
const mostConflicts = 3;

type Round = { readonly epoch: number; readonly signal: AbortSignal };
/** What the cluster is asked for, where it is. */
type Asked = { readonly target: ScaleTarget; readonly scale: Scale; readonly pods: readonly ClusterPod[] };

/** The rounds of scaling. */
export function createScaling(options: ScalingOptions): DutySpec {
  const told = new Map<string, string>();
  return {
    name: "scaling",
    intervalMs: options.intervalMs,
    async run(epoch, stopped) {
      const names = options.pools.map(({ name }) => name);
      const facts = await options.store.scalingFacts(names, { mostTasks, unknownTaskMs: options.unknownTaskMs });
      const signal = AbortSignal.any([stopped, AbortSignal.timeout(options.budgetMs)]);
      await runEach(
        options.pools.map((pool) => async () => {
          const found = facts.find((each) => each.pool === pool.name);
          if (found === undefined || stopped.aborted) return;
          const decision = await scalePool(options, { pool, facts: found, round: { epoch, signal } });
          if (decision !== undefined) tell(options, { told, pool: pool.name, decision });
        }),
      );
    },
  };
}

type PoolRound = { readonly pool: ScaledPool; readonly facts: ScalingFacts; readonly round: Round };

async function scalePool(options: ScalingOptions, { pool, facts, round }: PoolRound): Promise<ScaleDecision | undefined> {
  const asked = await askedOf(options, pool, round.signal);
  const fleet = fleetOf(facts, asked, options.now());
  const decision = decideScale(pool.rule, {
    work: facts.work,
    fleet,
    nowMs: facts.nowMs,
    roundMs: options.intervalMs,
    memory: facts.memory,
  });
  const plan = planOf(facts, asked, { ...decision, nowMs: options.now() });
  const change: ScaleChange = {
    pool: pool.name,
    desired: decision.desired,
    asked: fleet.asked,
    serving: fleet.serving,
    starting: fleet.startingAgesMs.length,
    backlogMs: decision.backlogMs,
    loadMs: decision.loadMs,
    reason: decision.reason,
    memory: decision.memory,
    cordon: plan.cordon,
    uncordon: plan.uncordon,
  };
  const applied = await options.store.applyScale(round.epoch, change);
  if (applied === undefined) return undefined;
  options.onCommitted(applied);
  if (asked === undefined) return decision;
  const isWritten = await ask(options, { pool: pool.name, asked, plan, decision, signal: round.signal });
  // What was only wanted is told to nobody as what is asked for.
  if (isWritten) await options.store.applyScale(round.epoch, { ...change, asked: plan.replicas, cordon: [], uncordon: [] });
  return decision;
}

/** Undefined: the pool's number is only told. */
async function askedOf({ cluster, pods }: ScalingOptions, { name, target }: ScaledPool, signal: AbortSignal): Promise<Asked | undefined> {
  if (target === undefined || cluster === undefined) return undefined;
  const items = pods?.items();
  if (items === undefined || (pods?.silentMs() ?? Infinity) > mostSilentMs)
    throw new FarmError("KUBERNETES_UNAVAILABLE", { message: `it is not known which pods pool ${name} has` });
  const scale = await cluster.readScale(target, signal);
  const own = [...items.values()].filter((pod) => pod.pool === name && !pod.isDeleting && !isOver(pod));
  return { target, scale, pods: own };
}

const isOver = ({ phase }: ClusterPod): boolean => phase === "Failed" || phase === "Succeeded";

/** Where the cluster is not asked, the workers that live are those that were asked for. */
function fleetOf({ workers, startupsMs }: ScalingFacts, asked: Asked | undefined, nowMs: number): PoolFleet {
  const serving = workers.filter(({ cordon }) => cordon === "none" || cordon === "scaling").length;
  const live = new Set(workers.map(({ name }) => name));
  const starting = (asked?.pods ?? []).filter(({ name }) => !live.has(name));
  return {
    asked: asked?.scale.replicas ?? workers.length,
    serving,
    setAside: workers.length - serving,
    startingAgesMs: starting.map(({ createdAtMs }) => Math.max(0, nowMs - createdAtMs)),
    loadMs: loadTimeOf(asked?.pods ?? [], startupsMs),
  };
}

type Planning = { readonly desired: number; readonly loadMs: number; readonly nowMs: number };

/** While beats do not arrive a pool may grow, and nothing else. */
function planOf({ workers, isHeard }: ScalingFacts, asked: Asked | undefined, { desired, loadMs, nowMs }: Planning): ScalePlan {
  if (asked === undefined) return { replicas: desired, cordon: [], uncordon: [], costs: [] };
  if (!isHeard) return { replicas: Math.max(asked.scale.replicas, desired), cordon: [], uncordon: [], costs: [] };
  const pods = asked.pods.map(({ name, createdAtMs, startedAtMs, deletionCost, phase }): ScalePod => {
    const isYoung = phase === "Running" && nowMs - (startedAtMs ?? createdAtMs) < Math.max(youngMs, youngLoads * loadMs);
    return { name, createdAtMs, deletionCost, worker: workers.find((worker) => worker.name === name), isYoung };
  });
  return planScale({ kind: asked.target.kind, asked: asked.scale.replicas, desired, pods });
}

type Asking = {
  readonly pool: string;
  readonly asked: Asked;
  readonly plan: ScalePlan;
  readonly decision: ScaleDecision;
  readonly signal: AbortSignal;
};

/** Who goes is said before fewer are asked for. Whether the cluster is asked for another number now. */
async function ask(options: ScalingOptions, { pool, asked, plan, decision, signal }: Asking): Promise<boolean> {
  const { cluster, logger } = options;
  if (cluster === undefined) return false;
  for (const { pod, cost } of plan.costs) await cluster.setDeletionCost(pod, cost, signal);
  if (plan.replicas === asked.scale.replicas) return false;
  const facts = { pool, from: asked.scale.replicas, to: plan.replicas, desired: decision.desired };
  const isWritten = await write(cluster, { ...asked, replicas: plan.replicas, signal });
  if (isWritten) {
    options.onScaled({ pool, direction: plan.replicas > asked.scale.replicas ? "up" : "down" });
    logger.info(facts, `a pool is scaled: ${decision.reason}`);
  } else {
    logger.warn(facts, "a pool was scaled by somebody else meanwhile; the next round looks again");
  }
  return isWritten;
}

type Writing = { readonly target: ScaleTarget; readonly scale: Scale; readonly replicas: number; readonly signal: AbortSignal };

/** After a conflict it goes on where nobody else changed the number; a number that is there already was this one's own, or will do. */
async function write(cluster: NonNullable<ScalingOptions["cluster"]>, { target, scale, replicas, signal }: Writing): Promise<boolean> {
  let read = scale;
  for (let tries = 0; tries < mostConflicts; tries += 1) {
    if ((await cluster.writeScale(target, { ...read, replicas }, signal)) === "written") return true;
    read = await cluster.readScale(target, signal);
    if (read.replicas === replicas) return true;
    if (read.replicas !== scale.replicas) return false;
  }
  return false;
}

type Telling = { readonly told: Map<string, string>; readonly pool: string; readonly decision: ScaleDecision };

/** A number that changes is a line, whoever is asked for it. */
function tell({ logger }: ScalingOptions, { told, pool, decision: { desired, reason } }: Telling): void {
  const now = String(desired);
  if (told.get(pool) !== now) logger.info({ pool, desired }, `a pool should have ${now} workers: ${reason}`);
  told.set(pool, now);
}

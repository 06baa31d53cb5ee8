/**
 * The health of workers: read, judged by domain/worker-health, applied.
 *
 * Invariant: a verdict holds only for the state that it was made from; one that was changed meanwhile is judged again in the next round.
 */
import { decideHealth, evidenceRules, type HealthFacts, type HealthVerdict, type JudgedWorker } from "../../domain/worker-health.ts";
import { runStatement } from "../../platform/database/pool.ts";
import { changeOf, type Steered } from "./controls.ts";
import { clearWorkerStatement, healthCountsStatement, healthFactsStatement, judgeWorkersStatement } from "./sql/health.ts";
import { callFunction, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath, HealthCount, HealthStore, JudgedChange, JudgeOutcome } from "./store-contract.ts";

type KnownWorker = JudgedWorker & { readonly name: string; readonly verdict: number };
type Facts = Omit<HealthFacts, "workers"> & { readonly workers: readonly KnownWorker[] };
type Applied = { readonly changed: readonly string[]; readonly aftermaths: readonly Aftermath[] };

/** The part of the store that judges workers. */
export function createHealth(context: StoreContext): HealthStore {
  const { pool } = context;
  return {
    judgeWorkers: (dutyEpoch) => judge(context, dutyEpoch),
    clearWorker: async (workerId, by) =>
      changeOf(context, workerId, await callFunction<Steered | null>(pool, clearWorkerStatement, [workerId, by])),
    healthCounts: () => runStatement<HealthCount>(pool, healthCountsStatement, []),
  };
}

async function judge({ pool }: StoreContext, dutyEpoch: number): Promise<JudgeOutcome> {
  const facts = await callFunction<Facts>(pool, healthFactsStatement, [toPayload(evidenceRules)]);
  const { verdicts, heldBack } = decideHealth(facts);
  const known = new Map(facts.workers.map((worker) => [worker.workerId, worker]));
  const made = verdicts.map((verdict) => ({ ...verdict, verdict: known.get(verdict.workerId)?.verdict ?? 0 }));
  const applied = await callFunction<Applied | null>(pool, judgeWorkersStatement, [dutyEpoch, toPayload(made)]);
  const nameOf = (workerId: string): string => known.get(workerId)?.name ?? workerId;
  return {
    changes: verdicts.filter(({ workerId }) => applied?.changed.includes(workerId) === true).map((verdict) => changeFrom(verdict, known)),
    heldBack: heldBack.map(nameOf),
    aftermaths: applied?.aftermaths ?? [],
  };
}

function changeFrom({ workerId, state, reason, forMs }: HealthVerdict, known: ReadonlyMap<string, KnownWorker>): JudgedChange {
  const worker = known.get(workerId);
  return { workerId, name: worker?.name ?? workerId, pool: worker?.pool ?? "", state, reason, forMs };
}

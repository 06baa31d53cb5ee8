/**
 * Preemption and deadlines: a snapshot, a pure decision, and one statement that applies what then still holds.
 */
import { type DeadlineFacts, deadlineMessage, judgeDeadline } from "../../domain/deadline.ts";
import { choosePreemptions, type Preemptable, type PreemptionPolicy } from "../../domain/preemption.ts";
import { deadlinesStatement, preemptableStatement, preemptStatement, tellDeadlinesStatement } from "./sql/preemption.ts";
import { callFunction, noAftermath, type StoreContext, toPayload } from "./store-context.ts";
import type { DeadlineRound, PreemptionRound, PreemptionStore } from "./store-contract.ts";

/** Jobs that a round judges: those whose deadline is nearest. */
const mostJobs = 100;

const nothingDone: PreemptionRound = { opened: [], closed: [], stops: [], aftermath: noAftermath };

/** The part of the store that preempting goes through. */
export function createPreemption(context: StoreContext): PreemptionStore {
  return {
    preempt: (dutyEpoch, policy) => preempt(context, dutyEpoch, policy),
    tellDeadlines: (dutyEpoch) => tellDeadlines(context, dutyEpoch),
  };
}

async function preempt({ pool }: StoreContext, dutyEpoch: number, policy: PreemptionPolicy): Promise<PreemptionRound> {
  const rules = toPayload(policy);
  const snapshot = await callFunction<Preemptable>(pool, preemptableStatement, [rules]);
  const values = [dutyEpoch, toPayload(choosePreemptions(snapshot, policy)), rules];
  return (await callFunction<PreemptionRound | null>(pool, preemptStatement, values)) ?? nothingDone;
}

type JobDeadline = DeadlineFacts & { readonly jobId: string; readonly deadline: string };

async function tellDeadlines({ pool }: StoreContext, dutyEpoch: number): Promise<DeadlineRound> {
  const jobs = await callFunction<readonly JobDeadline[]>(pool, deadlinesStatement, [mostJobs]);
  const told = jobs.flatMap(({ jobId, deadline, ...facts }) => {
    const what = judgeDeadline(facts);
    return what === undefined ? [] : [{ jobId, deadline, told: what, message: deadlineMessage(what, facts) }];
  });
  const nothingTold: DeadlineRound = { told: [], aftermath: noAftermath };
  if (told.length === 0) return nothingTold;
  return (await callFunction<DeadlineRound | null>(pool, tellDeadlinesStatement, [dutyEpoch, toPayload(told)])) ?? nothingTold;
}

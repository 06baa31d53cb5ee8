/**
 * Runs that make way for others, on a store.
 */
import { defaultPreemption, type PreemptionPolicy } from "../../services/domain/preemption.ts";
import type { ClaimView, PreemptionRound, SubmitJob } from "../../services/coordinator/store/store-contract.ts";
import { createWorker, submit, task, type Worker, type WorkerOptions, type World } from "./store-world.ts";

/** Nobody waits, and a second is enough of a run. */
export const eagerPolicy: PreemptionPolicy = { ...defaultPreemption, graceMs: 0, minRunMs: 1_000, leastLeftMs: 0 };
export const benchmark: Partial<SubmitJob> = { jobClass: "benchmark" };

type Row = { readonly outcome: string | null; readonly closed: boolean; readonly reason: string; readonly made_way: boolean };
type Choice = { readonly attemptId: string; readonly taskId: number; readonly workerId: string; readonly beneficiaryId: number; readonly reason: string; readonly losesAll: boolean }; // prettier-ignore

/** What is done to the world of a file's tests; `epoch`: of the duty, held before each. */
export function preemptionIn(world: () => World, epoch: () => number) {
  const round = (rules: Partial<PreemptionPolicy> = {}): Promise<PreemptionRound> =>
    world().store.preempt(epoch(), { ...eagerPolicy, ...rules });
  /** A job of one task whose name is its own. */
  const enqueue = (name: string, overrides: Partial<SubmitJob> = {}, shape = "denoise/e1"): Promise<string> =>
    submit(world().store, [task(name, { domain: name, shape })], overrides);
  /** Lets the worker's run be in the middle of a long compute, with a checkpoint that was just told. */
  const computes = async (worker: Worker, claim: ClaimView, step = 10): Promise<void> => {
    await worker.checkpoint(claim, step);
    await worker.beat(claim, step, { deviceMs: 600_000 });
  };
  const rows = (): Promise<readonly Row[]> =>
    world().sql<Row>(
      "select outcome, closed_at is not null as closed, reason, made_way_at is not null as made_way from preemption order by id",
    );
  return {
    round,
    enqueue,
    computes,
    rows,
    runs: async (name: string, overrides: Partial<SubmitJob> = benchmark, options: WorkerOptions = {}) => {
      const jobId = await enqueue(name, overrides);
      const worker = createWorker(world().store, options);
      const claim = await worker.claim();
      await computes(worker, claim);
      return { jobId, worker, claim };
    },
    /** How the last one ended, after a round. */
    outcome: async (): Promise<string | null | undefined> => {
      await round();
      return (await rows()).at(-1)?.outcome;
    },
    /** The choice that the run makes way for the only ready task. */
    chosen: async ({ attemptId, taskId }: ClaimView): Promise<Choice> => {
      const [waits] = await world().sql<{ task_id: string }>("select task_id from ready");
      return { attemptId, taskId, workerId: "w1", beneficiaryId: Number(waits?.task_id), reason: "priority", losesAll: false };
    },
    /** Commits a choice that was made before; what it opened. */
    apply: async (choice: Choice): Promise<readonly string[]> => {
      const values = [epoch(), JSON.stringify([choice]), JSON.stringify(eagerPolicy)];
      const [answer] = await world().sql<{ opened: readonly string[] }>("select vf_preempt($1, $2, $3) -> 'opened' as opened", values);
      return answer?.opened ?? [];
    },
  };
}

/**
 * What operators steer: holds, cordons and drains.
 *
 * Invariants: a hold or a cordon that is answered is in force for every claim after it; what runs goes on, but for drained workers.
 */
import { runStatement } from "../../platform/database/pool.ts";
import { explainFacts } from "./explain.ts";
import { cordonStatement, listHoldsStatement, placeHoldStatement, releaseHoldStatement, uncordonStatement } from "./sql/controls.ts";
import { callFunction, type StoreContext } from "./store-context.ts";
import type { Aftermath, ControlStore, HoldScope, HoldView, LevelPush, Note, WorkerChange } from "./store-contract.ts";
import { findWorker } from "./workers.ts";

type HoldRow = {
  readonly scope: HoldScope;
  readonly name: string;
  readonly reason: string;
  readonly placed_by: string;
  readonly placed_at: Date;
  readonly origin: HoldView["origin"];
};

/** What steering a worker leaves behind. */
export type Steered = { readonly pushes: readonly LevelPush[]; readonly aftermath: Aftermath };

/** The part of the store that operators steer with. */
export function createControls(context: StoreContext): ControlStore {
  const { pool } = context;
  return {
    async placeHold({ scope, name }, { by, reason }) {
      const [row] = await runStatement<HoldRow>(pool, placeHoldStatement, [scope, name, by, reason]);
      return holdFromRow(row as HoldRow);
    },
    async releaseHold({ scope, name }) {
      return (await callFunction<Aftermath | null>(pool, releaseHoldStatement, [scope, name])) ?? undefined;
    },
    listHolds: async () => (await runStatement<HoldRow>(pool, listHoldsStatement, [])).map(holdFromRow),
    getWorker: (scope, idOrName) => findWorker(pool, scope, idOrName),
    cordonWorker: (workerId, note) => cordon(context, { workerId, note, isDrained: false, graceMs: undefined }),
    uncordonWorker: async (workerId) =>
      changeOf(context, workerId, await callFunction<Steered | null>(pool, uncordonStatement, [workerId])),
    drainWorker: (workerId, note, graceMs) => cordon(context, { workerId, note, isDrained: true, graceMs }),
    explainFacts: (scope, jobId, position) => explainFacts(context, { scope, jobId, position }),
  };
}

function holdFromRow({ scope, name, reason, placed_by: placedBy, placed_at: placedAt, origin }: HoldRow): HoldView {
  return { scope, name, reason, placedBy, placedAt, origin };
}

type CordonAsk = { readonly workerId: string; readonly note: Note; readonly isDrained: boolean; readonly graceMs: number | undefined };

async function cordon(context: StoreContext, { workerId, note, isDrained, graceMs }: CordonAsk): Promise<WorkerChange | undefined> {
  const values = [workerId, note.by, note.reason, isDrained, graceMs ?? null];
  return await changeOf(context, workerId, await callFunction<Steered | null>(context.pool, cordonStatement, values));
}

/** Undefined when there was no such worker, or its last row was pruned since. */
export async function changeOf({ pool }: StoreContext, workerId: string, steered: Steered | null): Promise<WorkerChange | undefined> {
  if (steered === null) return undefined;
  const worker = await findWorker(pool, undefined, workerId);
  return worker === undefined ? undefined : { worker, ...steered };
}

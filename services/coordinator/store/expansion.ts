/**
 * Renders that wait, and their expansion: tasks stored in one statement for each batch, by the same payload as a submit's.
 */
import { filledBy } from "../../domain/expansion.ts";
import { runStatement } from "../../platform/database/pool.ts";
import type { Expansion, ExpansionFailure, ExpansionStore, WaitingRender } from "./expansion-contract.ts";
import { callLongFunction } from "./long-call.ts";
import {
  expandAgainStatement,
  expandStatement,
  expansionFactsStatement,
  failWaitingStatement,
  waitingRendersStatement,
  windowCountsStatement,
} from "./sql/expand.ts";
import { bothOf, callFunction, noAftermath, type StoreContext, toPayload } from "./store-context.ts";
import type { Aftermath } from "./store-contract.ts";
import { missingUploads, sharedTasks } from "./submit-payload.ts";

/** Lines of one tenant that a decision sees. */
const mostLines = 200;

type Expanded =
  { readonly kind: "expanded"; readonly aftermath: Aftermath } | { readonly kind: "invalid"; readonly missing: readonly string[] };

type WaitingRow = Omit<WaitingRender, "modelDigest"> & { readonly modelDigest: string | null };

/** The part of the store that the duty `expand` goes through. */
export function createExpansion(context: StoreContext): ExpansionStore {
  const { pool, settings } = context;
  return {
    expansionFacts() {
      const values = [filledBy(settings.limits.openRenders), mostLines];
      return callFunction<Awaited<ReturnType<ExpansionStore["expansionFacts"]>>>(pool, expansionFactsStatement, values);
    },
    async waitingRenders(lines) {
      const rows = await callFunction<readonly WaitingRow[]>(pool, waitingRendersStatement, [toPayload(lines)]);
      return rows.map((row) => ({ ...row, modelDigest: row.modelDigest ?? undefined }));
    },
    expandRenders: (dutyEpoch, expansion) => expandRenders(context, dutyEpoch, expansion),
    expandAgain: (dutyEpoch, tenant, renders) => expandAgain(context, { dutyEpoch, tenant, renders }),
    failWaiting: (dutyEpoch, failures) => failWaiting(context, dutyEpoch, failures),
    windowCounts: () => runStatement(pool, windowCountsStatement, []),
  };
}

async function expandRenders(context: StoreContext, dutyEpoch: number, expansion: Expansion): Promise<Aftermath> {
  const expanded = await callLongFunction<Expanded | null>(context.pool, expandStatement, [dutyEpoch, toPayload(batchOf(expansion))]);
  if (expanded?.kind !== "invalid") return expanded?.aftermath ?? noAftermath;
  const { gone, left } = withoutUploads(
    expansion.renders.map(({ render }) => render),
    expanded.missing,
  );
  const failed = await failWaiting(context, dutyEpoch, gone);
  const renders = expansion.renders.filter(({ render }) => left.has(render));
  return gone.length === 0 || renders.length === 0
    ? failed
    : bothOf(failed, await expandRenders(context, dutyEpoch, { ...expansion, renders }));
}

type Again = { readonly dutyEpoch: number; readonly tenant: string; readonly renders: readonly WaitingRender[] };

async function expandAgain(context: StoreContext, { dutyEpoch, tenant, renders }: Again): Promise<Aftermath> {
  const values = [dutyEpoch, tenant, renders.map(({ renderId }) => renderId)];
  const expanded = await callLongFunction<Expanded | null>(context.pool, expandAgainStatement, values);
  if (expanded?.kind !== "invalid") return expanded?.aftermath ?? noAftermath;
  const { gone, left } = withoutUploads(renders, expanded.missing);
  const failed = await failWaiting(context, dutyEpoch, gone);
  if (gone.length === 0 || left.size === 0) return failed;
  return bothOf(failed, await expandAgain(context, { dutyEpoch, tenant, renders: [...left] }));
}

async function failWaiting({ pool }: StoreContext, dutyEpoch: number, failures: readonly ExpansionFailure[]): Promise<Aftermath> {
  if (failures.length === 0) return noAftermath;
  const told = failures.map(({ render, code, message }) => ({ id: render.renderId, code, message }));
  return (await callLongFunction<Aftermath | null>(pool, failWaitingStatement, [dutyEpoch, toPayload(told)])) ?? noAftermath;
}

/** As the statement takes it: tasks once each, renders by their id. */
function batchOf({ tenant, pool, renders }: Expansion): object {
  const { tasks, uploads, usesOf } = sharedTasks(renders);
  return { tenant, pool, tasks, uploads, renders: renders.map((each) => ({ id: each.render.renderId, uses: usesOf(each) })) };
}

/** Renders that name a missing upload, with what is said of them, and the others. */
function withoutUploads(
  renders: readonly WaitingRender[],
  missing: readonly string[],
): { readonly gone: readonly ExpansionFailure[]; readonly left: ReadonlySet<WaitingRender> } {
  const gone = renders.flatMap((render): readonly ExpansionFailure[] => {
    const [first] = missingUploads([render], missing);
    return first === undefined ? [] : [{ render, code: "MEDIA_UNKNOWN", message: `${first.violation.field}: ${first.violation.reason}` }];
  });
  const named = new Set(gone.map(({ render }) => render));
  return { gone, left: new Set(renders.filter((render) => !named.has(render))) };
}

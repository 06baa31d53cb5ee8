/**
 * What attempts cost, added up by what was asked for.
 */
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import { sumUsageStatement } from "./sql/usage.ts";
import type { UsageAnswer, UsageAsk, UsageKey, UsageSum } from "./store-contract.ts";

type SumRow = {
  /** Null: the total. */
  readonly keys: Readonly<Record<UsageKey, string | null>> | null;
  readonly attempts: number;
  readonly device_ms: number;
  readonly load_ms: number;
  readonly compute_ms: number;
  readonly fetch_ms: number;
  readonly finish_ms: number;
  readonly wasted_ms: number;
  readonly cost_nanos: string;
  readonly currency: string;
};

const nothing: UsageSum = {
  keys: [],
  attempts: 0,
  deviceMs: 0,
  loadMs: 0,
  computeMs: 0,
  fetchMs: 0,
  finishMs: 0,
  wastedDeviceMs: 0,
  costNanos: 0n,
};

/** Sums of the most expensive first, and the total of all, also of those that the limit leaves out. */
export async function sumUsage(pool: Pool, ask: UsageAsk): Promise<UsageAnswer> {
  const { scope, from, until, groupBy, jobId, limit } = ask;
  const values = [scope ?? null, from, until, [...groupBy], jobId ?? null, limit];
  const sums = await runStatement<SumRow>(pool, sumUsageStatement, values);
  const total = sums.find(({ keys }) => keys === null);
  const rows = sums.filter(({ keys }) => keys !== null).map((row) => sumFromRow(row, groupBy));
  return { rows, total: total === undefined ? nothing : sumFromRow(total, []), currency: total?.currency ?? "" };
}

function sumFromRow(row: SumRow, groupBy: readonly UsageKey[]): UsageSum {
  return {
    keys: groupBy.map((key) => row.keys?.[key] ?? ""),
    attempts: row.attempts,
    deviceMs: row.device_ms,
    loadMs: row.load_ms,
    computeMs: row.compute_ms,
    fetchMs: row.fetch_ms,
    finishMs: row.finish_ms,
    wastedDeviceMs: row.wasted_ms,
    costNanos: BigInt(row.cost_nanos),
  };
}

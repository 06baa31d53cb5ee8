/**
 * Workers as people see them: what they are, whether they get work, what they run.
 */
import { type Pool, runStatement } from "../../platform/database/pool.ts";
import { findWorkerStatement, listWorkersStatement } from "./sql/workers.ts";
import type { RunningView, TenantScope, WorkerHealthView, WorkerView } from "./store-contract.ts";

type ProgressRow = { readonly attemptId: string; readonly phase: string; readonly step: number; readonly steps: number };

type WorkerRow = Pick<WorkerView, "name" | "host" | "pool" | "provider" | "profile" | "device" | "models" | "shapes"> & {
  readonly id: string;
  readonly software_version: string;
  readonly memory_bytes: number;
  readonly last_heard_at: Date | null;
  readonly is_live: boolean;
  readonly end_reason: string | null;
  readonly is_drained: boolean;
  readonly cordon_reason: string | null;
  readonly cordon_placed_by: string | null;
  readonly cordon_placed_at: Date | null;
  readonly drain_at: Date | null;
  readonly health_state: WorkerHealthView["state"] | null;
  readonly health_reason: string | null;
  readonly health_since: Date | null;
  readonly health_ends_at: Date | null;
  readonly health_spells: number;
  readonly quarantines: readonly (Omit<WorkerHealthView["quarantines"][number], "endsAt"> & { readonly endsAt: string })[];
  readonly progress: readonly ProgressRow[];
  readonly running: readonly (Omit<RunningView, "phase" | "step" | "steps"> & { readonly attemptId: string })[];
};

/** Every worker that the farm knows. */
export async function listWorkers(pool: Pool, scope: TenantScope): Promise<readonly WorkerView[]> {
  return (await runStatement<WorkerRow>(pool, listWorkersStatement, [scope ?? null])).map(workerFromRow);
}

/** By id, or by a name that only one worker has. */
export async function findWorker(pool: Pool, scope: TenantScope, idOrName: string): Promise<WorkerView | undefined> {
  const [row] = await runStatement<WorkerRow>(pool, findWorkerStatement, [scope ?? null, idOrName]);
  return row === undefined ? undefined : workerFromRow(row);
}

function stateOf({ is_live: isLive, end_reason: endReason, is_drained: isDrained, running }: WorkerRow): WorkerView["state"] {
  if (!isLive) return endReason === "stopped" ? "stopped" : "lost";
  if (running.length === 0) return "idle";
  return isDrained ? "draining" : "busy";
}

function cordonOf(row: WorkerRow): WorkerView["cordon"] {
  if (row.cordon_placed_at === null) return undefined;
  return {
    reason: row.cordon_reason ?? "",
    placedBy: row.cordon_placed_by ?? "",
    placedAt: row.cordon_placed_at,
    drainAt: row.drain_at ?? undefined,
  };
}

function healthOf(row: WorkerRow): WorkerView["health"] {
  const state = row.health_state ?? "healthy";
  if (state === "healthy" && row.quarantines.length === 0) return undefined;
  return {
    state,
    reason: row.health_reason ?? "",
    since: row.health_since ?? undefined,
    endsAt: row.health_ends_at ?? undefined,
    spells: row.health_spells,
    quarantines: row.quarantines.map((quarantine) => ({ ...quarantine, endsAt: new Date(quarantine.endsAt) })),
  };
}

const withoutDashes = (fence: string): string => fence.replaceAll("-", "");

/** Until its first beat an attempt fetches. */
const unheardOf = { phase: "fetch", step: 0, steps: 0 } as const;

function runningOf({ progress, running }: WorkerRow): readonly RunningView[] {
  const beaten = new Map(progress.map((attempt) => [withoutDashes(attempt.attemptId), attempt]));
  return running.map(({ attemptId, ...view }) => {
    const { phase, step, steps } = beaten.get(withoutDashes(attemptId)) ?? unheardOf;
    return { ...view, phase, step, steps };
  });
}

function workerFromRow(row: WorkerRow): WorkerView {
  const { name, host, pool, provider, profile, device, models, shapes } = row;
  return {
    workerId: row.id,
    name,
    host,
    pool,
    provider,
    profile,
    device,
    state: stateOf(row),
    lastBeatAt: row.last_heard_at ?? undefined,
    models,
    shapes,
    softwareVersion: row.software_version,
    memoryBytes: row.memory_bytes,
    cordon: cordonOf(row),
    health: healthOf(row),
    running: runningOf(row),
  };
}

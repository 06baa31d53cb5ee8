/**
 * What the store says of workers → farm.proto.
 */
import { Cordon, RunningTask, Worker } from "../../gen/proto/vapfarm/v1/farm.ts";
import { Quarantine, WorkerHealth } from "../../gen/proto/vapfarm/v1/operator.ts";
import type * as store from "../store/store-contract.ts";
import { healthStates, workerStates } from "./wire-names.ts";

/** Whether a worker is there: neither lost nor stopped. */
export function isLive({ state }: Pick<store.WorkerView, "state">): boolean {
  return state !== "lost" && state !== "stopped";
}

/** A worker as its last beat left it, with what it runs. */
export function workerToProto(worker: store.WorkerView): Worker {
  return Worker.create({
    workerId: worker.workerId,
    name: worker.name,
    host: worker.host,
    pool: worker.pool,
    provider: worker.provider,
    profile: worker.profile,
    device: worker.device,
    state: workerStates[worker.state],
    lastBeatTime: worker.lastBeatAt,
    models: [...worker.models],
    running: worker.running.map(runningToProto),
    cordon: worker.cordon === undefined ? undefined : cordonToProto(worker.cordon),
    health: worker.health === undefined ? undefined : healthToProto(worker.health),
    softwareVersion: worker.softwareVersion,
    memoryBytes: BigInt(worker.memoryBytes),
  });
}

function cordonToProto({ reason, placedBy, placedAt, drainAt }: store.CordonView): Cordon {
  return Cordon.create({ reason, placedBy, placeTime: placedAt, drainTime: drainAt });
}

function healthToProto({ state, reason, since, endsAt, spells, quarantines }: store.WorkerHealthView): WorkerHealth {
  return WorkerHealth.create({
    state: healthStates[state],
    reason,
    sinceTime: since,
    endTime: endsAt,
    spells,
    quarantines: quarantines.map(({ endsAt: endTime, ...rest }) => Quarantine.create({ ...rest, endTime })),
  });
}

/** The time left is that of the steps done so far: nothing is known before the first step has ended. */
function runningToProto(task: store.RunningView): RunningTask {
  const { step, steps, elapsedMs } = task;
  const isEstimable = task.phase === "compute" && step > 0 && steps >= step;
  return RunningTask.create({
    taskId: BigInt(task.taskId),
    stage: task.stage,
    jobId: task.jobId,
    renderPosition: task.renderPosition,
    phase: task.phase,
    progress: { step, steps },
    elapsedMs,
    remainingMs: isEstimable ? (elapsedMs / step) * (steps - step) : undefined,
  });
}

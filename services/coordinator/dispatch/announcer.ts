/**
 * What others should hear of after a commit: watchers that jobs have news, idle workers that there is work, workers that an
 * attempt's level changed.
 *
 * Everything here may be lost: the watchers' poll, the workers' slow poll and their next beat make it good. At most k workers are
 * woken for k ready tasks. A worker may go idle just while the idle ones are looked up, so a short time later the rest is looked up again.
 */
import { WorkerSignal } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Broker } from "../../platform/nats/broker.ts";
import type { Subjects } from "../../platform/nats/subjects.ts";
import type { WatchHub } from "../events/watch-hub.ts";
import type { Aftermath, DispatchStore, LevelPush, ReadyCount } from "../store/store-contract.ts";
import { levelToProto } from "./claim-mapping.ts";

export type AnnouncerOptions = {
  readonly store: Pick<DispatchStore, "idleWorkers">;
  readonly broker: Pick<Broker, "publish">;
  readonly subjects: Pick<Subjects, "worker">;
  readonly hub: Pick<WatchHub, "touch">;
  readonly logger: Logger;
  readonly secondLookMs: number;
  /** Jobs got events: the relay has something to copy. */
  readonly onEvents: () => void;
  /** Renders were stored that wait for the window of their pool. */
  readonly onWaiting: () => void;
  /** Told of what each commit changed, for counting. */
  readonly onAftermath: (aftermath: Aftermath) => void;
};

export type Announcer = {
  readonly announce: (aftermaths: readonly Aftermath[]) => void;
};

/** An announcer; it keeps nothing but wakes that are on their way. */
export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const wake = createWaker(options);
  return {
    announce(aftermaths) {
      for (const aftermath of aftermaths) options.onAftermath(aftermath);
      const jobIds = new Set(aftermaths.flatMap(({ touchedJobIds }) => touchedJobIds));
      options.hub.touch(jobIds);
      if (jobIds.size > 0) options.onEvents();
      if (aftermaths.some(({ hasWaiting }) => hasWaiting === true)) options.onWaiting();
      for (const ready of mergeReady(aftermaths)) wake(ready);
      for (const { pushes = [] } of aftermaths) pushLevels(options, pushes);
    },
  };
}

function pushLevels(options: AnnouncerOptions, pushes: readonly LevelPush[]): void {
  for (const { workerId, attemptId, level } of pushes) {
    send(options, workerId, { kind: { $case: "level", value: { attemptId, level: levelToProto(level) } } });
  }
}

/** Ready tasks of several commits, added up by pool and shape. */
function mergeReady(aftermaths: readonly Aftermath[]): readonly ReadyCount[] {
  const merged = new Map<string, ReadyCount>();
  for (const ready of aftermaths.flatMap((aftermath) => aftermath.ready)) {
    const key = keyOf(ready);
    merged.set(key, { ...ready, count: ready.count + (merged.get(key)?.count ?? 0) });
  }
  return [...merged.values()];
}

function keyOf({ pool, shape }: ReadyCount): string {
  return `${pool}\n${shape}`;
}

function send({ broker, subjects }: AnnouncerOptions, workerId: string, signal: WorkerSignal): void {
  broker.publish(subjects.worker(workerId), WorkerSignal.encode(signal).finish());
}

/** Looks up idle workers, one look-up per pool and shape at a time; what becomes ready meanwhile is added up. */
function createWaker(options: AnnouncerOptions): (ready: ReadyCount) => void {
  const open = new Map<string, number>();
  const later = createSecondLook(options);
  const lookUp = async (ready: ReadyCount): Promise<void> => {
    const woken = await wakeIdle(options, ready);
    if (woken < ready.count) later({ ...ready, count: ready.count - woken });
  };
  return (ready) => {
    const key = keyOf(ready);
    const waiting = open.get(key);
    open.set(key, (waiting ?? 0) + ready.count);
    if (waiting !== undefined) return;
    void (async () => {
      for (let count = open.get(key) ?? 0; count > 0; count = open.get(key) ?? 0) {
        open.set(key, 0);
        await lookUp({ ...ready, count });
      }
      open.delete(key);
    })();
  };
}

/** One later look-up per pool and shape for what found no idle worker; the last word, since workers ask by themselves too. */
function createSecondLook(options: AnnouncerOptions): (missing: ReadyCount) => void {
  const missing = new Map<string, number>();
  return (ready) => {
    const key = keyOf(ready);
    const waiting = missing.get(key);
    missing.set(key, (waiting ?? 0) + ready.count);
    if (waiting !== undefined) return;
    const look = (): void => {
      const count = missing.get(key) ?? 0;
      missing.delete(key);
      void wakeIdle(options, { ...ready, count });
    };
    setTimeout(look, options.secondLookMs).unref();
  };
}

async function wakeIdle(options: AnnouncerOptions, { pool, shape, count }: ReadyCount): Promise<number> {
  try {
    const workerIds = await options.store.idleWorkers(pool, shape, count);
    for (const workerId of workerIds) send(options, workerId, { kind: { $case: "wake", value: {} } });
    return workerIds.length;
  } catch (thrown) {
    options.logger.warn({ err: thrown, pool, shape }, "could not look up idle workers; they will ask by themselves");
    return count;
  }
}

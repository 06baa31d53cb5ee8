import { expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { keepWarm, type WarmRuntime } from "../../../services/worker/models/keep-warm.ts";
import type { SupervisedRuntime } from "../../../services/worker/session/agent-ports.ts";

/** A runtime that is ready, and is another process whenever it is told to die. */
function playedRuntime() {
  let restarts = 0;
  const listeners = new Set<() => void>();
  const runtime: SupervisedRuntime = {
    isReady: () => true,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: () => Promise.reject(new FarmError("INTERNAL")),
    kill: () => undefined,
    restarts: () => restarts,
  };
  const die = (): void => {
    restarts += 1;
    for (const listener of listeners) listener();
  };
  return { runtime, die };
}

type Played = {
  readonly warm: WarmRuntime;
  readonly die: () => void;
  readonly loads: () => number;
  readonly failures: readonly FarmError[];
};

/** `causes`: what each load after the first fails of; undefined: it succeeds. */
function played(causes: readonly (FarmError | undefined)[], stopping = new AbortController().signal): Played {
  const { runtime, die } = playedRuntime();
  const failures: FarmError[] = [];
  let loads = 0;
  const load = (isFirst: boolean): Promise<void> => {
    const cause = isFirst ? undefined : causes[loads - 1];
    loads += 1;
    return cause === undefined ? Promise.resolve() : Promise.reject(new FarmError("PRELOAD_FAILED", { cause }));
  };
  const logger = createLogger({ name: "test", level: "silent" });
  const warm = keepWarm({ runtime, load, stopping, logger, onFailed: (error) => failures.push(error), busyMs: 1 });
  return { warm, die, loads: () => loads, failures };
}

it("is not ready in a new process before its engines are loaded again", async () => {
  const { warm, die, loads } = played([undefined]);
  await warm.start();
  expect(warm.isReady()).toBe(true);
  die();
  expect(warm.isReady()).toBe(false);
  await expect.poll(() => warm.isReady()).toBe(true);
  expect(loads()).toBe(2);
});

it("waits for a runtime that is busy with what was claimed before, however long", async () => {
  const busy = Array.from({ length: 20 }, () => new FarmError("RUNTIME_BUSY"));
  const { warm, die, loads, failures } = played([...busy, undefined]);
  await warm.start();
  die();
  await expect.poll(() => warm.isReady()).toBe(true);
  expect([loads(), failures]).toEqual([22, []]);
});

it("gives up after three processes that died of it, and at once after any other failure", async () => {
  const dying = played(Array.from({ length: 9 }, () => new FarmError("RUNTIME_DIED")));
  await dying.warm.start();
  dying.die();
  await expect.poll(() => dying.failures.length).toBe(1);
  expect(dying.loads()).toBe(4);
  const broken = played([new FarmError("ENGINE_LOAD_FAILED")]);
  await broken.warm.start();
  broken.die();
  await expect.poll(() => broken.failures.length).toBe(1);
  expect(broken.failures[0]).toMatchObject({ code: "PRELOAD_FAILED", cause: { code: "ENGINE_LOAD_FAILED" } });
});

it("does nothing more once the worker stops", async () => {
  const stopping = new AbortController();
  const { warm, die, loads, failures } = played([new FarmError("RUNTIME_BUSY")], stopping.signal);
  await warm.start();
  stopping.abort();
  die();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([loads(), failures]).toEqual([1, []]);
});

/**
 * Start and stop of everything long-lived.
 *
 * Invariants: components start in order and stop in reverse; stop before start and stop twice are safe;
 * a failed start stops what had started; a stop that fails keeps no other from being tried. One AbortSignal per process flows down from here.
 */
import type { Logger } from "./logging.ts";
import { type FarmError, toFarmError } from "../domain/errors.ts";

/** Something long-lived. `stop` is safe before `start` and when called twice. */
export type Component = {
  start(): Promise<void>;
  stop(): Promise<void>;
};

/** One component made of many: starts in order, stops in reverse. */
export function sequence(components: readonly Component[]): Component {
  let started: Component[] = [];
  const stop = async (): Promise<void> => {
    const running = started.reverse();
    started = [];
    await runEach(running.map((component) => () => component.stop()));
  };
  return {
    async start() {
      for (const component of components) {
        started.push(component);
        try {
          await component.start();
        } catch (thrown) {
          // Why it did not start matters more than why it did not stop.
          await stop().catch(() => undefined);
          throw thrown;
        }
      }
    },
    stop,
  };
}

/** A component that is one loop: it runs from `start` until its signal aborts, and `stop` waits for its end. The loop does not throw. */
export function looping(loop: (signal: AbortSignal) => Promise<void>): Component {
  let running: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  return {
    start() {
      if (running !== undefined) return Promise.resolve();
      const abort = new AbortController();
      running = { abort, done: loop(abort.signal) };
      return Promise.resolve();
    },
    async stop() {
      const stopping = running;
      running = undefined;
      stopping?.abort.abort();
      await stopping?.done;
    },
  };
}

/** Runs every step, one after another and also after one failed; throws the first failure at the end. */
export async function runEach(steps: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw toFarmError(failures[0]);
}

export type MainOptions = {
  readonly component: Component;
  readonly logger: Logger;
  /** Stop when the IPC channel to the parent closes. */
  readonly exitWithParent: boolean;
  /** After this, the process ends even if stop hangs. */
  readonly stopDeadlineMs: number;
  /** Called once everything answers. */
  readonly onReady: () => void;
  /** Called when the process is to end at once: ends what would outlive it. */
  readonly onKill?: () => void;
  /** Resolves with the reason when the service cannot go on: it then stops in order and exits with 1. */
  readonly ended?: Promise<FarmError>;
};

/**
 * Runs a service until SIGINT, SIGTERM or (if asked) the parent's end, then exits: 0 in order, 1 otherwise. A second signal ends it at once.
 */
export async function runMain(options: MainOptions): Promise<void> {
  const { component, logger } = options;
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const stop = (reason: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, "stopping");
    setTimeout(() => process.exit(1), options.stopDeadlineMs).unref();
    component.stop().then(
      () => process.exit(),
      (thrown: unknown) => {
        logger.error({ err: thrown }, "stop failed");
        process.exit(1);
      },
    );
  };
  onSignals((signal, isFirst) => {
    if (isFirst) {
      stop(signal);
      return;
    }
    logger.warn({ signal }, "asked again: ends at once");
    options.onKill?.();
    process.exit(1);
  });
  if (options.exitWithParent) process.on("disconnect", () => stop("parent ended"));
  void options.ended?.then((error) => {
    logger.fatal({ err: error, code: error.code, remedy: error.row.remedy }, `cannot go on: ${error.message}`);
    process.exitCode = 1;
    stop(error.code);
  });
  try {
    await component.start();
    options.onReady();
    // The parent may have gone before anybody listened.
    if (options.exitWithParent && process.send !== undefined && !process.connected) stop("parent ended");
  } catch (thrown) {
    const error = toFarmError(thrown);
    // Asked to stop while it started: it stops in order.
    if (isStopping()) return;
    logger.fatal({ err: error, code: error.code, remedy: error.row.remedy }, `could not start: ${error.message}`);
    process.exit(1);
  }
}

function onSignals(listener: (signal: NodeJS.Signals, isFirst: boolean) => void): void {
  let count = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      count += 1;
      listener(signal, count === 1);
    });
  }
}

/** Tells a parent that forked this process with an IPC channel that the service answers. */
export function tellParent(message: Readonly<Record<string, unknown>>): void {
  if (process.send !== undefined && process.connected) process.send(message);
}

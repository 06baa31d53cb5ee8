/**
 * SIGINT and SIGTERM as something that a command can wait for or take over. A parent that started us with an IPC channel and is gone
 * counts as an interrupt too.
 *
 * Invariant: the second interrupt that nobody took ends the process at once.
 */
import { exitCodes } from "./exit-codes.ts";

/** Ctrl-C as commands see it. */
export type Interrupts = {
  /** Aborts with the first interrupt that nobody took. */
  readonly signal: AbortSignal;
  /** Hands interrupts to a listener until the returned function is called. */
  take(listener: () => void): () => void;
};

/** Listens on a process's signals for as long as it lives. */
export function createInterrupts(source: NodeJS.Process): Interrupts {
  const controller = new AbortController();
  const listeners: (() => void)[] = [];
  const fire = (): void => {
    const listener = listeners.at(-1);
    if (listener !== undefined) listener();
    else if (controller.signal.aborted) source.exit(exitCodes.interrupted);
    else controller.abort();
  };
  source.on("SIGINT", fire);
  source.on("SIGTERM", fire);
  source.on("disconnect", fire);
  return {
    signal: controller.signal,
    take(listener) {
      listeners.push(listener);
      return () => void listeners.splice(listeners.indexOf(listener), 1);
    },
  };
}

/**
 * A condition that something may have changed: fired any number of times, seen once.
 *
 * A fire while nobody waits is kept for the next wait, so that no wake is lost between looking and waiting.
 */
import type { Clock } from "./clock.ts";

export type Latch = {
  fire(): void;
  /** Returns at once after a fire that no wait has seen, else with the next fire, the timeout or the abort. One waiter at a time. */
  wait(timeoutMs: number | undefined, signal: AbortSignal): Promise<void>;
};

/** A latch that has not fired. */
export function createLatch(clock: Clock): Latch {
  let fired = false;
  let release = (): void => undefined;
  return {
    fire() {
      fired = true;
      release();
    },
    async wait(timeoutMs, signal) {
      if (!fired && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const finish = (): void => {
            cancel();
            signal.removeEventListener("abort", finish);
            resolve();
          };
          const cancel = timeoutMs === undefined ? () => undefined : clock.after(timeoutMs, finish);
          release = finish;
          signal.addEventListener("abort", finish, { once: true });
        });
      }
      fired = false;
    },
  };
}

/**
 * Waits for a condition that tells nobody when it becomes true, e.g. the end of a process that is not our child.
 */
import { pause } from "../../services/platform/deadline.ts";

/** Resolves once the condition holds; rejects naming it when it still does not after `timeoutMs`. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new TypeError(`not within ${timeoutMs} ms: ${what}`);
    await pause(25);
  }
}

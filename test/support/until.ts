/**
 * Waits for an observable condition, by a deadline: for what tells nobody when it becomes true, e.g. the end of a process that is not
 * our child, or a row of the database.
 *
 * The condition alone decides when the test goes on, never a guess of how long something takes: the wait between two looks only keeps the
 * machine free, and the deadline only turns a hang into a failure that names what did not happen.
 */
import { pause } from "../../services/platform/deadline.ts";

const lookAgainMs = 25;

/** Resolves once the condition is observed to hold; rejects naming it when it still does not at the deadline, `deadlineMs` from now. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new TypeError(`not within ${deadlineMs} ms: ${what}`);
    await pause(lookAgainMs);
  }
}

/**
 * Design §1: a runtime ends with its agent; nothing that was ended goes on.
 */
import type { Facts } from "../facts.ts";
import type { Rule } from "../violation.ts";

export const processes: Rule<Facts> = {
  sentence: "no process is left over",
  check: (facts) =>
    facts.processes
      .filter(({ isRunning, mayRun }) => isRunning && !mayRun)
      .map((process) => ({ where: `process ${process.processId}`, what: `${process.what} still runs`, evidence: [process] })),
};

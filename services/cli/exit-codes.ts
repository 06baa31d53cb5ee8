/**
 * Exit codes: what a script may rely on.
 */
import type { ErrorCode, FarmError } from "../domain/errors.ts";

/** By what they mean. */
export const exitCodes = { ok: 0, failed: 1, invalid: 2, unreachable: 3, cancelled: 4, interrupted: 130 } as const;

/** What the process ends with. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** For every command's --help. */
export const exitCodeHelp = `
Exit codes:
  0    done
  1    the render or the command failed
  2    wrong usage or invalid input
  3    the farm cannot be reached
  4    the job was cancelled
  130  interrupted`;

const unreachable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "COORDINATOR_UNAVAILABLE",
  "DATABASE_UNAVAILABLE",
  "BROKER_UNAVAILABLE",
  "DEADLINE_PASSED",
]);

/** Input's fault is 2, an unreachable farm 3, anything else 1. */
export function exitCodeOf(error: FarmError): ExitCode {
  if (unreachable.has(error.code)) return exitCodes.unreachable;
  if (error.row.errorClass === "input" || error.code === "CONFIG_INVALID") return exitCodes.invalid;
  return exitCodes.failed;
}

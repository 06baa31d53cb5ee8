/**
 * The agent's crash points, in the order in which an attempt meets them.
 */
import type { CrashPoint } from "../../platform/crash-points.ts";

export const workerCrashPoints = [
  /** A claim arrived, nothing of it began. */
  "claimed",
  /** The runtime gave its result, nothing is stored. */
  "computed",
  /** The outputs are stored, nothing is reported. */
  "stored",
  /** The report was answered, the answer is not taken in. */
  "reported",
] as const;

export type WorkerCrashPoint = (typeof workerCrashPoints)[number];
export type WorkerCrash = CrashPoint<WorkerCrashPoint>;

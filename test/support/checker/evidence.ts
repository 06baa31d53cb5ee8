/**
 * Everything that the checker judges by, taken at one moment: the database, the artifacts' bytes, the copy of the events, and the journals
 * that were written outside of all of them.
 */
import type { ClientCall, Run, RuntimeLife, TesterEntry, WorkerEntry } from "./journal-entries.ts";
import type { Snapshot } from "./rows.ts";

/** A file of the artifact folder, hashed anew. */
export type StoredFile = { readonly name: string; readonly sizeBytes: number; readonly sha256: string };

/** A message of the JetStream copy of the event log, in the stream's order. */
export type CopiedEvent = { readonly jobId: string; readonly number: number; readonly kind: string; readonly taskId: number };

/** A process that was looked for when the evidence was taken. */
export type SeenProcess = {
  readonly processId: number;
  readonly what: string;
  /** Part of its command line: a process of the same number without it is another. */
  readonly program?: string;
  readonly mayRun: boolean;
  readonly isRunning: boolean;
};

/** What the farm under test promises in numbers: its settings, and what is allowed to take a moment. */
export type Bounds = {
  readonly leaseMs: number;
  /** Everything was left to end: nothing may be open, and collection has nothing left to do. */
  readonly isSettled: boolean;
  /** Longest from the end of a task's last user to the end of its run: told with a beat, then a step or 5 s to let go, on a busy machine. */
  readonly cancelMs: number;
  /** What two clocks and two measurements of one run may differ by. */
  readonly slackMs: number;
  /** Steps between two checkpoints; undefined where none are written, or not by steps. */
  readonly checkpointSteps: number | undefined;
  /** From a runtime's writing of a checkpoint to its being kept. */
  readonly keepMs: number;
};

export type Evidence = {
  readonly takenAtMs: number;
  readonly bounds: Bounds;
  readonly database: Snapshot;
  /** Undefined where the store is not a folder of this machine. */
  readonly artifacts: readonly StoredFile[] | undefined;
  /** Undefined where there is no stream: it may be lost at any time. */
  readonly eventCopy: readonly CopiedEvent[] | undefined;
  readonly calls: readonly ClientCall[];
  readonly runtimes: readonly RuntimeLife[];
  readonly runs: readonly Run[];
  readonly workers: readonly WorkerEntry[];
  readonly tester: readonly TesterEntry[];
  readonly processes: readonly SeenProcess[];
};

export const defaultBounds: Bounds = {
  leaseMs: 15_000,
  isSettled: true,
  cancelMs: 15_000,
  slackMs: 250,
  checkpointSteps: undefined,
  keepMs: 10_000,
};

/**
 * What the journals say, put together: calls from what was asked and told, runs from what was begun and ended.
 *
 * A line is what one process saw at one moment; a process that was killed simply stops saying anything, so whatever has no end here has an
 * unknown one.
 */
import type { RunLine } from "../../../services/worker/runtime/run-journal.ts";
import type { WorkLine } from "../../../services/worker/session/work-journal.ts";

/** A line before its journal says when. */
export type Unstamped<Line> = Line extends unknown ? Omit<Line, "atMs"> : never;

/** A message as the journal keeps it: bigints as strings, bytes as their hash, dates as ISO strings. */
export type Kept = Readonly<Record<string, unknown>>;

/** Lines of a client. */
export type ClientLine =
  | { readonly atMs: number; readonly kind: "asked"; readonly id: string; readonly call: string; readonly request: Kept }
  | { readonly atMs: number; readonly kind: "told"; readonly id: string; readonly answer: Kept }
  | { readonly atMs: number; readonly kind: "heard"; readonly id: string; readonly message: Kept }
  | { readonly atMs: number; readonly kind: "over"; readonly id: string; readonly bytesSha256?: string }
  | { readonly atMs: number; readonly kind: "refused"; readonly id: string; readonly code: string };

/** One call of a client, and what it was told. */
export type ClientCall = {
  readonly client: string;
  /** The method's name, e.g. "submitRender". */
  readonly call: string;
  readonly request: Kept;
  readonly askedAtMs: number;
  /** Of a call with one answer; undefined when it was refused, broke or is open. */
  readonly answer: Kept | undefined;
  readonly answeredAtMs: number | undefined;
  /** Of a stream: its messages in order. */
  readonly heard: readonly { readonly atMs: number; readonly message: Kept }[];
  /** Of a stream: it ended as it should. */
  readonly isOver: boolean;
  /** Of a stream of bytes that ended as it should. */
  readonly bytesSha256: string | undefined;
  readonly refusedWith: string | undefined;
};

export type KeptOutput = { readonly name: string; readonly sha256: string; readonly sizeBytes: number };

/** Lines of a stage runtime. */
export type RuntimeLine = RunLine & { readonly atMs: number };

export type RuntimeLife = { readonly file: string; readonly processId: number; readonly openedAtMs: number };

/** One run of a stage by one runtime. */
export type Run = {
  readonly processId: number;
  /** The attempt's id: the agent names its runs so. */
  readonly runId: string;
  readonly stage: string;
  readonly fromCheckpoint: boolean;
  readonly beganAtMs: number;
  /** Undefined: it was killed, or still runs. */
  readonly endedAtMs: number | undefined;
  /** When its runtime last wrote of it. */
  readonly lastSignAtMs: number;
  readonly outcome: string | undefined;
  /** As the runtime counted it; undefined where it did not come to tell. */
  readonly deviceMs: number | undefined;
  readonly outputs: readonly KeptOutput[];
  /** The first and last steps that it told of; undefined where none was. */
  readonly firstStep: number | undefined;
  readonly lastStep: number | undefined;
  readonly checkpoints: readonly { readonly atMs: number; readonly step: number }[];
};

/** Lines of a worker agent. */
export type WorkerLine = WorkLine & { readonly atMs: number };

export type WorkerEntry = WorkerLine & { readonly worker: string };

/** Lines of the test itself: what it did to the farm, and what the farm told it uncalled. */
export type TesterLine =
  /** The farm's own parts were away or frozen: nobody may be judged by silence meanwhile. */
  | { readonly atMs: number; readonly kind: "outage"; readonly what: string; readonly fromMs: number; readonly untilMs: number }
  /** Workers were frozen or cut off: what they had could not be kept meanwhile. */
  | { readonly atMs: number; readonly kind: "unheard"; readonly what: string; readonly fromMs: number; readonly untilMs: number }
  /** A receiver of webhooks that writes down what arrives, at addresses that begin so. */
  | { readonly atMs: number; readonly kind: "listens"; readonly url: string }
  /** A webhook arrived. */
  | { readonly atMs: number; readonly kind: "delivered"; readonly jobId: string; readonly eventNumber: number; readonly type: string }
  /** A result that an undisturbed run gave, for the artifact of that name of a job. */
  | { readonly atMs: number; readonly kind: "expected"; readonly jobId: string; readonly name: string; readonly sha256: string }
  /** The test itself spoilt an artifact's bytes. */
  | { readonly atMs: number; readonly kind: "damaged"; readonly sha256: string }
  /** Something was done to the farm that breaks no promise, for people. */
  | { readonly atMs: number; readonly kind: "did"; readonly what: string };

export type TesterEntry = TesterLine;

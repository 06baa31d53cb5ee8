/**
 * What workers ask of the store. Every write about a running task carries its attempt id (the fence); `next`, `beat` and `report` are one
 * named SQL statement each, arrays in, one outcome per item out (design §9).
 */
import type { Aftermath, Level } from "./aftermath-contract.ts";
import type { ScoreValue } from "./bench-contract.ts";
import type { ArtifactView, JobClass, WarningView } from "./job-contract.ts";

export type Disposition = "committed" | "already_committed" | "superseded";

export type WorkerDescription = {
  readonly workerId: string;
  readonly name: string;
  readonly host: string;
  readonly pool: string;
  readonly provider: string;
  readonly profile: string;
  readonly device: string;
  readonly memoryBytes: number;
  readonly models: readonly string[];
  /** Shapes that it can run, e.g. `denoise/<engine digest>`, `prepare/-`. */
  readonly shapes: readonly string[];
  readonly residentEngineDigests: readonly string[];
  readonly softwareVersion: string;
  /** Grows with each session of the worker; one that is not above the newest known is refused. */
  readonly life: number;
  /** From its agent's start until it could work; absent: not told. */
  readonly startupMs?: number | undefined;
};

export type ProducedArtifact = ArtifactView;

/** What a metric says of a clip, and how it was computed. */
export type ReportedScore = ScoreValue & {
  readonly metric: string;
  readonly runtime: string;
  readonly decodeMs: number;
};

export type AttemptReport = {
  readonly attemptId: string;
  readonly outcome:
    | {
        readonly kind: "success";
        readonly outputs: readonly ProducedArtifact[];
        readonly provider: string;
        readonly profile: string;
        readonly warnings: readonly WarningView[];
        /** Of a score task, well formed: stored with the attempt's end. */
        readonly score?: ReportedScore;
      }
    | {
        readonly kind: "failure";
        readonly code: string;
        readonly message: string;
        readonly abandoned: boolean;
        readonly badInputs: readonly string[];
        /** The runtime's last lines; absent where there are none. */
        readonly logTail?: string;
      };
  readonly deviceMs: number;
  readonly loadMs: number;
  readonly computeMs: number;
  readonly fetchMs: number;
  readonly finishMs: number;
};

/** What a worker found of an attempt that an earlier life of it lost. */
export type LostAttempt = { readonly attemptId: string; readonly logTail: string };

/** Log tails of attempts that ended without a report. */
export type TailStore = {
  /** Of these attempts those that run, and those that ended badly and have no log. */
  tailNeeds(attemptIds: readonly string[]): Promise<readonly { readonly attemptId: string; readonly isRunning: boolean }[]>;
  /** Keeps the log with an attempt that ended badly and has none; undefined when it was not wanted. */
  keepTail(attemptId: string, logTail: string): Promise<{ readonly worker: string } | undefined>;
};

export type NextAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly worker: WorkerDescription;
  readonly heldAttemptIds: readonly string[];
  readonly freeSlots: number;
  /** Slots that are busy and soon free, for which a reservation is asked. */
  readonly aheadSlots: number;
  readonly reports: readonly AttemptReport[];
  /** The session's last word: it ends as stopped, what it holds is given back uncharged. */
  readonly leaving: boolean;
  /** Kept for those who look at what failed; changes no state. */
  readonly lostAttempts?: readonly LostAttempt[];
};

export type ClaimView = {
  readonly taskId: number;
  readonly attemptId: string;
  readonly attemptNumber: number;
  readonly stage: string;
  readonly model: string;
  readonly engineDigests: Readonly<Record<string, string>>;
  /** StageParameters, encoded as protobuf JSON (canonical names), as stored in task.parameters. */
  readonly parameters: unknown;
  readonly inputs: readonly { readonly name: string; readonly sha256: string; readonly sizeBytes: number }[];
  readonly expectedMs: number;
  readonly jobIds: readonly string[];
  /** Of the job that comes first of those that want it. */
  readonly jobClass: JobClass;
  /** From when it was last ready until now. */
  readonly waitedMs: number;
  /** Not begun before the worker says so; until then it may be taken away. */
  readonly isReserved?: boolean | undefined;
  /** The attempt's place in a trace; absent where the farm does not trace. */
  readonly traceparent?: string;
};

export type ReportOutcome = {
  readonly attemptId: string;
  readonly disposition: Disposition;
  /** Stage of the attempt, for counting; absent when the attempt is not known. */
  readonly stage?: string | undefined;
};

export type LevelView = { readonly attemptId: string; readonly level: Level };

export type Refusal = { readonly kind: "refused"; readonly code: string; readonly message: string; readonly farmEpoch: number };

export type NextOutcome =
  | Refusal
  | {
      readonly kind: "answered";
      /** Same sequence as before: the stored answer, nothing was changed. */
      readonly replayed: boolean;
      readonly farmEpoch: number;
      readonly leaseMs: number;
      readonly claim: ClaimView | undefined;
      readonly reportOutcomes: readonly ReportOutcome[];
      readonly levels: readonly LevelView[];
      /** Of the whole call, told with its first answer; the others' are empty. */
      readonly aftermath: Aftermath;
    };

export type ReportAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly reports: readonly AttemptReport[];
};

export type ReportAnswer =
  | Refusal
  | {
      readonly kind: "answered";
      readonly replayed: boolean;
      readonly farmEpoch: number;
      readonly reportOutcomes: readonly ReportOutcome[];
      readonly aftermath: Aftermath;
    };

/** Where an attempt got to. */
export type KeptCheckpoint = {
  /** Steps that are taken. */
  readonly step: number;
  readonly sha256: string;
  readonly sizeBytes: number;
};

export type BeatAsk = {
  readonly sessionId: string;
  readonly sequence: number;
  readonly farmEpoch: number;
  readonly attempts: readonly {
    readonly attemptId: string;
    readonly phase: "fetch" | "compute" | "finish";
    readonly step: number;
    readonly steps: number;
    /** Device time so far, for the books should no report come. */
    readonly deviceMs: number;
    /** Rows of these become (or stay) pending before the answer. */
    readonly announcedArtifacts: readonly ProducedArtifact[];
    /** Announced before, and in the store: kept for the next attempt, if this one is current and it is further than what is kept. */
    readonly checkpoint?: KeptCheckpoint | undefined;
  }[];
};

export type BeatAnswer =
  | Refusal
  | {
      readonly kind: "answered";
      readonly farmEpoch: number;
      readonly leaseMs: number;
      readonly levels: readonly LevelView[];
    };

/** Dispatch: what workers say and hear. */
export type DispatchStore = {
  next(asks: readonly NextAsk[]): Promise<readonly NextOutcome[]>;
  beat(asks: readonly BeatAsk[]): Promise<readonly BeatAnswer[]>;
  report(asks: readonly ReportAsk[]): Promise<readonly ReportAnswer[]>;
  /** Idle live workers of a pool that can run the shape, best fit first, at most `limit`. */
  idleWorkers(pool: string, shape: string, limit: number): Promise<readonly string[]>;
};

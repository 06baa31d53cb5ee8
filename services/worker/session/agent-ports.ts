/**
 * What the agent needs of the world; app.ts wires the real ones, tests their own.
 */
import type { LostAttempt, WorkerDescription } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Journal } from "../../platform/journal.ts";
import type { Logger } from "../../platform/logging.ts";
import type { Subjects } from "../../platform/nats/subjects.ts";
import type { Tracer } from "../../platform/tracing/tracer.ts";
import type { AgentMetrics } from "./agent-metrics.ts";
import type { AttemptPorts, RuntimePort } from "./attempt-ports.ts";
import type { BackOff } from "./back-off.ts";
import type { Clock } from "./clock.ts";
import type { WorkerCrash } from "./crash-points.ts";
import type { Link } from "./exchange.ts";
import type { WorkLine } from "./work-journal.ts";

/** The side of NATS that the agent uses. */
export type AgentLink = Link & {
  publish(subject: string, payload: Uint8Array): void;
  subscribe(subject: string, onMessage: (payload: Uint8Array) => void): () => void;
  flush(timeoutMs: number): Promise<void>;
};

/** The supervised runtime. */
export type SupervisedRuntime = RuntimePort & {
  isReady(): boolean;
  /** Called when it comes up or goes down; the returned function ends it. */
  onChange(listener: () => void): () => void;
  restarts(): number;
};

export type AgentTimings = {
  readonly beatMs: number;
  /** Until a `next` or `report` is sent again. */
  readonly requestMs: number;
  /** The slow poll that makes good lost wakes. */
  readonly pollMs: number;
  readonly outageLimitMs: number;
  readonly drainMs: number;
  /** After a drain: for what was stopped to be reported. */
  readonly settleMs: number;
  readonly farewellMs: number;
  /** Least time between two messages of live progress. */
  readonly progressMs: number;
  readonly retry: BackOff;
};

export type AgentPorts = {
  readonly clock: Clock;
  readonly link: AgentLink;
  readonly logger: Logger;
  readonly journal: Journal<WorkLine>;
  /** Uniform in [0, 1), for jitter. */
  readonly draw: () => number;
  readonly subjects: Subjects;
  readonly pool: string;
  readonly workerId: string;
  /** Of the first session; above every life that the worker ever had. */
  readonly firstLife: bigint;
  readonly workerName: string;
  readonly timings: AgentTimings;
  readonly metrics: AgentMetrics;
  readonly tracer: Tracer;
  readonly runtime: SupervisedRuntime;
  readonly crash: WorkerCrash;
  readonly attempt: Pick<AttemptPorts, "transfer" | "modelFolder" | "limits" | "checkpoints">;
  /** What the life before lost: told once. */
  readonly lostAttempts?: readonly LostAttempt[];
  /** What the worker is at this moment. */
  readonly worker: () => Omit<WorkerDescription, "life">;
  /** A drain asks what runs to leave at once. */
  readonly leaveAtOnce: boolean;
};

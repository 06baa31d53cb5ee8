/**
 * The words for an attempt on a worker.
 */

/** Only compute holds the device (design §5). */
export type AttemptPhase = "fetch" | "compute" | "finish";

/** What the coordinator says of an attempt. */
export type AttemptLevelName = "wanted" | "unwanted" | "preempt" | "drain" | "revoked";

/** Why an attempt stops before its end; none of these is the task's fault. */
export type StopReason =
  | "unwanted"
  | "preempt"
  /** The fence is lost: another attempt is current. */
  | "revoked"
  /** The worker's session was ended, and its fences with it. */
  | "session_ended"
  /** The worker is drained, and the grace is over. */
  | "drain"
  /** The worker's process stops. */
  | "stop"
  | "outage";

/** Sentence for the report and the log. */
export const stopMessages: Readonly<Record<StopReason, string>> = {
  unwanted: "nobody wants the result any more",
  preempt: "made way for another task",
  revoked: "the attempt is not current any more",
  session_ended: "the worker's session was ended",
  drain: "the worker is drained",
  stop: "the worker was stopped before the attempt could end",
  outage: "the worker was cut off for longer than allowed",
};

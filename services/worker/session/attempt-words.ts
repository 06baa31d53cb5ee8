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
  | "outage"
  /** A reservation whose slot did not come free in time. */
  | "slot_not_free";

/** What a stop keeps of the steps that a run has taken. */
export type StopKeeps =
  /** All of them: the run ends at its next step with a last checkpoint. */
  | "every_step"
  /** Those of the last checkpoint that is written: the run ends at once. */
  | "written_steps"
  /** None: nobody would take them from this attempt. */
  | "nothing";

/** Decides by the reason: what another worker goes on with is worth a step's wait, what nobody wants is not. */
export function keptBy(reason: StopReason): StopKeeps {
  switch (reason) {
    case "preempt":
    case "drain":
    case "stop":
      return "every_step";
    case "unwanted":
      return "written_steps";
    case "revoked":
    case "session_ended":
    case "outage":
    case "slot_not_free":
      return "nothing";
  }
}

/** Sentence for the report and the log. */
export const stopMessages: Readonly<Record<StopReason, string>> = {
  unwanted: "nobody wants the result any more",
  preempt: "made way for another task",
  revoked: "the attempt is not current any more",
  session_ended: "the worker's session was ended",
  drain: "the worker is drained",
  stop: "the worker was stopped before the attempt could end",
  outage: "the worker was cut off for longer than allowed",
  slot_not_free: "the slot that the attempt was reserved for did not come free in time",
};

/**
 * What a worker does when the coordinator says how it sees an attempt (design §2: levels).
 */
import type { AttemptPhase, AttemptLevelName, StopReason } from "./attempt-words.ts";

/**
 * Why an attempt must stop, or undefined to go on.
 *
 * A revoked one stops in every phase, because its result would be dropped. An unwanted or preempted one, or one of a drained worker,
 * stops only while that saves device time: once it finishes, the result is paid for and may serve a later job.
 */
export function responseTo(level: AttemptLevelName, phase: AttemptPhase): StopReason | undefined {
  switch (level) {
    case "wanted": {
      return undefined;
    }
    case "revoked": {
      return "revoked";
    }
    case "unwanted":
    case "preempt":
    case "drain": {
      return phase === "finish" ? undefined : level;
    }
  }
}

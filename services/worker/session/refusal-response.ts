/**
 * What a worker does when a whole request is refused.
 */

export type RefusalResponse =
  /** Say why and stop: going on cannot help. */
  | "end_worker"
  /** Drop what runs, begin again with a new session. */
  | "new_session"
  /** As above, and ask for the farm's epoch anew: the farm was restored, so nothing from before can be reported. */
  | "new_session_and_epoch"
  /** Nothing was changed; send the same request again. */
  | "retry";

/** Maps a refusal's code; unknown codes are taken as passing, because the coordinator may be newer. */
export function responseToRefusal(code: string): RefusalResponse {
  switch (code) {
    case "SESSION_SUPERSEDED":
    case "PROTOCOL_UNSUPPORTED":
    case "POOL_PROFILE_MISMATCH":
    case "POOL_UNKNOWN": {
      return "end_worker";
    }
    // One request is in flight at a time, so a stale sequence means that the session's row is not ours any more.
    case "SEQUENCE_STALE":
    case "SESSION_ENDED": {
      return "new_session";
    }
    case "EPOCH_MISMATCH": {
      return "new_session_and_epoch";
    }
    default: {
      return "retry";
    }
  }
}

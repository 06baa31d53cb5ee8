/**
 * Replies and signals from the coordinator, decoded; bytes that are none are undefined, never an exception.
 */
import {
  BeatResponse,
  Level,
  NextResponse,
  ReportResponse,
  WorkerSignal,
  type BeatAnswer,
  type NextAnswer,
  type Refusal,
  type ReportAnswer,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { AttemptLevelName } from "./attempt-words.ts";

export type Reply<A> = { readonly kind: "answer"; readonly answer: A } | { readonly kind: "refusal"; readonly refusal: Refusal };

type Outcome<A> = { $case: "answer"; value: A } | { $case: "refusal"; value: Refusal } | undefined;

/** Reply to a `next`. */
export function readNext(bytes: Uint8Array): Reply<NextAnswer> | undefined {
  return replyOf(decoded(() => NextResponse.decode(bytes))?.outcome);
}

/** Reply to a `report`. */
export function readReport(bytes: Uint8Array): Reply<ReportAnswer> | undefined {
  return replyOf(decoded(() => ReportResponse.decode(bytes))?.outcome);
}

/** Reply to a beat. */
export function readBeat(bytes: Uint8Array): Reply<BeatAnswer> | undefined {
  return replyOf(decoded(() => BeatResponse.decode(bytes))?.outcome);
}

/** A pushed signal. */
export function readSignal(bytes: Uint8Array): WorkerSignal["kind"] {
  return decoded(() => WorkerSignal.decode(bytes))?.kind;
}

/** The level's name; levels of a newer protocol mean "go on". */
export function levelName(level: Level): AttemptLevelName {
  switch (level) {
    case Level.LEVEL_UNWANTED: {
      return "unwanted";
    }
    case Level.LEVEL_PREEMPT: {
      return "preempt";
    }
    case Level.LEVEL_DRAIN: {
      return "drain";
    }
    case Level.LEVEL_REVOKED: {
      return "revoked";
    }
    default: {
      return "wanted";
    }
  }
}

function replyOf<A>(outcome: Outcome<A>): Reply<A> | undefined {
  if (outcome === undefined) return undefined;
  return outcome.$case === "answer" ? { kind: "answer", answer: outcome.value } : { kind: "refusal", refusal: outcome.value };
}

function decoded<M>(decode: () => M): M | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/**
 * What the store answered → what workers hear (dispatch.proto).
 */
import type { BeatResponse, NextResponse, ReportResponse, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import {
  type AttemptLevel,
  type AttemptReportOutcome,
  AttemptReportDisposition,
  Level,
  type Refusal as WireRefusal,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { StageParameters } from "../../gen/proto/vapfarm/v1/stage.ts";
import type * as store from "../store/store-contract.ts";

const levels = {
  wanted: Level.LEVEL_WANTED,
  unwanted: Level.LEVEL_UNWANTED,
  preempt: Level.LEVEL_PREEMPT,
  drain: Level.LEVEL_DRAIN,
  revoked: Level.LEVEL_REVOKED,
} as const satisfies Readonly<Record<store.Level, Level>>;

const dispositions = {
  committed: AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_COMMITTED,
  already_committed: AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_ALREADY_COMMITTED,
  superseded: AttemptReportDisposition.ATTEMPT_REPORT_DISPOSITION_SUPERSEDED,
} as const satisfies Readonly<Record<store.Disposition, AttemptReportDisposition>>;

export function levelToProto(level: store.Level): Level {
  return levels[level];
}

export function nextOutcomeToProto(outcome: store.NextOutcome): NextResponse {
  if (outcome.kind === "refused") return { outcome: { $case: "refusal", value: refusalToProto(outcome) } };
  const { farmEpoch, leaseMs, claim, reportOutcomes } = outcome;
  return {
    outcome: {
      $case: "answer",
      value: {
        farmEpoch: BigInt(farmEpoch),
        leaseMs: BigInt(leaseMs),
        claim: claim === undefined ? undefined : claimToProto(claim),
        reportOutcomes: reportOutcomes.map(reportOutcomeToProto),
        levels: outcome.levels.map(attemptLevelToProto),
      },
    },
  };
}

export function reportAnswerToProto(answer: store.ReportAnswer): ReportResponse {
  if (answer.kind === "refused") return { outcome: { $case: "refusal", value: refusalToProto(answer) } };
  const value = { farmEpoch: BigInt(answer.farmEpoch), reportOutcomes: answer.reportOutcomes.map(reportOutcomeToProto) };
  return { outcome: { $case: "answer", value } };
}

export function beatAnswerToProto(answer: store.BeatAnswer): BeatResponse {
  if (answer.kind === "refused") return { outcome: { $case: "refusal", value: refusalToProto(answer) } };
  const { farmEpoch, leaseMs } = answer;
  const value = { farmEpoch: BigInt(farmEpoch), leaseMs: BigInt(leaseMs), levels: answer.levels.map(attemptLevelToProto) };
  return { outcome: { $case: "answer", value } };
}

function refusalToProto({ code, message, farmEpoch }: store.Refusal): WireRefusal {
  return { code, message, farmEpoch: BigInt(farmEpoch) };
}

function claimToProto(claim: store.ClaimView): TaskClaim {
  return {
    taskId: BigInt(claim.taskId),
    attemptId: claim.attemptId,
    attemptNumber: claim.attemptNumber,
    stage: claim.stage,
    model: claim.model,
    engineDigests: { ...claim.engineDigests },
    parameters: StageParameters.fromJSON(claim.parameters),
    inputs: claim.inputs.map(({ name, sha256, sizeBytes }) => ({ name, sha256, sizeBytes: BigInt(sizeBytes) })),
    expectedMs: claim.expectedMs,
    jobIds: [...claim.jobIds],
    isReserved: claim.isReserved ?? false,
    traceparent: claim.traceparent ?? "",
  };
}

function reportOutcomeToProto({ attemptId, disposition }: store.ReportOutcome): AttemptReportOutcome {
  return { attemptId, disposition: dispositions[disposition] };
}

function attemptLevelToProto({ attemptId, level }: store.LevelView): AttemptLevel {
  return { attemptId, level: levels[level] };
}

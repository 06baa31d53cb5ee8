/**
 * What workers say (dispatch.proto) → what the store is asked. What the database could not take is refused or cleaned here.
 *
 * Ids and hashes must have their form, or the request is refused whole; texts lose NUL characters, which Postgres cannot hold; numbers
 * that are not finite or are negative count as 0.
 */
import { FarmError } from "../../domain/errors.ts";
import { isAttemptId, isSha256 } from "../../domain/ids.ts";
import {
  AttemptPhase,
  type AttemptBeat,
  type AttemptReport as WireReport,
  type BeatRequest,
  type KeptCheckpoint as WireCheckpoint,
  type NextRequest,
  type ProducedArtifact as WireArtifact,
  type ReportRequest,
  type RequestHeader,
  type WorkerDescription as WireWorker,
} from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { scoreFromProto } from "./score-mapping.ts";
import { shapesOfWorker } from "./shapes.ts";
import type {
  AttemptReport,
  BeatAsk,
  KeptCheckpoint,
  NextAsk,
  ProducedArtifact,
  ReportAsk,
  WorkerDescription,
} from "../store/store-contract.ts";

export const protocolVersion = 1;

const oldestVersion = 1;
const tokenPattern = /^[A-Za-z0-9_-]{1,64}$/;
const maxText = 4_000;
/** What the column takes. */
const maxTail = 8_192;
/** More than a worker ever ran at once. */
const mostLost = 16;

/** A header whose version and ids are fit; throws PROTOCOL_UNSUPPORTED. Version N talks to N−1. */
export function headerFromProto(header: RequestHeader | undefined) {
  if (header === undefined) throw malformed("the request has no header");
  const version = header.protocolVersion;
  if (version > protocolVersion || version < Math.max(protocolVersion - 1, oldestVersion)) {
    throw malformed(`protocol version ${version} is not spoken here, ${protocolVersion} is`);
  }
  return {
    sessionId: token(header.sessionId, "session id"),
    sequence: Number(header.sequence),
    farmEpoch: Number(header.farmEpoch),
  };
}

/** A next request, for one pool's endpoint. */
export function nextAskFromProto(request: NextRequest, pool: string): NextAsk {
  if (request.worker === undefined) throw malformed("the request names no worker");
  return {
    ...headerFromProto(request.header),
    worker: workerFromProto(request.worker, pool),
    heldAttemptIds: request.heldAttemptIds.map(attemptId),
    freeSlots: request.freeSlots,
    aheadSlots: request.aheadSlots,
    reports: request.reports.map(reportFromProto),
    leaving: request.leaving,
    lostAttempts: request.lostAttempts
      .slice(0, mostLost)
      .map((lost) => ({ attemptId: attemptId(lost.attemptId), logTail: tailText(lost.logTail) })),
  };
}

export function reportAskFromProto(request: ReportRequest): ReportAsk {
  return { ...headerFromProto(request.header), reports: request.reports.map(reportFromProto) };
}

export function beatAskFromProto(request: BeatRequest): BeatAsk {
  return { ...headerFromProto(request.header), attempts: request.attempts.map(attemptBeatFromProto) };
}

function workerFromProto(worker: WireWorker, pool: string): WorkerDescription {
  if (worker.pool !== pool)
    throw new FarmError("POOL_UNKNOWN", { message: `a worker of pool "${clean(worker.pool)}" asked pool "${pool}"` });
  return {
    workerId: token(worker.workerId, "worker id"),
    name: clean(worker.name),
    host: clean(worker.host),
    pool,
    provider: clean(worker.provider),
    profile: clean(worker.profile),
    device: clean(worker.device),
    memoryBytes: Number(worker.memoryBytes),
    models: worker.models.map(({ name }) => clean(name)),
    shapes: shapesOfWorker(
      worker.models.map(({ engineDigests }) => engineDigests),
      worker.stagesWithoutEngine,
    ).map(clean),
    residentEngineDigests: worker.residentEngineDigests.map(clean),
    softwareVersion: clean(worker.softwareVersion),
    life: lifeFromProto(worker.life),
    ...(quantity(worker.startupMs) > 0 ? { startupMs: quantity(worker.startupMs) } : {}),
  };
}

function lifeFromProto(life: bigint): number {
  if (life >= 1n && life <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(life);
  throw malformed("the worker does not say which of its lives this is");
}

function reportFromProto(report: WireReport): AttemptReport {
  return {
    attemptId: attemptId(report.attemptId),
    outcome: outcomeFromProto(report.outcome),
    deviceMs: quantity(report.deviceMs),
    loadMs: quantity(report.loadMs),
    computeMs: quantity(report.computeMs),
    fetchMs: quantity(report.fetchMs),
    finishMs: quantity(report.finishMs),
  };
}

function outcomeFromProto(outcome: WireReport["outcome"]): AttemptReport["outcome"] {
  if (outcome === undefined) throw malformed("a report has no outcome");
  if (outcome.$case === "failure") {
    const { code, message, abandoned, badInputSha256, logTail } = outcome.value;
    const badInputs = badInputSha256.map(hash);
    return { kind: "failure", code: clean(code), message: clean(message), abandoned, badInputs, logTail: tailText(logTail) };
  }
  const { outputs, provider, profile, warnings, score } = outcome.value;
  const read = score === undefined ? undefined : scoreFromProto(score);
  if (read !== undefined && "fault" in read) return malformedScore(read.fault);
  return {
    kind: "success",
    outputs: outputs.map(artifactFromProto),
    provider: clean(provider),
    profile: clean(profile),
    warnings: warnings.map((warning) => ({ code: clean(warning.code), message: clean(warning.message) })),
    ...(read === undefined ? {} : { score: read.score }),
  };
}

function malformedScore(fault: string): AttemptReport["outcome"] {
  return {
    kind: "failure",
    code: "STAGE_FAILED",
    message: `the score is not well formed: ${fault}`,
    abandoned: false,
    badInputs: [],
    logTail: "",
  };
}

function artifactFromProto({ name, sha256, sizeBytes, mediaType }: WireArtifact): ProducedArtifact {
  if (sizeBytes < 0n) throw malformed("an artifact has a negative size");
  return { name: clean(name), sha256: hash(sha256), sizeBytes: Number(sizeBytes), mediaType: clean(mediaType) };
}

function attemptBeatFromProto(beat: AttemptBeat): BeatAsk["attempts"][number] {
  return {
    attemptId: attemptId(beat.attemptId),
    phase: phaseFromProto(beat.phase),
    step: beat.step,
    steps: beat.steps,
    deviceMs: quantity(beat.deviceMs),
    announcedArtifacts: beat.announcedArtifacts.map(artifactFromProto),
    checkpoint: beat.checkpoint === undefined ? undefined : checkpointFromProto(beat.checkpoint),
  };
}

function checkpointFromProto({ step, sha256, sizeBytes }: WireCheckpoint): KeptCheckpoint {
  if (step < 1 || sizeBytes < 0n) throw malformed("a checkpoint is before its first step or has a negative size");
  return { step, sha256: hash(sha256), sizeBytes: Number(sizeBytes) };
}

function phaseFromProto(phase: AttemptPhase): "fetch" | "compute" | "finish" {
  if (phase === AttemptPhase.ATTEMPT_PHASE_FETCH) return "fetch";
  return phase === AttemptPhase.ATTEMPT_PHASE_FINISH ? "finish" : "compute";
}

function attemptId(text: string): string {
  if (isAttemptId(text)) return text;
  throw malformed(`"${clean(text).slice(0, 80)}" is no attempt id`);
}

function hash(text: string): string {
  if (isSha256(text)) return text;
  throw malformed(`"${clean(text).slice(0, 80)}" is no SHA-256`);
}

function token(text: string, what: string): string {
  if (tokenPattern.test(text)) return text;
  throw malformed(`"${clean(text).slice(0, 80)}" is no ${what}`);
}

function clean(text: string): string {
  return text.replaceAll("\0", "").toWellFormed().slice(0, maxText);
}

/** The end of it says why. */
/** The end of a log, as the column takes it. */
export function tailText(text: string): string {
  return text.replaceAll("\0", "").toWellFormed().slice(-maxTail).toWellFormed();
}

function quantity(value: number): number {
  return Number.isFinite(value) && value > 0 ? value : 0;
}

function malformed(message: string): FarmError {
  return new FarmError("PROTOCOL_UNSUPPORTED", { message });
}

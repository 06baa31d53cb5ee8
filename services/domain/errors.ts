/**
 * The one exception of the farm, over one table of codes.
 *
 * A code says what happened; its row says what a client sees (gRPC status), what the scheduler does
 * (error class, design §4.7) and what a person can do (remedy). Every code has a row in
 * deploy/RUNBOOK.md; a test checks that. Expected outcomes are unions, not exceptions.
 */

import { type ErrorRow, row } from "./error-row.ts";
import { modelErrors } from "./model-errors.ts";

export type { ErrorClass, ErrorRow, StatusName } from "./error-row.ts";

/** Code → what it means to client, scheduler and operator. */
export const errorTable = {
  // What a client handed in.
  FIELD_INVALID: row("INVALID_ARGUMENT", "input", ["a field is invalid", "correct the named field and submit again"]),
  MEDIA_NOT_DECODABLE: row("INVALID_ARGUMENT", "input", [
    "the file is no image or video that can be decoded",
    "hand in an image (PNG, JPEG, WebP) or a video that ffmpeg can play",
  ]),
  MEDIA_TRUNCATED: row("INVALID_ARGUMENT", "input", ["the media ends before its end or is damaged", "copy or encode the file again"]),
  MEDIA_EMPTY: row("INVALID_ARGUMENT", "input", ["the media has no frame", "hand in media with at least one frame"]),
  MEDIA_NO_VIDEO: row("INVALID_ARGUMENT", "input", ["the file has sound but no picture", "hand in a file with a video stream"]),
  MEDIA_TOO_LARGE: row("INVALID_ARGUMENT", "input", [
    "the media exceeds a limit on bytes, pixels or frames",
    "shorten or scale the media, or ask the operator to raise the limit",
  ]),
  MEDIA_TIMEOUT: row("INVALID_ARGUMENT", "input", ["decoding took longer than allowed", "shorten the media or encode it more simply"]),
  MEDIA_TOO_SHORT: row("INVALID_ARGUMENT", "input", [
    "the clip has fewer frames than `first` must take",
    "hand in a longer clip, or choose frames evenly",
  ]),
  MEDIA_UNKNOWN: row("INVALID_ARGUMENT", "input", ["no such upload of this tenant", "upload the media first"]),
  MODEL_UNKNOWN: row("INVALID_ARGUMENT", "input", ["the farm has no such model", "list the farm's models and choose one of them"]),
  METRICS_UNKNOWN: row("INVALID_ARGUMENT", "input", [
    "the farm has no such metric repository, or it cannot compute the metric",
    "choose a repository and metrics that the farm has, or export the networks",
  ]),
  IDEMPOTENCY_CONFLICT: row("INVALID_ARGUMENT", "input", [
    "the idempotency key was used with another body",
    "choose a new key, or repeat the first body unchanged",
  ]),
  JOB_UNKNOWN: row("NOT_FOUND", "input", ["there is no such job, or none that the caller may see", "check the job id"]),
  RENDER_UNKNOWN: row("NOT_FOUND", "input", ["the job has no render at this position", "list the job's renders and choose one of them"]),
  JOB_ENDED: row("FAILED_PRECONDITION", "input", ["the job has ended", "submit a new job, or retry this one"]),
  BUDGET_USED_UP: row("RESOURCE_EXHAUSTED", "input", [
    "nothing is left of the budget",
    "ask the operator to raise it, which counts some seconds later; where it is a month's, wait for the next",
  ]),
  JOB_NOT_RETRYABLE: row("FAILED_PRECONDITION", "input", [
    "every render that was named has succeeded",
    "submit a new job; to compute it anew choose reuse `none`",
  ]),
  WORKER_UNKNOWN: row("NOT_FOUND", "input", [
    "no worker has this id, or not exactly one has this name",
    "list the workers and choose one of them by its id",
  ]),
  TASK_UNKNOWN: row("NOT_FOUND", "input", [
    "there is no such task, or none that the caller may see",
    "list the failures and choose one of them",
  ]),
  MODEL_NOT_FOUND: row("NOT_FOUND", "input", ["the farm has no model of this name", "list the farm's models and choose one of them"]),
  SUITE_UNKNOWN: row("NOT_FOUND", "input", ["the tenant has no such suite", "list the suites and choose one of them"]),
  SUITE_AMBIGUOUS: row("INVALID_ARGUMENT", "input", ["more than one suite is meant", "name one of them by its id, or more digits of it"]),
  RUN_UNKNOWN: row("NOT_FOUND", "input", [
    "there is no such benchmark run, or none that the caller may see",
    "list the runs and choose one of them",
  ]),
  RUN_AMBIGUOUS: row("INVALID_ARGUMENT", "input", ["more than one run is meant", "give more characters of the run's id"]),
  RESULTS_UNKNOWN: row("NOT_FOUND", "input", [
    "the tenant has no imported results of this name",
    "list the results and choose one of them",
  ]),
  VOTES_UNKNOWN: row("NOT_FOUND", "input", ["the tenant has no votes of this name", "import the votes first"]),
  ARTIFACT_UNKNOWN: row("NOT_FOUND", "input", ["the job has no such artifact", "get the job and choose one of its artifacts"]),
  UPLOAD_CHECKSUM_MISMATCH: row("DATA_LOSS", "transient", ["the bytes that arrived are not those announced", "upload the file again"]),
  UPLOAD_PROTOCOL: row("INVALID_ARGUMENT", "input", ["the upload's messages are out of order", "send one header, then chunks"]),
  UPLOAD_UNKNOWN: row("NOT_FOUND", "input", ["no such upload of this tenant, or it has expired", "begin another upload"]),
  UPLOAD_OFFSET_MISMATCH: row("ABORTED", "input", [
    "the upload does not go on where its stored bytes end",
    "ask GetUpload and go on at the offset that it answers",
  ]),
  UPLOAD_INCOMPLETE: row("ABORTED", "input", [
    "the stream ended before all bytes of the upload were there",
    "ask GetUpload and send the rest from the offset that it answers",
  ]),
  UPLOADS_TOO_MANY: row("RESOURCE_EXHAUSTED", "input", [
    "the tenant has 100 uploads that are begun and not finished",
    "finish one of them, or wait until some expire",
  ]),
  FARM_FULL: row("RESOURCE_EXHAUSTED", "transient", [
    "as many renders or jobs wait as the farm takes",
    "submit again when some have ended; the answer says when to ask",
  ]),
  TENANT_LIMIT_EXCEEDED: row("RESOURCE_EXHAUSTED", "input", [
    "these renders alone are more than the tenant may have open",
    "submit fewer at a time, or ask the operator to raise the limit with `vapfarm tenants set`",
  ]),
  FARM_BUSY: row("RESOURCE_EXHAUSTED", "transient", [
    "this coordinator answers as many calls of this kind as it may",
    "try again shortly; the answer says when",
  ]),
  UPLOADS_BUSY: row("RESOURCE_EXHAUSTED", "transient", ["this coordinator receives as many uploads as it may", "try again shortly"]),
  ADDRESS_REFUSED: row("INVALID_ARGUMENT", "input", [
    "the address is not one that the operator allows",
    "upload the media, or ask the operator to allow the address",
  ]),
  FETCH_FAILED: row("FAILED_PRECONDITION", "input", [
    "nothing could be fetched from the address",
    "check that the address answers, or upload the media",
  ]),
  LINK_INVALID: row("PERMISSION_DENIED", "input", [
    "the signed address has expired or was altered",
    "ask for another one with GetArtifactUrl",
  ]),
  // What is no request yet, over gRPC or HTTP.
  REQUEST_MALFORMED: row("INVALID_ARGUMENT", "input", [
    "the request cannot be read",
    "over gRPC send the method's message of farm.proto; over HTTP what /v1/openapi.json describes: valid UTF-8, one JSON object, each name once",
  ]),
  // What HTTP alone can get wrong.
  ROUTE_UNKNOWN: row("NOT_FOUND", "input", ["nothing is served under this path", "read /v1/openapi.json for the paths"]),
  METHOD_NOT_ALLOWED: row("UNIMPLEMENTED", "input", ["this path does not have this HTTP method", "use a method of the Allow header"]),
  CONTENT_TYPE_REFUSED: row("INVALID_ARGUMENT", "input", [
    "the body's content type is not served here",
    "send JSON with `content-type: application/json`, also without a body",
  ]),
  REQUEST_TOO_LARGE: row("INVALID_ARGUMENT", "input", [
    "the request is larger than 4 MiB",
    "upload media and name it by hash, or split the batch",
  ]),
  RANGE_NOT_SATISFIABLE: row("INVALID_ARGUMENT", "input", ["the range lies outside the bytes", "ask for a range inside the size"]),
  HOST_REFUSED: row("PERMISSION_DENIED", "input", [
    "the Host header names no host of this farm",
    "use localhost, an IP address or the host of VAPFARM_PUBLIC_URL",
  ]),
  CALLER_UNKNOWN: row("UNAUTHENTICATED", "input", ["the caller is not known", "send credentials that the farm knows"]),
  CALLER_NOT_ALLOWED: row("PERMISSION_DENIED", "input", ["the caller's role does not allow this", "ask the operator for the role"]),
  ...modelErrors,
  // Models and engines.
  MODEL_INVALID: row("FAILED_PRECONDITION", "engine", ["the model's folder is incomplete or damaged", "export the model again"]),
  MODEL_CHANGED: row("FAILED_PRECONDITION", "input", [
    "the model was changed while the render waited",
    "submit the render again: it is made with the model as it is now",
  ]),
  ENGINE_DIGEST_MISMATCH: row("FAILED_PRECONDITION", "engine", [
    "the engine on this worker is not the one that the task was made for",
    "roll the same model out to every worker of the pool",
  ]),
  ENGINE_LOAD_FAILED: row("FAILED_PRECONDITION", "engine", [
    "the engine could not be loaded",
    "read the cause; check files, memory and provider",
  ]),
  PROVIDER_UNAVAILABLE: row("FAILED_PRECONDITION", "engine", [
    "the execution provider that was asked for is missing or was rejected",
    "install what the provider needs or configure another provider; there is no silent fall-back to CPU",
  ]),
  STAGE_INPUT_INVALID: row("INVALID_ARGUMENT", "input", [
    "a stage's input has another name, type or shape",
    "check model and stage versions",
  ]),
  STAGE_NOT_FINITE: row("INTERNAL", "unexplained", ["a stage produced values that are not finite", "try another precision or provider"]),
  STAGE_FAILED: row("INTERNAL", "transient", ["a stage failed", "read the cause in the worker's log"]),
  STAGE_CANCELLED: row("CANCELLED", "transient", ["the work was cancelled", "nothing to do"]),
  STAGE_OUT_OF_MEMORY: row("RESOURCE_EXHAUSTED", "capacity", ["the device ran out of memory", "use a device with more memory"]),
  STAGE_HUNG: row("DEADLINE_EXCEEDED", "unexplained", ["the stage made no progress and was killed", "look at the device's health"]),
  RUNTIME_BUSY: row("UNAVAILABLE", "transient", ["the stage runtime is running another stage", "run one stage at a time on each runtime"]),
  RUNTIME_DIED: row("UNAVAILABLE", "unexplained", ["the stage runtime ended unexpectedly", "read the worker's log around that time"]),
  RUNTIME_START_FAILED: row("UNAVAILABLE", "worker", ["the stage runtime did not start", "read the worker's log"]),
  // Artifacts.
  ARTIFACT_MISSING: row("NOT_FOUND", "artifact", ["an input artifact is missing from the store", "its producer runs again"]),
  ARTIFACT_CORRUPT: row("DATA_LOSS", "artifact", [
    "an artifact's bytes do not have its hash",
    "its producer runs again; check the store's disk",
  ]),
  ARTIFACT_STORE_UNAVAILABLE: row("UNAVAILABLE", "transient", ["the artifact store does not answer", "check the store and its disk space"]),
  ARTIFACT_TOO_LARGE: row("FAILED_PRECONDITION", "input", [
    "the artifact is larger than the store takes",
    "use a folder or S3 as the store, or raise max_object_bytes in the address of the JetStream bucket",
  ]),
  MEDIA_ENCODE_FAILED: row("INTERNAL", "transient", ["ffmpeg could not encode the video", "read the cause; check disk space"]),
  FFMPEG_MISSING: row("FAILED_PRECONDITION", "worker", ["no ffmpeg was found", "install ffmpeg, or set VAPFARM_FFMPEG to its path"]),
  // Sessions and leases.
  SESSION_SUPERSEDED: row("ABORTED", "unexplained", ["another life of this worker has taken its place", "stop the older agent"]),
  SESSION_ENDED: row("ABORTED", "unexplained", ["the session was ended", "the agent opens a new session"]),
  SEQUENCE_STALE: row("ABORTED", "unexplained", ["a request came after a newer one", "nothing to do"]),
  EPOCH_MISMATCH: row("FAILED_PRECONDITION", "infrastructure", ["the farm was restored since this session began", "restart the agent"]),
  PROTOCOL_UNSUPPORTED: row("FAILED_PRECONDITION", "worker", [
    "the peer speaks a protocol version that is not supported",
    "roll out neighbouring versions",
  ]),
  POOL_PROFILE_MISMATCH: row("FAILED_PRECONDITION", "worker", [
    "the worker's profile is not its pool's",
    "put the worker into a pool of its own profile",
  ]),
  POOL_UNKNOWN: row("FAILED_PRECONDITION", "worker", ["the farm has no such pool", "configure the pool at the coordinator"]),
  LEASE_LAPSED: row("ABORTED", "unexplained", ["the lease ran out and another attempt was made", "nothing to do"]),
  WORKER_DISRUPTED: row("UNAVAILABLE", "infrastructure", [
    "the cluster took the worker away",
    "nothing to do: its tasks run again, at no cost",
  ]),
  SUSPECTED_POISON: row("FAILED_PRECONDITION", "unexplained", [
    "the task ended several workers without a known cause",
    "look at its attempts before trying it again",
  ]),
  OUTAGE_LIMIT_REACHED: row("UNAVAILABLE", "infrastructure", [
    "the worker was cut off for longer than allowed",
    "restore NATS and the coordinator",
  ]),
  // Services.
  CONFIG_INVALID: row("FAILED_PRECONDITION", "worker", ["the configuration is invalid", "correct the named settings"]),
  DATABASE_UNAVAILABLE: row("UNAVAILABLE", "infrastructure", ["Postgres does not answer", "check Postgres and DATABASE_URL"]),
  DATABASE_MIGRATION_FAILED: row("FAILED_PRECONDITION", "infrastructure", [
    "a migration failed",
    "read the cause; nothing was applied halfway",
  ]),
  DATABASE_SCHEMA_OLD: row("FAILED_PRECONDITION", "infrastructure", [
    "the database's schema is older than this release needs",
    "run `vapfarm migrate` with DATABASE_URL set, then start again",
  ]),
  DATABASE_SCHEMA_NEWER: row("FAILED_PRECONDITION", "infrastructure", [
    "the database's schema is newer than this release can work with",
    "run the release that migrated it, or restore a backup from before",
  ]),
  BACKUP_FAILED: row("FAILED_PRECONDITION", "infrastructure", ["the backup is not whole", "read the cause; look at free space"]),
  FARM_IN_USE: row("FAILED_PRECONDITION", "infrastructure", ["coordinators work on the database", "stop every coordinator first"]),
  RECOVERY_NEEDED: row("FAILED_PRECONDITION", "infrastructure", [
    "the data folder was restored and has not been recovered",
    "run `vapfarm recover` on it, then start again",
  ]),
  RECOVERY_REFUSED: row("FAILED_PRECONDITION", "infrastructure", [
    "more artifacts are missing than a restore explains",
    "check that VAPFARM_ARTIFACTS names the store of this farm; only if so, accept the losses",
  ]),
  BROKER_UNAVAILABLE: row("UNAVAILABLE", "infrastructure", ["NATS does not answer", "check NATS and NATS_URL"]),
  COORDINATOR_UNAVAILABLE: row("UNAVAILABLE", "infrastructure", ["no coordinator answers", "check that a coordinator runs"]),
  DOWNLOAD_FAILED: row("UNAVAILABLE", "infrastructure", [
    "a program that the farm needs could not be fetched",
    "install it and name its path",
  ]),
  PROCESS_START_FAILED: row("FAILED_PRECONDITION", "worker", ["a child process did not start", "read its log"]),
  KUBERNETES_UNAVAILABLE: row("UNAVAILABLE", "infrastructure", [
    "the Kubernetes API does not answer",
    "check the API server and the network policy; scaling goes on by itself",
  ]),
  KUBERNETES_REFUSED: row("FAILED_PRECONDITION", "infrastructure", [
    "the Kubernetes API refused a request",
    "check the coordinator's service account, its role, and the objects that VAPFARM_SCALING names",
  ]),
  DEADLINE_PASSED: row("DEADLINE_EXCEEDED", "transient", ["the call took longer than its deadline", "try again with more time"]),
  TRANSITION_ILLEGAL: row("INTERNAL", "unexplained", ["a state change was refused", "report this as a bug"]),
  INTERNAL: row("INTERNAL", "unexplained", ["an unexpected error", "report this as a bug, with the log"]),
} as const satisfies Readonly<Record<string, ErrorRow>>;

export type ErrorCode = keyof typeof errorTable;

/** One field that a client must correct. */
export type FieldViolation = {
  /** Path in the request, e.g. `render.references[1]`. */
  readonly field: string;
  readonly reason: string;
  readonly remedy: string;
};

export type ErrorDetails = {
  readonly fields?: readonly FieldViolation[];
  /** Plain facts for people and logs, never secrets. */
  readonly [fact: string]: unknown;
};

export type FarmErrorOptions = {
  /** What happened in this case; the table's message when absent. */
  readonly message?: string;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
};

/** The farm's only exception: its code decides everything else. */
export class FarmError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, options: FarmErrorOptions = {}) {
    super(options.message ?? errorTable[code].message, { cause: options.cause });
    this.name = "FarmError";
    this.code = code;
    this.details = options.details ?? {};
  }

  /** The code's row: status, class, remedy. */
  get row(): ErrorRow {
    return errorTable[this.code];
  }

  /** Whether the same call may succeed later without any change. */
  get retry(): boolean {
    return this.row.errorClass === "transient" || this.row.errorClass === "infrastructure";
  }
}

/** Tells whether a string from the wire is a code of the table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

/** Makes any thrown value a FarmError, keeping it as the cause. */
export function toFarmError(thrown: unknown, code: ErrorCode = "INTERNAL"): FarmError {
  if (thrown instanceof FarmError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new FarmError(code, { message, cause: thrown });
}

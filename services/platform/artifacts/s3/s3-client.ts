/**
 * The connection to S3 or a store that speaks its protocol, and where artifacts lie in it.
 *
 * Credentials are those that the AWS environment holds (variables, web identity, instance role), found by the SDK's own chain. The SDK tries
 * each request again that failed for a passing reason (reset, 5xx, SlowDown), with growing pauses; every request has a limit on connecting, on
 * its answer and on silence. Bodies are hashed here, not by the SDK: one SHA-256 names the artifact and checks it.
 */
import { S3Client } from "@aws-sdk/client-s3";
import { relativePathOf } from "../artifact-name.ts";

export type S3Settings = {
  /** AWS's when absent. */
  readonly endpoint: string | undefined;
  /** The AWS environment's when absent. */
  readonly region: string | undefined;
  /** The bucket in the path instead of the host's name. */
  readonly pathStyle: boolean;
  /** Whether presigned addresses are given out, and under which endpoint others reach the store. */
  readonly presign?: { readonly endpoint: string | undefined };
};

/** How the store behaves over time; tests shorten it. */
export type S3Timings = {
  /** For stat and the first answer of a get, with the SDK's tries. */
  readonly answerMs: number;
  /** For a delete with its tries, under a row's lock. */
  readonly deleteMs: number;
  /** Longest silence in a body. */
  readonly idleMs: number;
  /** For one part with its body. */
  readonly partMs: number;
  /** For one request, try by try. */
  readonly requestMs: number;
  readonly tries: number;
};

export const usualTimings: S3Timings = {
  answerMs: 20_000,
  deleteMs: 4_000,
  idleMs: 20_000,
  partMs: 180_000,
  requestMs: 90_000,
  tries: 4,
};

/** A bucket and the prefix below which the farm's artifacts lie. */
export type S3Place = {
  readonly client: S3Client;
  readonly bucket: string;
  /** Empty or ending with a slash. */
  readonly prefix: string;
  readonly timings: S3Timings;
};

/** Bucket and key of an artifact, laid out as the folder store lays out its files. */
export function objectOf({ bucket, prefix }: Pick<S3Place, "bucket" | "prefix">, sha256: string): { Bucket: string; Key: string } {
  return { Bucket: bucket, Key: `${prefix}${relativePathOf(sha256)}` };
}

const connectMs = 3_000;
/** Of downloads too, which hold their connection for as long as their reader takes. */
const mostConnections = 256;
/** What a store that has no regions takes. */
const anyRegion = "us-east-1";

/** A client that has not connected yet. */
export function createClient({ endpoint, region, pathStyle }: S3Settings, timings: S3Timings): S3Client {
  const agent = { keepAlive: true, maxSockets: mostConnections };
  return new S3Client({
    maxAttempts: timings.tries,
    retryMode: "standard",
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    forcePathStyle: pathStyle,
    ...(endpoint === undefined ? {} : { endpoint, region: region ?? anyRegion }),
    ...(region === undefined ? {} : { region }),
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: timings.requestMs,
      throwOnRequestTimeout: true,
      // Twice the silence that a reader bears: it is the reader who goes on elsewhere.
      socketTimeout: 2 * timings.idleMs,
      socketAcquisitionWarningTimeout: timings.requestMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

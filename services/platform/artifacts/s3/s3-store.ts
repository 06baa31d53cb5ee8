/**
 * Artifacts as objects of a bucket of S3, or of a store that speaks its protocol: `<prefix>/<first two hex digits>/<hash>`.
 *
 * No real S3 was run against this: the tests use `moto` behind a proxy that breaks what it can (docs/decisions/0022).
 */
import { DeleteObjectCommand, GetObjectCommand, HeadBucketCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { FarmError } from "../../../domain/errors.ts";
import { createSlots } from "../../slots.ts";
import { checkName } from "../artifact-name.ts";
import type { ArtifactStat, OpenStore, PresignedLink } from "../artifact-store.ts";
import { bounded } from "../bounded.ts";
import { createClient, objectOf, type S3Place, type S3Settings, type S3Timings, usualTimings } from "./s3-client.ts";
import { failureOf, isAbsent, statusOf } from "./s3-failure.ts";
import { getObject } from "./s3-get.ts";
import { putObject } from "./s3-put.ts";

/** Files put at a time, each with a few parts in memory. */
const putsAtATime = 4;

export type S3Address = { readonly bucket: string; readonly prefix: string };

/** Opens the bucket, which must be there. CONFIG_INVALID when it cannot be used as it is named. */
export async function openS3Store(address: S3Address, settings: S3Settings, timings: S3Timings = usualTimings): Promise<OpenStore> {
  const client = createClient(settings, timings);
  const place: S3Place = { client, timings, ...address };
  try {
    await requireBucket(place);
  } catch (thrown) {
    client.destroy();
    throw thrown;
  }
  const puts = createSlots(putsAtATime);
  const presigner = settings.presign === undefined ? undefined : openPresigner(place, settings, settings.presign.endpoint);
  return {
    backend: "s3",
    put: (sha256, path, signal) => {
      checkName(sha256);
      return puts.use(signal, () => putObject(place, { sha256, path }, signal));
    },
    get: (sha256, range, signal) => {
      checkName(sha256);
      return getObject({ place, sha256, signal }, range);
    },
    stat: (sha256) => statOf(place, sha256),
    delete: (sha256) => deleteObject(place, sha256),
    ...(presigner === undefined ? {} : { presignedGet: (sha256, link) => presign({ ...place, client: presigner }, sha256, link) }),
    close() {
      client.destroy();
      presigner?.destroy();
      return Promise.resolve();
    },
  };
}

/** Says in words why a bucket cannot be used; one that does not answer may come back. */
async function requireBucket({ client, bucket, timings }: S3Place): Promise<void> {
  try {
    const command = new HeadBucketCommand({ Bucket: bucket });
    await bounded({ ms: timings.answerMs, what: "opening the bucket" }, (abortSignal) => client.send(command, { abortSignal }));
  } catch (thrown) {
    const reason = refusalOf(thrown);
    if (reason === undefined) throw failureOf(thrown, "opening the bucket");
    throw new FarmError("CONFIG_INVALID", { message: `VAPFARM_ARTIFACTS: the bucket "${bucket}" ${reason}`, cause: thrown });
  }
}

function refusalOf(thrown: unknown): string | undefined {
  switch (statusOf(thrown)) {
    case 404:
      return "is not there; make it, the farm does not";
    case 403:
      return "refuses these credentials (s3:ListBucket)";
    case 301:
    case 400:
      return "is in another region (set VAPFARM_ARTIFACTS_S3_REGION), or the credentials have expired";
    default:
      break;
  }
  const name = thrown instanceof Error ? thrown.name : "";
  if (name === "CredentialsProviderError") return "cannot be asked: the AWS environment has no credentials";
  return /region is missing/i.test(thrown instanceof Error ? thrown.message : "")
    ? "has no region; set VAPFARM_ARTIFACTS_S3_REGION"
    : undefined;
}

async function statOf(place: S3Place, sha256: string): Promise<ArtifactStat | undefined> {
  const command = new HeadObjectCommand(objectOf(place, sha256));
  try {
    const { ContentLength } = await bounded({ ms: place.timings.answerMs, what: "a stat" }, (abortSignal) =>
      place.client.send(command, { abortSignal }),
    );
    return { sizeBytes: ContentLength ?? 0 };
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw failureOf(thrown, "a stat");
  }
}

async function deleteObject(place: S3Place, sha256: string): Promise<void> {
  const command = new DeleteObjectCommand(objectOf(place, sha256));
  try {
    await bounded({ ms: place.timings.deleteMs, what: "a delete" }, (abortSignal) => place.client.send(command, { abortSignal }));
  } catch (thrown) {
    if (!isAbsent(thrown)) throw failureOf(thrown, "a delete");
  }
}

/** Signs for the endpoint under which others reach the store: the host is part of what is signed. */
function openPresigner({ timings }: S3Place, settings: S3Settings, endpoint: string | undefined): S3Client {
  return createClient({ ...settings, endpoint: endpoint ?? settings.endpoint }, timings);
}

/** Nothing is sent: the address is made here. */
async function presign(place: S3Place, sha256: string, { expiresMs, fileName, mediaType, isShown }: PresignedLink): Promise<string> {
  const command = new GetObjectCommand({
    ...objectOf(place, sha256),
    ResponseContentType: mediaType,
    ResponseContentDisposition: `${isShown ? "inline" : "attachment"}; filename="${fileName}"`,
    ResponseCacheControl: "private, immutable",
  });
  try {
    return await getSignedUrl(place.client, command, { expiresIn: Math.max(1, Math.floor(expiresMs / 1_000)) });
  } catch (thrown) {
    throw failureOf(thrown, "presigning");
  }
}

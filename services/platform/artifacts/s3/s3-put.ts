/**
 * Puts a file: in one request up to a part's size, else in parts.
 *
 * Invariants: what is sent is hashed as it is read, and becomes visible only after the hash turned out to be the name: a small file is hashed
 * before it is sent, an upload in parts is completed last. Each request carries the SHA-256 of its body, so that a store that checks it refuses
 * bytes that changed on the way. At most `partsAtATime` parts of a file lie in memory, and `puts` bounds the files. A put that fails takes its
 * parts back; what a crash leaves, the bucket's lifecycle rule removes (RUNBOOK).
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  type CompletedPart,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { FarmError, toFarmError } from "../../../domain/errors.ts";
import { bounded } from "../bounded.ts";
import { checked } from "../checked.ts";
import { objectOf, type S3Place } from "./s3-client.ts";
import { failureOf, isUploadGone } from "./s3-failure.ts";
import { getObject } from "./s3-get.ts";

const leastPartBytes = 8 * 1024 * 1024;
/** S3 takes ten thousand. */
const mostParts = 9_000;
const partsAtATime = 3;
const readBytes = 1024 * 1024;
const takeBackMs = 10_000;

type Put = { readonly place: S3Place; readonly sha256: string; readonly file: FileHandle; readonly sizeBytes: number };

/** Stores a file under its hash. */
export async function putObject(
  place: S3Place,
  { sha256, path }: { readonly sha256: string; readonly path: string },
  signal?: AbortSignal,
): Promise<void> {
  const file = await open(path, "r").catch((thrown: unknown) => {
    throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
  });
  try {
    const { size: sizeBytes } = await file.stat();
    const put: Put = { place, sha256, file, sizeBytes };
    await (sizeBytes <= leastPartBytes ? putAtOnce(put, signal) : putInParts(put, signal));
  } catch (thrown) {
    throw failureOf(thrown, "a put");
  } finally {
    await file.close();
  }
}

async function putAtOnce({ place, sha256, file, sizeBytes }: Put, signal: AbortSignal | undefined): Promise<void> {
  const whole = createHash("sha256");
  const body = await readPart(file, { start: 0, length: sizeBytes }, [whole]);
  const digest = whole.digest();
  requireName(sha256, digest);
  const command = new PutObjectCommand({
    ...objectOf(place, sha256),
    Body: body,
    ContentLength: body.length,
    ChecksumSHA256: digest.toString("base64"),
  });
  await bounded({ ms: place.timings.partMs, what: "a put", signal }, (abortSignal) => place.client.send(command, { abortSignal }));
}

function requireName(sha256: string, digest: Buffer): void {
  const found = digest.toString("hex");
  if (found === sha256) return;
  throw new FarmError("ARTIFACT_CORRUPT", { message: `the bytes hash to ${found}, not to the announced ${sha256}` });
}

async function putInParts(put: Put, signal: AbortSignal | undefined): Promise<void> {
  const { client, timings } = put.place;
  const target = objectOf(put.place, put.sha256);
  const begin = new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: "SHA256" });
  const { UploadId } = await bounded({ ms: timings.answerMs, what: "beginning an upload", signal }, (abortSignal) =>
    client.send(begin, { abortSignal }),
  );
  if (UploadId === undefined) throw new FarmError("ARTIFACT_STORE_UNAVAILABLE", { message: "S3 began an upload without an id" });
  const upload = { ...target, UploadId };
  try {
    await complete(put, { ...upload, MultipartUpload: { Parts: await sendParts(put, upload, signal) } }, signal);
  } catch (thrown) {
    await takeBack(put.place, upload);
    throw thrown;
  }
}

/** When the answer to a completion is lost, its repeat finds no upload: then what lies there tells. */
async function complete(put: Put, upload: CompleteMultipartUploadCommandInput, signal: AbortSignal | undefined): Promise<void> {
  const { place } = put;
  const command = new CompleteMultipartUploadCommand(upload);
  const bound = { ms: place.timings.partMs, what: "completing an upload", signal };
  try {
    await bounded(bound, (abortSignal) => place.client.send(command, { abortSignal }));
  } catch (thrown) {
    if (!isUploadGone(thrown) || !(await liesThere(put, signal))) throw thrown;
  }
}

/** Reads it all: an older object of this name may be the damaged one that this put replaces. */
async function liesThere({ place, sha256 }: Put, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const pieces = checked(await getObject({ place, sha256, signal }, undefined), sha256)[Symbol.asyncIterator]();
    while ((await pieces.next()).done !== true) continue;
    return true;
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown;
    return false;
  }
}

type UploadName = { readonly Bucket: string; readonly Key: string; readonly UploadId: string };

/** Sends every part, then compares the hash of them all: a mismatch leaves nothing that can be read. */
async function sendParts(put: Put, upload: UploadName, signal: AbortSignal | undefined): Promise<CompletedPart[]> {
  const partBytes = Math.max(leastPartBytes, Math.ceil(put.sizeBytes / mostParts));
  const whole = createHash("sha256");
  const stopping = new AbortController();
  const ending = signal === undefined ? stopping.signal : AbortSignal.any([signal, stopping.signal]);
  const running = new Set<Promise<void>>();
  const done: CompletedPart[] = [];
  try {
    for (let start = 0, number = 1; start < put.sizeBytes; start += partBytes, number += 1) {
      const hash = createHash("sha256");
      const body = await readPart(put.file, { start, length: Math.min(partBytes, put.sizeBytes - start) }, [whole, hash]);
      const part = { ...upload, PartNumber: number, Body: body, ChecksumSHA256: hash.digest("base64") };
      const sending = sendPart(put.place, part, ending).then((sent) => void done.push(sent));
      running.add(sending);
      sending.then(() => running.delete(sending)).catch(() => undefined);
      if (running.size >= partsAtATime) await Promise.race(running);
    }
    await Promise.all(running);
  } catch (thrown) {
    stopping.abort();
    // None lands after the upload is taken back.
    await Promise.allSettled(running);
    throw thrown;
  }
  requireName(put.sha256, whole.digest());
  return done.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
}

type Part = UploadName & { readonly PartNumber: number; readonly Body: Buffer; readonly ChecksumSHA256: string };

async function sendPart({ client, timings }: S3Place, part: Part, signal: AbortSignal): Promise<CompletedPart> {
  const { PartNumber, ChecksumSHA256, Body } = part;
  const command = new UploadPartCommand({ ...part, ContentLength: Body.length });
  const { ETag } = await bounded({ ms: timings.partMs, what: `part ${PartNumber} of a put`, signal }, (abortSignal) =>
    client.send(command, { abortSignal }),
  );
  return { PartNumber, ETag, ChecksumSHA256 };
}

/** What cannot be taken back goes by the bucket's lifecycle rule; why the put failed matters more. */
async function takeBack({ client }: S3Place, upload: UploadName): Promise<void> {
  const abort = new AbortMultipartUploadCommand(upload);
  await bounded({ ms: takeBackMs, what: "taking an upload back" }, (abortSignal) => client.send(abort, { abortSignal })).catch(
    () => undefined,
  );
}

/** Bytes of a file, hashed piece by piece, so that no hash holds the process for long. */
async function readPart(
  file: FileHandle,
  { start, length }: { readonly start: number; readonly length: number },
  hashes: readonly Hash[],
): Promise<Buffer> {
  const part = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(part, filled, Math.min(readBytes, length - filled), start + filled);
    if (bytesRead === 0) throw new FarmError("ARTIFACT_CORRUPT", { message: "the file became shorter while it was put" });
    for (const hash of hashes) hash.update(part.subarray(filled, filled + bytesRead));
    filled += bytesRead;
  }
  return part;
}

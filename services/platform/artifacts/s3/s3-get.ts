/**
 * Reads an object as a stream that outlives its connections.
 *
 * A body that breaks, ends early or falls silent is asked for again from the byte where it ended, of the same object (If-Match). When
 * that has been replaced meanwhile, the new one has the same name, so the same bytes: the reading goes on in it. What never gets on ends with
 * ARTIFACT_STORE_UNAVAILABLE. Back-pressure reaches S3: nothing is read ahead but the socket's own buffers.
 */
import { GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand } from "@aws-sdk/client-s3";
import type { Readable } from "node:stream";
import { FarmError } from "../../../domain/errors.ts";
import { pause, withDeadline } from "../../deadline.ts";
import type { ByteRange } from "../artifact-store.ts";
import { bounded, cancelled } from "../bounded.ts";
import { emptyBytes } from "../empty-bytes.ts";
import { objectOf, type S3Place } from "./s3-client.ts";
import { failureOf, isRangeOutside, isReplaced } from "./s3-failure.ts";

/** Breaks that are borne before so many bytes have come again. */
const mostBreaks = 6;
const progressBytes = 32 * 1024;
const firstPauseMs = 50;

export type Reading = { readonly place: S3Place; readonly sha256: string; readonly signal: AbortSignal | undefined };

/** A body and what it holds. */
type Opened = {
  readonly body: Readable;
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
  readonly objectBytes: number;
  readonly tag: string | undefined;
  readonly close: () => void;
};

/** Opens it, so that what is missing is told before anything is read. */
export async function getObject(reading: Reading, range: ByteRange | undefined): Promise<AsyncIterable<Uint8Array>> {
  try {
    if (range !== undefined && range.end <= range.start) {
      await head(reading);
      return emptyBytes();
    }
    return readThrough(reading, await ask(reading, { range }));
  } catch (thrown) {
    if (!isRangeOutside(thrown)) throw failureOf(thrown, "a get");
    return emptyBytes();
  }
}

async function head({ place, sha256, signal }: Reading): Promise<void> {
  const command = new HeadObjectCommand(objectOf(place, sha256));
  await bounded({ ms: place.timings.answerMs, what: "a get", signal }, (abortSignal) => place.client.send(command, { abortSignal }));
}

type Ask = { readonly range: ByteRange | undefined; readonly tag?: string | undefined };

async function ask({ place, sha256, signal }: Reading, { range, tag }: Ask): Promise<Opened> {
  const command = new GetObjectCommand({
    ...objectOf(place, sha256),
    ...(range === undefined ? {} : { Range: `bytes=${range.start}-${range.end - 1}` }),
    ...(tag === undefined ? {} : { IfMatch: tag }),
  });
  // Ends the body too, for as long as it is read.
  const ending = new AbortController();
  const close = (): void => ending.abort();
  try {
    const abortSignal = ending.signal;
    const answer = await bounded({ ms: place.timings.answerMs, what: "a get", signal }, () => place.client.send(command, { abortSignal }));
    return { ...spanOf(answer, range), tag: answer.ETag, close };
  } catch (thrown) {
    close();
    throw thrown;
  }
}

/** What was answered, held against what was asked. */
function spanOf(
  { Body, ContentLength, ContentRange }: GetObjectCommandOutput,
  range: ByteRange | undefined,
): Omit<Opened, "tag" | "close"> {
  const body = Body as Readable | undefined;
  if (body === undefined || ContentLength === undefined) throw strange("without a body or its length");
  if (range === undefined) return { body, start: 0, end: ContentLength, objectBytes: ContentLength };
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? "");
  if (found === null) throw strange("without the range that was asked for");
  const [start = 0, last = 0, objectBytes = 0] = found.slice(1).map(Number);
  const end = Math.min(range.end, objectBytes);
  if (start !== range.start || last + 1 !== end) throw strange("with another range than was asked for");
  return { body, start, end, objectBytes };
}

function strange(how: string): FarmError {
  return new FarmError("ARTIFACT_STORE_UNAVAILABLE", { message: `a get was answered ${how}` });
}

async function* readThrough(reading: Reading, first: Opened): AsyncGenerator<Uint8Array> {
  const { end, objectBytes } = first;
  let opened = first;
  let at = first.start;
  let breaks = 0;
  let mark = at;
  for (;;) {
    try {
      for await (const piece of piecesOf(opened, reading)) {
        at += piece.length;
        if (at > end) throw strange("with more bytes than it announced");
        yield piece;
      }
      if (at === end) return;
      throw strange("with fewer bytes than it announced");
    } catch (thrown) {
      if (reading.signal?.aborted === true) throw cancelled();
      if (at > end) throw thrown;
      breaks = at - mark >= progressBytes ? 1 : breaks + 1;
      mark = at;
      if (breaks > mostBreaks) throw failureOf(thrown, "a get");
    }
    if (at === end) return;
    await pause(firstPauseMs * 2 ** (breaks - 1), reading.signal);
    opened = await askAgain(reading, { range: { start: at, end }, tag: opened.tag }, objectBytes);
  }
}

async function* piecesOf({ body, close }: Opened, { place, signal }: Reading): AsyncGenerator<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const leave = (): void => void body.destroy(cancelled());
  signal?.addEventListener("abort", leave, { once: true });
  try {
    for (;;) {
      const silence = { ms: place.timings.idleMs, code: "ARTIFACT_STORE_UNAVAILABLE", what: "waiting for bytes of a get" } as const;
      const next = await withDeadline(pieces.next(), silence);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    signal?.removeEventListener("abort", leave);
    close();
    body.destroy();
  }
}

async function askAgain(reading: Reading, again: Ask, objectBytes: number): Promise<Opened> {
  const opened = await ask(reading, again)
    .catch((thrown: unknown) => {
      if (isReplaced(thrown)) return ask(reading, { range: again.range });
      throw thrown;
    })
    .catch((thrown: unknown) => {
      throw failureOf(thrown, "a get");
    });
  if (opened.objectBytes === objectBytes) return opened;
  opened.close();
  throw strange("with an object of another size than it had");
}

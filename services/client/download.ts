/**
 * Artifacts, whole or a range, through broken streams: each byte once, in order, and the hash checked of what is whole.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../domain/errors.ts";
import type { Artifact } from "../gen/proto/vapfarm/v1/farm.ts";
import { writeAll } from "../platform/write-all.ts";
import type { FarmCalls } from "./calls.ts";
import { createPatience, type PatienceOptions } from "./patience.ts";
import { writeWhole } from "./whole-file.ts";

/** Which bytes. */
export type ArtifactAddress = {
  readonly jobId: string;
  /** E.g. "mp4", or "input_image" for what a render starts from. */
  readonly name: string;
  /** Of the render within its job; else 0. */
  readonly position?: number | undefined;
  /** Else all of it. */
  readonly range?: ByteRange | undefined;
};

/** `length` undefined: to the end. */
export type ByteRange = { readonly offset: number; readonly length: number | undefined };

/** What a download tells while it goes on. */
export type DownloadOptions = PatienceOptions & {
  readonly onArtifact?: ((artifact: Artifact) => void) | undefined;
  readonly onProgress?: ((receivedBytes: number, totalBytes: number) => void) | undefined;
};

type DownloadCalls = Pick<FarmCalls, "downloadArtifact">;

/** The bytes, as they come; throws ARTIFACT_CORRUPT after the last one when they are not what the farm said. */
export async function* readArtifact(
  calls: DownloadCalls,
  address: ArtifactAddress,
  options: DownloadOptions = {},
): AsyncGenerator<Uint8Array> {
  const patience = createPatience(options);
  const reading = new Reading(address);
  for (;;) {
    try {
      for await (const message of calls.downloadArtifact(reading.request(), { signal: options.signal })) {
        patience.answered();
        if (message.artifact !== undefined && reading.begin(message.artifact)) options.onArtifact?.(message.artifact);
        if (message.chunk.length === 0) continue;
        reading.take(message.chunk);
        options.onProgress?.(reading.received, reading.expected());
        yield message.chunk;
      }
      reading.check();
      return;
    } catch (thrown) {
      await patience.failed(thrown);
      if (reading.isComplete()) return;
    }
  }
}

/** What one download has so far. */
class Reading {
  received = 0;
  readonly #address: ArtifactAddress;
  readonly #hash = createHash("sha256");
  #artifact: Artifact | undefined;

  constructor(address: ArtifactAddress) {
    this.#address = address;
  }

  request() {
    const { jobId, name, position, range } = this.#address;
    const left = range?.length === undefined ? 0 : range.length - this.received;
    return {
      jobId,
      name,
      renderPosition: position ?? 0,
      offsetBytes: BigInt((range?.offset ?? 0) + this.received),
      lengthBytes: BigInt(left),
    };
  }

  /** Whether this is the first that is heard of it; a job that was retried meanwhile may have other bytes under the name. */
  begin(artifact: Artifact): boolean {
    const isFirst = this.#artifact === undefined;
    if (this.#artifact !== undefined && this.#artifact.sha256 !== artifact.sha256) {
      throw new FarmError("ARTIFACT_CORRUPT", { message: `${artifact.name} changed while it was downloaded` });
    }
    this.#artifact = artifact;
    return isFirst;
  }

  take(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.received += chunk.length;
  }

  expected(): number {
    const { range } = this.#address;
    const toTheEnd = Math.max(0, Number(this.#artifact?.sizeBytes ?? 0n) - (range?.offset ?? 0));
    return Math.min(range?.length ?? toTheEnd, toTheEnd);
  }

  /** A stream may break between its last byte and its end. */
  isComplete(): boolean {
    if (this.#artifact === undefined || this.received < this.expected()) return false;
    this.check();
    return true;
  }

  check(): void {
    const artifact = this.#artifact;
    if (artifact === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the download did not say what it is" });
    const isWhole = this.#address.range === undefined;
    if (this.received !== this.expected() || (isWhole && this.#hash.copy().digest("hex") !== artifact.sha256)) {
      const message = `${artifact.name}: the bytes are not what the farm said`;
      throw new FarmError("ARTIFACT_CORRUPT", { message, details: { artifact: artifact.name } });
    }
  }
}

/** Writes the file whole or not at all. */
export async function download(
  calls: DownloadCalls,
  to: ArtifactAddress & { readonly path: string },
  options: DownloadOptions = {},
): Promise<Artifact> {
  return writeWhole(to.path, async (file) => {
    let artifact: Artifact | undefined;
    const onArtifact = (told: Artifact): void => {
      artifact = told;
      options.onArtifact?.(told);
    };
    for await (const chunk of readArtifact(calls, to, { ...options, onArtifact })) await writeAll(file, chunk);
    if (artifact === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the download did not say what it is" });
    return artifact;
  });
}

/**
 * Files in and out of gRPC streams: chunks of 256 KiB, and writes that appear whole or not at all.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FarmError } from "../domain/errors.ts";
import type { Artifact, DownloadArtifactResponse } from "../gen/proto/vapfarm/v1/farm.ts";

const chunkBytes = 256 * 1024;

/** A file in chunks that fit one message. */
export async function* readChunks(path: string): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) yield chunk as Buffer;
}

/** FIELD_INVALID naming the option unless the path is a readable file. */
export async function requireFile(option: string, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() === true) return;
  const reason = found === undefined ? `there is no file ${path}` : `${path} is no file`;
  const fields = [{ field: option, reason, remedy: "name an image or video file" }];
  throw new FarmError("FIELD_INVALID", { message: `${option}: ${reason}`, details: { fields } });
}

/** Writes a file through one beside it: synced, then renamed. On any failure nothing is left. */
export async function writeWhole<T>(path: string, fill: (file: FileHandle, partialPath: string) => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.${randomUUID()}.partial`;
  const file = await open(partial, "wx");
  try {
    const result = await fill(file, partial);
    await file.sync();
    await file.close();
    await rename(partial, path);
    return result;
  } catch (thrown) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw thrown;
  }
}

/** Writes a download; ARTIFACT_CORRUPT when the bytes do not have the hash that the farm told. */
export async function writeVerified(path: string, messages: AsyncIterable<DownloadArtifactResponse>): Promise<Artifact> {
  return writeWhole(path, async (file) => {
    const hash = createHash("sha256");
    let artifact: Artifact | undefined;
    for await (const message of messages) {
      artifact ??= message.artifact;
      hash.update(message.chunk);
      await file.write(message.chunk);
    }
    if (artifact === undefined) throw new FarmError("PROTOCOL_UNSUPPORTED", { message: "the download did not say what it is" });
    if (hash.digest("hex") !== artifact.sha256) throw new FarmError("ARTIFACT_CORRUPT", { details: { artifact: artifact.name } });
    return artifact;
  });
}

const fileEndings: Readonly<Record<string, string>> = { mp4: "mp4", latents: "latents.safetensors", frames: "frames.safetensors" };

/** Where an output of a render is written. */
export function renderOutputPath(folder: string, id: string, output: string): string {
  return join(folder, `${id}.${fileEndings[output] ?? "bin"}`);
}

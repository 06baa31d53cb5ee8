/**
 * A still image as the reference reads it: PIL's `Image.open(path).convert("RGB")`, decoded in a process of its own (`image-child`).
 *
 * So: no colour management (an embedded profile is ignored), no rotation by EXIF, alpha dropped instead of blended, grey spread over three
 * channels, the first frame of an animation. libvips decodes JPEG with the same transform and chroma upsampling as PIL; measured equal
 * to the last bit on the golden images. Not equal: CMYK JPEG and 16-bit PNG, which PIL converts in ways of its own.
 */
import { fileURLToPath } from "node:url";
import { FarmError } from "../../domain/errors.ts";
import type { MediaLimits } from "./limits.ts";
import { type MediaExit, runMediaProcess } from "./media-process.ts";
import { type PnmConsumer, PnmStream } from "./pnm-stream.ts";

export type ImageDecoder = { readonly limits: MediaLimits; readonly signal: AbortSignal };

/** JavaScript's own heap in the child; pixels do not lie there. */
const heapMib = 64;
const childPath = fileURLToPath(new URL("./image-child.ts", import.meta.url));

/**
 * One thread each, because threads reserve address space that is limited; loaders that libvips calls untrusted stay off.
 */
const environment = { LC_ALL: "C", MALLOC_ARENA_MAX: "1", UV_THREADPOOL_SIZE: "1", VIPS_BLOCK_UNTRUSTED: "1", VIPS_CONCURRENCY: "1" };

const noMemory = /out of memory|insufficient memory|cannot allocate|failed to allocate|allocation failed|bad_alloc/i;
const exitDamaged = 65;

/** Decodes an image whose format was sniffed before and hands it out as frame 0, uint8 [height,width,3]. Damage is MEDIA_TRUNCATED. */
export async function readImage(path: string, decoder: ImageDecoder, consumer: PnmConsumer): Promise<void> {
  const { limits, signal } = decoder;
  const seconds = Math.max(1, Math.ceil(limits.decodeMs / 1000));
  const numbers = [limits.pixelsPerFrame, limits.memoryBytes, seconds].map(String);
  const args = [`--max-old-space-size=${heapMib}`, "--disable-warning=ExperimentalWarning", childPath, path, ...numbers];
  const stream = new PnmStream(consumer);
  const run = { program: process.execPath, args, environment, signal, missing: "PROCESS_START_FAILED" } as const;
  const exit = await runMediaProcess(run, async ({ stdin, stdout }) => {
    stdin.end();
    for await (const chunk of stdout) stream.push(chunk as Uint8Array);
    return "all";
  });
  judge(exit, limits);
}

function judge({ exitCode, killedBy, log }: MediaExit, limits: MediaLimits): void {
  if (exitCode === 0) return;
  const reason = log.trim().split("\n").slice(-3).join("; ");
  if (/pixel limit/i.test(log))
    throw new FarmError("MEDIA_TOO_LARGE", { message: `the image has more than ${limits.pixelsPerFrame} pixels` });
  if (noMemory.test(log))
    throw new FarmError("MEDIA_TOO_LARGE", { message: "decoding needs more memory than allowed", details: { reason } });
  if (exitCode === exitDamaged && /timeout/i.test(log)) throw new FarmError("MEDIA_TIMEOUT");
  if (exitCode === exitDamaged) throw new FarmError("MEDIA_TRUNCATED", { message: `the image is damaged: ${reason}` });
  if (killedBy !== null) throw new FarmError("MEDIA_NOT_DECODABLE", { message: `the decoder ended with ${killedBy}`, details: { reason } });
  throw new FarmError("PROCESS_START_FAILED", { message: `the image decoder ended with ${exitCode ?? "nothing"}: ${reason}` });
}

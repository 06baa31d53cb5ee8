/**
 * The messages of an upload: one header, then chunks of a bounded size, each within a wait.
 */
import { FarmError } from "../../domain/errors.ts";
import { withDeadline } from "../../platform/deadline.ts";

const maxChunkBytes = 256 * 1024;

/** Chunks one by one. */
export type ChunkReader = {
  /** Undefined at the end of the stream. */
  next(): Promise<Buffer | undefined>;
};

/** A message of UploadMedia, or of another method of its form. */
type UploadMessage<Header> = {
  readonly part?: { readonly $case: "header"; readonly value: Header } | { readonly $case: "chunk"; readonly value: Buffer } | undefined;
};

/** Reads the header; UPLOAD_PROTOCOL when something else comes first. */
export async function readUpload<Header>(
  messages: AsyncIterable<UploadMessage<Header>>,
  idleMs: number,
): Promise<{ readonly header: Header; readonly chunks: ChunkReader }> {
  const iterator = messages[Symbol.asyncIterator]();
  const next = (): Promise<IteratorResult<UploadMessage<Header>>> =>
    withDeadline(iterator.next(), { ms: idleMs, what: "the wait for the upload's next message" });
  const first = await next();
  if (first.done === true || first.value.part?.$case !== "header") {
    throw new FarmError("UPLOAD_PROTOCOL", { message: "the first message must be the header" });
  }
  const chunks: ChunkReader = {
    async next() {
      const message = await next();
      return message.done === true ? undefined : chunkOf(message.value);
    },
  };
  return { header: first.value.part.value, chunks };
}

function chunkOf({ part }: UploadMessage<unknown>): Buffer {
  if (part?.$case !== "chunk") throw new FarmError("UPLOAD_PROTOCOL", { message: "after the header come chunks only" });
  if (part.value.length <= maxChunkBytes) return part.value;
  throw new FarmError("UPLOAD_PROTOCOL", { message: `a chunk of ${part.value.length} bytes; at most ${maxChunkBytes} are allowed` });
}

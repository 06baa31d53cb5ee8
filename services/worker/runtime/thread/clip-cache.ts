/**
 * Decoded clips, most recently used last, within a budget of bytes: the metrics of one clip come one after the other, and decode it once.
 *
 * A clip is named by the SHA-256 of its file, so that it is found whatever attempt brings it. Where a file has no colour tags its two streams
 * are one. The newest is always kept, however large. Frames are shared: nobody writes to them.
 */
import { hashFile } from "../../../platform/artifacts/fetch.ts";
import { type Clip, type ColourStream, readClip } from "../../../platform/media/clip-reader.ts";
import type { VideoDecoder } from "../../../platform/media/video.ts";

export type ClipRequest = {
  readonly path: string;
  readonly stream: ColourStream;
  readonly decoder: VideoDecoder;
  readonly onFrame: (frames: number) => void;
};

export type ClipCache = {
  /** The clip, decoded now unless it is there. For one caller at a time, as the inference thread is. */
  read(request: ClipRequest): Promise<Clip>;
};

/** An empty cache. */
export function createClipCache(budgetBytes: number): ClipCache {
  // Insertion order is order of use.
  const clips = new Map<string, Clip>();
  const makeRoom = (): void => {
    let bytes = [...clips.values()].reduce((sum, clip) => sum + bytesOf(clip), 0);
    for (const [key, clip] of clips) {
      if (bytes <= budgetBytes || clips.size === 1) return;
      clips.delete(key);
      bytes -= bytesOf(clip);
    }
  };
  const find = (keys: readonly string[]): Clip | undefined => {
    for (const key of keys) {
      const clip = clips.get(key);
      if (clip === undefined) continue;
      clips.delete(key);
      clips.set(key, clip);
      return clip;
    }
    return undefined;
  };
  return {
    async read({ path, stream, decoder, onFrame }) {
      const { sha256 } = await hashFile(path, decoder.signal);
      const known = find([`${sha256} ${stream}`, `${sha256} untagged`]);
      if (known !== undefined) return known;
      const clip = await readClip(path, { stream, onFrame }, decoder);
      clips.set(`${sha256} ${clip.facts.isTagged ? stream : "untagged"}`, clip);
      makeRoom();
      return clip;
    },
  };
}

function bytesOf({ frames }: Clip): number {
  return frames.reduce((sum, frame) => sum + frame.byteLength, 0);
}

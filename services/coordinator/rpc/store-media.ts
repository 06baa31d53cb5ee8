/**
 * What becomes of a whole media file, however it came: decoded once within limits, then stored.
 *
 * Order (design §4.12): the artifact's row is pending before its bytes are put, and the upload's row comes last, so that a failure
 * at any point leaves at most bytes and a pending row, which collection removes. Decoding is bounded: at most so many files at a time on
 * one coordinator.
 */
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import type { MediaStore, UploadView } from "../store/store-contract.ts";
import type { Slots } from "../../platform/slots.ts";

/** What decoding a file once told of it. */
export type MediaFacts = Pick<UploadView, "kind" | "width" | "height" | "frames" | "mediaType">;

/** What it takes to look at a file. */
export type InspectMedia = {
  readonly inspect: (path: string, signal: AbortSignal) => Promise<MediaFacts>;
  readonly inspections: Slots;
};

/** What it takes to look at a file and to store it. */
export type KeepMedia = InspectMedia & {
  readonly store: Pick<MediaStore, "announceUpload" | "commitUpload">;
  readonly artifacts: Pick<ArtifactStore, "put">;
};

/** What the file is; throws what is wrong with it. */
export async function inspectMedia({ inspect, inspections }: InspectMedia, path: string, signal: AbortSignal): Promise<MediaFacts> {
  const facts = await inspections.use(signal, () => inspect(path, signal));
  signal.throwIfAborted();
  return { kind: facts.kind, width: facts.width, height: facts.height, frames: facts.frames, mediaType: facts.mediaType };
}

type Kept = { readonly upload: UploadView; readonly path: string };

/** Puts the bytes and makes them an upload of the tenant. Idempotent. */
export async function keepMedia(keep: Pick<KeepMedia, "store" | "artifacts">, { upload, path }: Kept, signal?: AbortSignal): Promise<void> {
  await keep.store.announceUpload(upload);
  await keep.artifacts.put(upload.sha256, path, signal);
  await keep.store.commitUpload(upload);
}

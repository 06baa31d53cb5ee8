/**
 * The messages of SubmitManifest: one header, then renders, each within a wait; digested as they come.
 */
import { createHash } from "node:crypto";
import { ManifestHeader, ManifestRenders, type RenderSpec, type SubmitManifestRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { readParted, requireFew } from "./parted-messages.ts";

/** A manifest as it comes. */
export type ManifestStream = {
  readonly header: ManifestHeader;
  /** The renders of each message, once. */
  readonly renders: AsyncIterable<readonly RenderSpec[]>;
  /** SHA-256 of header and renders as they were sent, the idempotency key apart, however they were cut into messages; after the last of them. */
  readonly digest: () => string;
};

/** Reads the header; REQUEST_MALFORMED when something else comes first. */
export async function readManifest(
  messages: AsyncIterable<SubmitManifestRequest>,
  waiting: { readonly idleMs: number; readonly signal: AbortSignal },
): Promise<ManifestStream> {
  const { header, parts } = await readParted<ManifestHeader, "renders", ManifestRenders>(messages, {
    what: "manifest",
    parts: "renders",
    ...waiting,
  });
  const hash = createHash("sha256").update("SubmitManifest\n");
  hash.update(ManifestHeader.encode({ ...header, idempotencyKey: "", validateOnly: false }).finish());
  return { header, renders: rendersOf(parts, (bytes) => hash.update(bytes)), digest: () => hash.digest("hex") };
}

async function* rendersOf(
  parts: AsyncIterable<ManifestRenders>,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<readonly RenderSpec[]> {
  for await (const { renders } of parts) {
    requireFew("renders", renders);
    for (const render of renders) onBytes(digested(render));
    yield renders;
  }
}

/** With its length, so that two manifests of other renders have other bytes. */
function digested(render: RenderSpec): Uint8Array {
  return ManifestRenders.encode({ renders: [render] }).finish();
}

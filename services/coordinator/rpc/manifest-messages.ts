/**
 * The messages of SubmitManifest: one header, then renders, each within a wait; digested as they come.
 */
import { createHash } from "node:crypto";
import { FarmError } from "../../domain/errors.ts";
import { refuseAny, violation } from "../../domain/field-rules.ts";
import { ManifestHeader, ManifestRenders, type RenderSpec, type SubmitManifestRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { whileWaitedFor } from "../../platform/grpc/handlers.ts";

const maxRendersOfMessage = 1_000;

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
  { idleMs, signal }: { readonly idleMs: number; readonly signal: AbortSignal },
): Promise<ManifestStream> {
  const iterator = messages[Symbol.asyncIterator]();
  // A stream whose caller has gone may neither end nor fail.
  const next = (): Promise<IteratorResult<SubmitManifestRequest>> =>
    whileWaitedFor(signal, () => withDeadline(iterator.next(), { ms: idleMs, what: "the wait for the manifest's next message" }));
  const first = await next();
  if (first.done === true || first.value.part?.$case !== "header") {
    throw new FarmError("REQUEST_MALFORMED", { message: "the first message of a manifest must be its header" });
  }
  const header = first.value.part.value;
  const hash = createHash("sha256").update("SubmitManifest\n");
  hash.update(ManifestHeader.encode({ ...header, idempotencyKey: "", validateOnly: false }).finish());
  return { header, renders: rendersOf(next, (bytes) => hash.update(bytes)), digest: () => hash.digest("hex") };
}

async function* rendersOf(
  next: () => Promise<IteratorResult<SubmitManifestRequest>>,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<readonly RenderSpec[]> {
  for (let message = await next(); message.done !== true; message = await next()) {
    const { part } = message.value;
    if (part?.$case !== "renders")
      throw new FarmError("REQUEST_MALFORMED", { message: "after the header of a manifest come renders only" });
    const { renders } = part.value;
    const { length } = renders;
    const isFitting = length >= 1 && length <= maxRendersOfMessage;
    refuseAny(isFitting ? [] : [violation("renders", `has ${length} renders`, `send 1 to ${maxRendersOfMessage} in a message`)]);
    for (const render of renders) onBytes(digested(render));
    yield renders;
  }
}

/** With its length, so that two manifests of other renders have other bytes. */
function digested(render: RenderSpec): Uint8Array {
  return ManifestRenders.encode({ renders: [render] }).finish();
}

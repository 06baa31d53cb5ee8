/**
 * The farm's signing key, read once: it never changes.
 */
import type { OverviewStore } from "../store/store-contract.ts";

/** Answers the key; a read that failed is tried again at the next ask. */
export function createSigningKey(store: Pick<OverviewStore, "signingKey">): () => Promise<Uint8Array> {
  let known: Promise<Uint8Array> | undefined;
  return () => {
    known ??= store.signingKey().catch((thrown: unknown) => {
      known = undefined;
      throw thrown;
    });
    return known;
  };
}

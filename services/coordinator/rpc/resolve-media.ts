/**
 * Media that a request carries itself, or names by an address: what they are, without storing them.
 *
 * Invariants: nothing is stored before `commit`; what is resolved lies in temporary files until `commit` or `discard`, so whoever asked
 * calls one of the two for each; equal sources of one call are fetched and decoded once. What is wrong with a source is a violation that
 * names its field; what is wrong with the farm is thrown, after everything was discarded. One call fetches a few addresses at a time and
 * keeps a bounded number of bytes on disk.
 */
import { createHash, randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { RuleViolation } from "../../domain/field-rules.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import type { AddressFetcher } from "../../platform/fetch/address-fetcher.ts";
import type { MediaStore, UploadView } from "../store/store-contract.ts";
import type { Slots } from "../../platform/slots.ts";
import { inspectMedia, type KeepMedia, keepMedia } from "./store-media.ts";

/** A source that has no row yet; `field` is where the request names it. */
export type MediaAsk =
  // As long as the form of media allows.
  | { readonly kind: "inline"; readonly bytes: Uint8Array; readonly field: string }
  | { readonly kind: "uri"; readonly uri: string; readonly field: string };

/** Decoded, hashed and not stored yet. */
export type FoundMedia = {
  /** As it will be stored. */
  readonly upload: UploadView;
  /** Stores it, as UploadMedia does. Safe to call for each of several equal sources. */
  commit(): Promise<void>;
  /** Removes what is left of it; safe to call twice and after `commit`. */
  discard(): Promise<void>;
};

/** What came of an ask. */
export type ResolvedMedia = FoundMedia | { readonly violation: RuleViolation };

/** Finds out what bytes and addresses are. */
export type MediaResolver = {
  /** An outcome for each ask, in order. */
  resolve(asks: readonly MediaAsk[], context: { readonly tenant: string; readonly signal: AbortSignal }): Promise<readonly ResolvedMedia[]>;
};

/** What a resolver works with. */
export type ResolverDependencies = KeepMedia & {
  readonly store: Pick<MediaStore, "findUploads">;
  readonly fetcher: AddressFetcher;
  /** How many addresses all calls of this coordinator fetch from at a time. */
  readonly fetches: Slots;
  /** Exists. */
  readonly temporaryFolder: string;
  readonly maxBytes: number;
  /** Of all addresses of one call together. */
  readonly maxBytesOfCall: number;
};

type Context = { readonly tenant: string; readonly signal: AbortSignal };
/** Bytes that one call may still fetch. */
type Budget = { left: number };

/** A resolver over one set of rules. */
export function createMediaResolver(dependencies: ResolverDependencies): MediaResolver {
  return {
    async resolve(asks, context) {
      const budget: Budget = { left: dependencies.maxBytesOfCall };
      const abort = new AbortController();
      const call = { ...context, signal: AbortSignal.any([context.signal, abort.signal]) };
      const known = new Map<string, Promise<ResolvedMedia>>();
      const outcomes = asks.map((ask) => {
        const key = keyOf(ask);
        const outcome = known.get(key) ?? resolveOne(dependencies, { ask, budget, ...call });
        known.set(key, outcome);
        return outcome.then((resolved) => asOf(ask, resolved));
      });
      for (const outcome of outcomes) outcome.catch(() => abort.abort());
      const settled = await Promise.allSettled(outcomes);
      const failure = firstFailure(settled, abort.signal);
      if (failure === undefined) return settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      for (const one of settled) if (one.status === "fulfilled" && "upload" in one.value) await one.value.discard();
      throw failure;
    },
  };
}

/** What failed first, not what was then called off. */
function firstFailure(settled: readonly PromiseSettledResult<ResolvedMedia>[], calledOff: AbortSignal): FarmError | undefined {
  if (!settled.some(({ status }) => status === "rejected")) return undefined;
  const failures = settled.flatMap((one) => (one.status === "rejected" ? [toFarmError(one.reason)] : []));
  return failures.find(({ code }) => !(calledOff.aborted && code === "STAGE_CANCELLED")) ?? failures[0];
}

function keyOf(ask: MediaAsk): string {
  return ask.kind === "uri" ? `uri ${ask.uri}` : `inline ${createHash("sha256").update(ask.bytes).digest("hex")}`;
}

/** Equal sources share an outcome; each names its own field. */
function asOf({ field }: MediaAsk, resolved: ResolvedMedia): ResolvedMedia {
  return "violation" in resolved ? { violation: { ...resolved.violation, field } } : resolved;
}

type One = Context & { readonly ask: MediaAsk; readonly budget: Budget };

async function resolveOne(dependencies: ResolverDependencies, one: One): Promise<ResolvedMedia> {
  const path = join(dependencies.temporaryFolder, `source-${randomUUID()}`);
  try {
    await bring(dependencies, one, path);
    return foundMedia(dependencies, await inspectSource(dependencies, one, path), path);
  } catch (thrown) {
    await rm(path, { force: true });
    if (one.signal.aborted) throw new FarmError("STAGE_CANCELLED", { message: "the request was cancelled", cause: thrown });
    const error = toFarmError(thrown);
    if (error.row.errorClass !== "input") throw error;
    return { violation: violationOf(one.ask, error) };
  }
}

async function bring(dependencies: ResolverDependencies, { ask, budget, signal }: One, path: string): Promise<void> {
  if (ask.kind === "inline") {
    await writeFile(path, ask.bytes, { flag: "wx", mode: 0o600 }).catch((thrown: unknown) => {
      throw toFarmError(thrown, "ARTIFACT_STORE_UNAVAILABLE");
    });
    return;
  }
  const refusal = dependencies.fetcher.refusalOf(ask.uri);
  if (refusal !== undefined) throw new FarmError("ADDRESS_REFUSED", { message: refusal });
  await dependencies.fetches.use(signal, () =>
    dependencies.fetcher.fetchTo({ address: ask.uri, path, maxBytes: Math.min(dependencies.maxBytes, budget.left) }, signal),
  );
}

async function inspectSource(dependencies: ResolverDependencies, { ask, budget, tenant, signal }: One, path: string): Promise<UploadView> {
  const { sha256, sizeBytes } = await hashFile(path, signal);
  if (ask.kind === "uri") budget.left -= sizeBytes;
  if (sizeBytes === 0) throw new FarmError("MEDIA_EMPTY", { message: "has no bytes" });
  if (budget.left < 0)
    throw new FarmError("MEDIA_TOO_LARGE", { message: "the addresses of one request hold more bytes than are allowed together" });
  const [known] = await dependencies.store.findUploads(tenant, [sha256]);
  if (known !== undefined) return known;
  return { ...(await inspectMedia(dependencies, path, signal)), sha256, sizeBytes, tenant };
}

function foundMedia(dependencies: ResolverDependencies, upload: UploadView, path: string): FoundMedia {
  let committing: Promise<void> | undefined;
  const discard = (): Promise<void> => rm(path, { force: true });
  return {
    upload,
    discard,
    commit: () => (committing ??= keepMedia(dependencies, { upload, path }).finally(discard)),
  };
}

/** How a source's own fault reads for the field that names it. */
function violationOf({ field }: MediaAsk, error: FarmError): RuleViolation {
  return { field, reason: error.message, remedy: error.row.remedy, code: error.code };
}

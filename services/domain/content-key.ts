/**
 * Content keys: what a task is named by, so that equal work is done once (design §3).
 *
 * Invariants: the encoding is unambiguous (canonical JSON: sorted keys, arrays in order, one spelling per
 * number), so two keys are equal exactly when everything that may change the result is. The hash is an
 * argument: this module stays free of any runtime.
 */
import { FarmError } from "./errors.ts";
import type { ContentKey } from "./ids.ts";
import { stageCodeVersion, type StageName } from "./stage.ts";

/** SHA-256 of bytes as 64 lower-case hexadecimal digits. */
export type Sha256Function = (bytes: Uint8Array) => string;

/** Raised when the encoding changes: every key changes with it. */
const keyVersion = 2;

/** Where an input comes from: an upload's bytes, or an output of the task that a key names. */
export type KeyedInput =
  { readonly kind: "upload"; readonly sha256: string } | { readonly kind: "task"; readonly contentKey: string; readonly output: string };

export type KeyParts = {
  readonly sharingDomain: string;
  readonly stage: StageName;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
  /** Whose workers run it: a task waits for them, so renders of two pools share none. */
  readonly pool: string;
  readonly profile: string;
  readonly parameters: unknown;
  /** What the model's manifest says that the stage relies on beyond its engines. */
  readonly constants: unknown;
  readonly inputs: Readonly<Record<string, KeyedInput>>;
};

/** JSON with one spelling for each value: keys sorted by code unit. Throws FIELD_INVALID for what JSON cannot hold. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") return canonicalObject(value);
  throw new FarmError("FIELD_INVALID", { message: `a content key cannot hold a ${typeof value} that JSON cannot` });
}

function canonicalObject(value: object): string {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const sorted = members.sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${sorted.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(",")}}`;
}

/** The key of a task. */
export function contentKey(parts: KeyParts, sha256: Sha256Function): ContentKey {
  const text = canonicalJson({ keyVersion, codeVersion: stageCodeVersion(parts.stage), ...parts });
  return sha256(new TextEncoder().encode(text)) as ContentKey;
}

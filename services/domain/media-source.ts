/**
 * The form of media in a request: exactly one of hash, bytes and address.
 *
 * Pure. What the bytes are, and whether an address is allowed, is found out when they are resolved.
 */
import { type RuleViolation, violation, type Violations } from "./field-rules.ts";
import { isSha256 } from "./ids.ts";
import type { MediaSource } from "./render-request.ts";

/** The most bytes that a request carries of one media. */
export const maxInlineBytes = 1024 * 1024;
const maxUriCharacters = 2_048;

/** Where the bytes of a well-formed source come from. */
export type MediaOrigin =
  | { readonly kind: "upload"; readonly sha256: string }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "uri"; readonly uri: string };

/** The one origin that is given; undefined when there is none or more than one. */
export function originOf(source: MediaSource): MediaOrigin | undefined {
  const given = originsOf(source);
  return given.length === 1 ? given[0] : undefined;
}

function originsOf({ sha256, inline, uri = "" }: MediaSource): readonly MediaOrigin[] {
  const given: MediaOrigin[] = [];
  if (sha256 !== "") given.push({ kind: "upload", sha256 });
  if (inline !== undefined && inline.length > 0) given.push({ kind: "inline", bytes: inline });
  if (uri !== "") given.push({ kind: "uri", uri });
  return given;
}

/** What is wrong with a source as it is written. */
export function mediaFormRule(field: string, source: MediaSource): Violations {
  const given = originsOf(source);
  const [origin] = given;
  if (origin === undefined) return [violation(field, "names no media", "give `sha256`, `inline` or `uri`")];
  if (given.length > 1) {
    const names = given.map(({ kind }) => (kind === "upload" ? "sha256" : kind)).join(" and ");
    return [violation(field, `gives ${names}`, "give exactly one of `sha256`, `inline` and `uri`")];
  }
  return originRule(field, origin);
}

function originRule(field: string, origin: MediaOrigin): Violations {
  switch (origin.kind) {
    case "upload":
      if (isSha256(origin.sha256)) return [];
      return [violation(field, "is no SHA-256 in lower-case hex", "use the sha256 that the upload answered")];
    case "inline":
      return origin.bytes.length <= maxInlineBytes ? [] : [tooLong(field, origin.bytes.length)];
    case "uri":
      return isAddress(origin.uri) ? [] : [violation(field, "has a uri that is no https:// or s3:// address", "give such an address")];
  }
}

function tooLong(field: string, bytes: number): RuleViolation {
  return violation(field, `has ${bytes} bytes inline, more than ${maxInlineBytes}`, "upload the media and name its SHA-256");
}

function isAddress(uri: string): boolean {
  return uri.length <= maxUriCharacters && /^(https|s3):\/\/[^\s\0]+$/.test(uri) && uri.isWellFormed() && URL.canParse(uri);
}

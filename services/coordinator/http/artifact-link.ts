/**
 * Signed addresses of artifacts: pure. `/a/<job>/<position>/<name>?sha256=<hash>&expires=<unix seconds>&signature=<base64url>`.
 *
 * The signature is the HMAC-SHA256 of all that the address names, with a key that all coordinators of the farm share, so any of them
 * serves it, without asking the database before it is known to be the farm's own.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { isArtifactName, isJobId, isSha256 } from "../../domain/ids.ts";

/** What a signed address leads to, and until when. */
export type ArtifactLink = {
  readonly jobId: string;
  readonly position: number;
  readonly name: string;
  readonly sha256: string;
  /** Seconds since 1970. */
  readonly expiresAt: number;
};

const prefix = "/a/";

/** Whether a path is one of these addresses, well-formed or not. */
export function isLinkPath(pathname: string): boolean {
  return pathname.startsWith(prefix);
}

/** Path and query of a link. */
export function signLink(link: ArtifactLink, key: Uint8Array): string {
  const { jobId, position, name, sha256, expiresAt } = link;
  const query = new URLSearchParams({ sha256, expires: String(expiresAt), signature: signatureOf(link, key).toString("base64url") });
  return `${prefix}${jobId}/${position}/${name}?${query.toString()}`;
}

function signatureOf({ jobId, position, name, sha256, expiresAt }: ArtifactLink, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(["artifact-link-1", jobId, position, name, sha256, expiresAt].join("\n")).digest();
}

/** The link that an address holds; undefined when it was altered, or never was one. Whether it has expired is another question. */
export function verifyLink(url: URL, key: Uint8Array): ArtifactLink | undefined {
  const [jobId = "", position = "", name = "", ...rest] = url.pathname.slice(prefix.length).split("/");
  const sha256 = url.searchParams.get("sha256") ?? "";
  const expires = url.searchParams.get("expires") ?? "";
  const isFormed =
    isJobId(jobId) && isNumber(position) && isArtifactName(name) && rest.length === 0 && isSha256(sha256) && isNumber(expires);
  if (!isFormed) return undefined;
  const link = { jobId, position: Number(position), name, sha256, expiresAt: Number(expires) };
  const given = Buffer.from(url.searchParams.get("signature") ?? "", "base64url");
  const right = signatureOf(link, key);
  return given.length === right.length && timingSafeEqual(given, right) ? link : undefined;
}

/** Canonical decimal: another spelling of the same number is another address. */
function isNumber(text: string): boolean {
  return /^(0|[1-9]\d{0,11})$/.test(text);
}

/**
 * GET and HEAD of signed addresses, with ranges (RFC 9110).
 *
 * Invariants: nothing is looked up before the signature was found right; altered, expired and unsigned addresses are one answer (403); what
 * is served is the very artifact that was signed, so the hash is a strong entity tag. A whole body is hashed on the way, and cut short
 * instead of ending when its bytes do not have their name. Back-pressure reaches the store, and a client that goes ends the read.
 *
 * Where the store gives out presigned addresses, a GET is sent on to one that lasts as long as the link: the bytes then go past this
 * process, and the same was asked before. The farm's own pages allow no other origin and ask for the bytes themselves (`via=farm`).
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FarmError } from "../../domain/errors.ts";
import type { ArtifactStore } from "../../platform/artifacts/artifact-store.ts";
import { checked } from "../../platform/artifacts/checked.ts";
import type { HttpRoute } from "../../platform/http.ts";
import { type ByteRange, contentRange, isRangeWanted, parseByteRange } from "../../platform/http/byte-range.ts";
import type { Logger } from "../../platform/logging.ts";
import type { ArtifactView, MediaStore } from "../store/store-contract.ts";
import { type ArtifactLink, isLinkPath, verifyLink } from "./artifact-link.ts";

/** What the route works with. */
export type SignedArtifactOptions = {
  readonly store: Pick<MediaStore, "artifactOfRender">;
  readonly artifacts: Pick<ArtifactStore, "get" | "presignedGet">;
  readonly signingKey: () => Promise<Uint8Array>;
  readonly now: () => Date;
  readonly logger: Logger;
  /** Answers a failure, or cuts an answer that has begun. */
  readonly fail: (response: ServerResponse, thrown: unknown, headers?: Readonly<Record<string, string>>) => void;
};

const routeName = "/a/{link}";

/** The route of everything under /a/. */
export function createSignedArtifactRoute(options: SignedArtifactOptions): HttpRoute {
  return async (request, response, url) => {
    if (!isLinkPath(url.pathname)) return undefined;
    try {
      await answer(options, { request, response, url });
    } catch (thrown) {
      options.fail(response, thrown);
    }
    return routeName;
  };
}

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly url: URL };

async function answer(options: SignedArtifactOptions, { request, response, url }: Exchange): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    options.fail(response, new FarmError("METHOD_NOT_ALLOWED"), { allow: "GET, HEAD" });
    return;
  }
  const { link, artifact } = await findSigned(options, url);
  const tag = `"${artifact.sha256}"`;
  const common = headersOf(artifact, link, options.now());
  if (isKnown(request.headers["if-none-match"], tag)) {
    response.writeHead(304, common).end();
    return;
  }
  if (request.method === "GET" && (await sendOn(options, { response, url }, { link, artifact }))) return;
  const wanted = isRangeWanted(request.headers["if-range"]?.toString(), tag) ? request.headers.range : undefined;
  const range = parseByteRange(wanted, artifact.sizeBytes);
  if (range.kind === "unsatisfiable") {
    options.fail(response, new FarmError("RANGE_NOT_SATISFIABLE"), { "content-range": contentRange(range, artifact.sizeBytes) });
    return;
  }
  const bytes = request.method === "HEAD" ? undefined : await bytesOf(options.artifacts, artifact, range);
  response.writeHead(range.kind === "whole" ? 200 : 206, { ...common, ...lengthHeaders(range, artifact) });
  if (bytes === undefined) response.end();
  else await send(options.logger, response, bytes);
}

type Signed = { readonly link: ArtifactLink; readonly artifact: ArtifactView };

/** False: the bytes are answered here. */
async function sendOn(
  { artifacts, now }: SignedArtifactOptions,
  { response, url }: Pick<Exchange, "response" | "url">,
  { link, artifact }: Signed,
): Promise<boolean> {
  if (artifacts.presignedGet === undefined || url.searchParams.get("via") === "farm") return false;
  const { mediaType, sha256 } = artifact;
  const location = await artifacts.presignedGet(sha256, {
    expiresMs: link.expiresAt * 1000 - now().getTime(),
    fileName: fileNameOf(artifact, link),
    mediaType,
    isShown: isShown(mediaType),
  });
  response.writeHead(307, { location, "cache-control": "private, no-store", "referrer-policy": "no-referrer" }).end();
  return true;
}

/** What was signed and is still there. */
async function findSigned(options: SignedArtifactOptions, url: URL): Promise<Signed> {
  const link = verifyLink(url, await options.signingKey());
  if (link === undefined || link.expiresAt * 1000 <= options.now().getTime()) throw new FarmError("LINK_INVALID");
  const artifact = await options.store.artifactOfRender(undefined, link);
  if (artifact?.sha256 === link.sha256) return { link, artifact };
  throw new FarmError("ARTIFACT_UNKNOWN", { message: "the artifact is not there any more" });
}

/** If-None-Match compares weakly. */
function isKnown(header: string | undefined, tag: string): boolean {
  return (header ?? "").split(",").some((one) => one.trim() === "*" || one.trim().replace(/^W\//, "") === tag);
}

function isShown(mediaType: string): boolean {
  return mediaType.startsWith("image/") || mediaType.startsWith("video/");
}

function fileNameOf({ name, mediaType }: ArtifactView, { jobId, position }: ArtifactLink): string {
  return `${jobId}-${position}-${name}${extensions[mediaType] ?? ""}`;
}

function headersOf(artifact: ArtifactView, link: ArtifactLink, now: Date): Record<string, string> {
  const { mediaType, sha256 } = artifact;
  return {
    etag: `"${sha256}"`,
    "accept-ranges": "bytes",
    "cache-control": `private, max-age=${Math.max(0, link.expiresAt - Math.ceil(now.getTime() / 1000))}, immutable`,
    "content-disposition": `${isShown(mediaType) ? "inline" : "attachment"}; filename="${fileNameOf(artifact, link)}"`,
    "content-type": mediaType,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
}

const extensions: Readonly<Record<string, string>> = {
  "video/mp4": ".mp4",
  "video/webm": ".webm",
  "video/quicktime": ".mov",
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/webp": ".webp",
};

type Sent = Exclude<ByteRange, { kind: "unsatisfiable" }>;

function lengthHeaders(range: Sent, { sizeBytes }: ArtifactView): Record<string, string> {
  if (range.kind === "whole") return { "content-length": String(sizeBytes) };
  return { "content-length": String(range.length), "content-range": contentRange(range, sizeBytes) };
}

async function bytesOf(
  artifacts: SignedArtifactOptions["artifacts"],
  { sha256 }: ArtifactView,
  range: Sent,
): Promise<AsyncIterable<Uint8Array>> {
  if (range.kind === "whole") return checked(await artifacts.get(sha256), sha256);
  return await artifacts.get(sha256, { start: range.offset, end: range.offset + range.length });
}

async function send(logger: Logger, response: ServerResponse, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(Readable.from(bytes, { objectMode: false }), response);
  } catch (thrown) {
    // The head is out: a broken connection is all that can still be told, and often it is the client that went.
    logger.debug({ err: thrown }, "an artifact was not sent to its end");
    response.destroy();
  }
}

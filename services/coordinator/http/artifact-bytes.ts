/**
 * DownloadArtifact as plain bytes: GET and HEAD, one range, the SHA-256 as entity tag.
 *
 * A stream that breaks after the head was sent cuts the connection, so that nobody takes a part for the whole.
 */
import type { ServerResponse } from "node:http";
import { FarmError } from "../../domain/errors.ts";
import { type Artifact, DownloadArtifactRequest, DownloadArtifactResponse } from "../../gen/proto/vapfarm/v1/farm.ts";
import { type ByteRange, contentRange, isRangeWanted, parseByteRange } from "../../platform/http/byte-range.ts";
import { requestBytes } from "../../platform/protojson/request.ts";
import type { RpcMethod } from "../../platform/protojson/service-map.ts";
import { type Exchange, streamDeadlineMs, writePiece } from "./exchange.ts";

/** Answers with an artifact's bytes, or the range of them that is asked for. */
export async function sendArtifact(exchange: Exchange, method: RpcMethod): Promise<void> {
  const { request, response } = exchange;
  const asked = DownloadArtifactRequest.decode(requestBytes(method, exchange.parameters, undefined));
  if (asked.offsetBytes !== 0n || asked.lengthBytes !== 0n) {
    throw new FarmError("REQUEST_MALFORMED", { message: "over HTTP the Range header asks for a part" });
  }
  if (request.method !== "HEAD" && request.headers.range === undefined) {
    await stream(exchange, method, { asked, range: { kind: "whole" } });
    return;
  }
  const artifact = await factsOf(exchange, method, asked);
  const isWanted = isRangeWanted(request.headers["if-range"], entityTag(artifact));
  const range = parseByteRange(isWanted ? request.headers.range : undefined, Number(artifact.sizeBytes));
  if (range.kind === "unsatisfiable") {
    const headers = { "content-range": contentRange(range, Number(artifact.sizeBytes)) };
    exchange.fail(response, new FarmError("RANGE_NOT_SATISFIABLE"), headers);
  } else if (request.method === "HEAD") {
    writeHead(response, artifact, range);
    response.end();
  } else await stream(exchange, method, { asked, range });
}

type Sent = Exclude<ByteRange, { kind: "unsatisfiable" }>;

/** Asks for one byte: the first message says what the artifact is. */
async function factsOf(exchange: Exchange, method: RpcMethod, asked: DownloadArtifactRequest): Promise<Artifact> {
  for await (const message of messages(exchange, method, { ...asked, lengthBytes: 1n })) {
    if (message.artifact !== undefined) return message.artifact;
  }
  throw new FarmError("INTERNAL", { message: "a download began without its artifact" });
}

async function stream(
  exchange: Exchange,
  method: RpcMethod,
  { asked, range }: { asked: DownloadArtifactRequest; range: Sent },
): Promise<void> {
  const { request, response, signal } = exchange;
  const part = range.kind === "part" ? { offsetBytes: BigInt(range.offset), lengthBytes: BigInt(range.length) } : {};
  for await (const { artifact, chunk } of messages(exchange, method, { ...asked, ...part })) {
    if (artifact !== undefined && !response.headersSent) {
      if (isKnown(request.headers["if-none-match"], artifact)) {
        response.writeHead(304, { etag: entityTag(artifact) });
        break;
      }
      writeHead(response, artifact, range);
    }
    if (chunk.length > 0) await writePiece(response, chunk, signal);
  }
  response.end();
}

async function* messages({ client, call }: Exchange, method: RpcMethod, asked: DownloadArtifactRequest) {
  const bytes = DownloadArtifactRequest.encode(asked).finish();
  for await (const message of client.serverStream(method.grpcPath, bytes, { ...call, deadlineMs: streamDeadlineMs })) {
    yield DownloadArtifactResponse.decode(message);
  }
}

function writeHead(response: ServerResponse, artifact: Artifact, range: Sent): void {
  const size = Number(artifact.sizeBytes);
  response.writeHead(range.kind === "part" ? 206 : 200, {
    "content-type": artifact.mediaType === "" ? "application/octet-stream" : artifact.mediaType,
    "content-length": range.kind === "part" ? range.length : size,
    ...(range.kind === "part" ? { "content-range": contentRange(range, size) } : {}),
    "accept-ranges": "bytes",
    etag: entityTag(artifact),
    // A retried render may have another result under the same name.
    "cache-control": "private, no-cache",
    "content-disposition": `attachment; filename="${artifact.name.replace(/[^A-Za-z0-9_.-]/g, "_")}"`,
    "x-content-type-options": "nosniff",
  });
}

function entityTag({ sha256 }: Artifact): string {
  return `"${sha256}"`;
}

function isKnown(ifNoneMatch: string | undefined, artifact: Artifact): boolean {
  const tags = (ifNoneMatch ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes(entityTag(artifact)) || tags.includes("*");
}

/**
 * PUT /v1/uploads/{upload_id}?offset_bytes=N: a body of any size, streamed on as the messages of UploadMedia.
 *
 * Bytes go on as they arrive, so that what arrived before a connection broke is the farm's; the farm reading slowly slows the sender down.
 */
import type { IncomingMessage } from "node:http";
import { UploadMediaHeader, UploadMediaRequest } from "../../gen/proto/vapfarm/v1/farm.ts";
import { binaryToJson, encodeMessage, readJson } from "../../platform/protojson/json-message.ts";
import { parametersToJson } from "../../platform/protojson/query.ts";
import { messageOf, type RpcMethod } from "../../platform/protojson/service-map.ts";
import { type Exchange, sendJson, streamDeadlineMs } from "./exchange.ts";

const maxChunkBytes = 256 * 1024;

/** Passes the body on and answers with the media. */
export async function receiveMedia(exchange: Exchange, method: RpcMethod): Promise<void> {
  const { request, response, parameters, map, client, call } = exchange;
  const type = messageOf(map, "vapfarm.v1.UploadMediaHeader");
  const header = UploadMediaHeader.decode(encodeMessage(type, readJson(type, parametersToJson(type, parameters))));
  const answer = await client.clientStream(method.grpcPath, messages(header, request), { ...call, deadlineMs: streamDeadlineMs });
  sendJson(response, binaryToJson(method.output, answer, map.registry));
}

async function* messages(header: UploadMediaHeader, request: IncomingMessage): AsyncGenerator<Uint8Array> {
  yield UploadMediaRequest.encode({ part: { $case: "header", value: header } }).finish();
  // Ending the loop early must leave the connection whole: the answer is still to be sent on it.
  for await (const bytes of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    for (let start = 0; start < bytes.length; start += maxChunkBytes) {
      const value = bytes.subarray(start, start + maxChunkBytes);
      yield UploadMediaRequest.encode({ part: { $case: "chunk", value } }).finish();
    }
  }
}

/**
 * Client streams over HTTP (POST /v1/jobs:manifest, /v1/suites): a body of JSON lines, each a message of the method, streamed on as they come.
 *
 * A line is bounded as a message is, the body is not: what is read goes on at once, and the farm reading slowly slows the sender down.
 */
import type { IncomingMessage } from "node:http";
import { StringDecoder } from "node:string_decoder";
import { FarmError } from "../../domain/errors.ts";
import { binaryToJson, encodeMessage, readJsonText } from "../../platform/protojson/json-message.ts";
import type { RpcMethod } from "../../platform/protojson/service-map.ts";
import { type Exchange, sendJson, streamDeadlineMs } from "./exchange.ts";

// JSON spells bytes in base64, a third longer.
const maxLineCharacters = 6 * 1024 * 1024;

/** Passes the lines on and answers as the method does. */
export async function receiveLines(exchange: Exchange, method: RpcMethod): Promise<void> {
  const { request, response, map, client, call } = exchange;
  const type = (request.headers["content-type"] ?? "").toLowerCase();
  if (!/^application\/(x-ndjson|jsonl)\s*(;|$)/.test(type)) {
    throw new FarmError("CONTENT_TYPE_REFUSED", { message: "lines of messages are sent with `content-type: application/x-ndjson`" });
  }
  const answer = await client.clientStream(method.grpcPath, messages(method, request), { ...call, deadlineMs: streamDeadlineMs });
  sendJson(response, binaryToJson(method.output, answer, map.registry));
}

async function* messages({ input }: RpcMethod, request: IncomingMessage): AsyncGenerator<Uint8Array> {
  let number = 0;
  for await (const line of linesOf(request)) {
    number += 1;
    if (line.trim() === "") continue;
    yield encodeMessage(
      input,
      reading(number, () => readJsonText(input, line)),
    );
  }
}

/** A fault of a line says which. */
function reading<T>(number: number, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof FarmError)) throw thrown;
    throw new FarmError(thrown.code, { message: `line ${number}: ${thrown.message}`, details: thrown.details, cause: thrown });
  }
}

async function* linesOf(request: IncomingMessage): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  // Ending the loop early must leave the connection whole: the answer is still to be sent on it.
  for await (const bytes of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.write(bytes)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > maxLineCharacters) throw new FarmError("REQUEST_TOO_LARGE");
  }
  rest += decoder.end();
  if (rest !== "") yield rest;
}

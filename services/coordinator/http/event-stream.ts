/**
 * A watch as server-sent events, so that a browser's EventSource follows a job through lost connections and restarts.
 *
 * `id` is the number of an event from the log, `event` says what the data are (`event`, `progress`), a last `end` says that the watch ended in
 * order. A stream that ends without it is to be resumed: EventSource comes again by itself, with `Last-Event-ID`.
 *
 * The head of the answer waits for the first message, so that a watch that is refused has its own HTTP status; a watch of which nothing is
 * heard for a moment is open. While the farm is merely unavailable an EventSource is given a stream that ends, not an error status: after one
 * it would never come again. A resumed watch without anything more is 204, which tells it to stop.
 */
import { requestBytes } from "../../platform/protojson/request.ts";
import { binaryToJson } from "../../platform/protojson/json-message.ts";
import type { RpcMethod } from "../../platform/protojson/service-map.ts";
import { type Exchange, streamDeadlineMs, writePiece } from "./exchange.ts";
import { failureOver } from "./failure.ts";

/** Calls something again and again until it is stopped. */
export type Every = (ms: number, tick: () => void) => () => void;

const heartbeatMs = 15_000;
const openAfterMs = 500;
const reconnectMs = 2_000;
const unavailable = 14;

/** The process's own timer. */
export const everyInterval: Every = (ms, tick) => {
  const timer = setInterval(tick, ms);
  return () => clearInterval(timer);
};

/** Answers with the messages of a server stream whose messages are one of several kinds. */
export async function sendEvents(exchange: Exchange, method: RpcMethod, every: Every): Promise<void> {
  const stream = createEventWriter(exchange);
  const stops = [every(openAfterMs, () => stream.open()), every(heartbeatMs, () => stream.beat())];
  try {
    for await (const bytes of exchange.client.serverStream(method.grpcPath, watchRequest(exchange, method), callOf(exchange))) {
      const json = binaryToJson(method.output, bytes, exchange.map.registry) as Readonly<Record<string, EventJson>>;
      for (const [kind, data] of Object.entries(json)) await stream.send({ kind, data, id: kind === "event" ? data["number"] : undefined });
    }
    if (!stream.isOpen() && isResumed(exchange)) stream.nothingMore();
    else await stream.send({ kind: "end", data: {}, id: undefined });
    exchange.response.end();
  } catch (thrown) {
    await endFailed(exchange, stream, thrown);
  } finally {
    stops.forEach((stop) => stop());
  }
}

/** A watch lasts as long as its job; only who asks for less gets less. */
function callOf({ call, request }: Exchange) {
  const isBounded = request.headers["x-request-timeout"] !== undefined || request.headers["request-timeout"] !== undefined;
  return isBounded ? call : { ...call, deadlineMs: streamDeadlineMs };
}

const resumeParameter = "after_event_number";

/** `Last-Event-ID` comes from a stream that was cut: it is newer than the address that the stream was opened with. */
function watchRequest({ request, parameters }: Exchange, method: RpcMethod): Uint8Array {
  const last = request.headers["last-event-id"];
  if (last === undefined || last === "") return requestBytes(method, parameters, undefined);
  const others = parameters.query.split("&").filter((pair) => !/^(after_event_number|afterEventNumber)(=|$)/.test(pair));
  const query = [...others, `${resumeParameter}=${encodeURIComponent(String(last))}`].join("&");
  return requestBytes(method, { ...parameters, query }, undefined);
}

function isResumed({ request }: Exchange): boolean {
  return (request.headers["last-event-id"] ?? "") !== "";
}

async function endFailed({ request, response, signal, map }: Exchange, stream: EventWriter, thrown: unknown): Promise<void> {
  if (signal.aborted) return;
  const failure = failureOver(map, thrown);
  const comesAgain = failure.code === unavailable && (request.headers.accept ?? "").includes("text/event-stream");
  if (!stream.isOpen() && !comesAgain) throw thrown;
  await stream.send({ kind: "error", data: JSON.parse(failure.json) as EventJson, id: undefined });
  response.end();
}

type EventJson = Readonly<Record<string, unknown>>;
type SentEvent = { readonly kind: string; readonly data: EventJson; readonly id: unknown };

type EventWriter = {
  isOpen(): boolean;
  open(): void;
  beat(): void;
  nothingMore(): void;
  send(event: SentEvent): Promise<void>;
};

function createEventWriter({ response, signal }: Exchange): EventWriter {
  const open = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      // Proxies that gather answers before passing them on are asked not to.
      "x-accel-buffering": "no",
    });
    response.write(`retry: ${reconnectMs}\n\n`);
  };
  return {
    isOpen: () => response.headersSent,
    open,
    // A client that does not read needs no more to read.
    beat: () => {
      if (response.headersSent && !response.writableNeedDrain && !response.writableEnded) response.write(":\n\n");
    },
    nothingMore: () => response.writeHead(204, { "cache-control": "no-store" }),
    async send({ kind, data, id }) {
      open();
      const number = typeof id === "string" ? `id: ${id}\n` : "";
      await writePiece(response, `${number}event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`, signal);
    },
  };
}

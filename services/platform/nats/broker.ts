/**
 * What the farm asks of NATS: addressing, load balancing, fan-out. Nothing here owns work.
 *
 * Invariants: the connection is kept for ever (it reconnects until closed); a request has a deadline and
 * never retries by itself; a publish while cut off is dropped, not stored up.
 */
import { connect } from "@nats-io/transport-node";
import { headers, type Msg, type MsgHdrs, type NatsConnection, RequestError, type Subscription, TimeoutError } from "@nats-io/nats-core";
import { Svcm } from "@nats-io/services";
import { FarmError } from "../../domain/errors.ts";
import type { Logger } from "../logging.ts";

const lastRepliesMs = 2_000;
/** How long the server may take to know what is served. */
const subscribedMs = 2_000;

export type BrokerOptions = {
  readonly url: string;
  /** Shown by the server among its connections. */
  readonly name: string;
  readonly logger: Logger;
};

/** First value of a header; undefined where there is none. */
export type HeaderOf = (name: string) => string | undefined;

export type RequestHandler = (payload: Uint8Array, header: HeaderOf) => Promise<Uint8Array>;

/** How long the reply is waited for, in ms, and what goes beside the payload. */
export type RequestOptions = number | { readonly timeoutMs: number; readonly headers: Readonly<Record<string, string>> };

export type Endpoint = { readonly name: string; readonly subject: string; readonly handler: RequestHandler };

export type Broker = {
  /** One reply, or BROKER_UNAVAILABLE, COORDINATOR_UNAVAILABLE (nobody listens) or DEADLINE_PASSED. */
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  /** Answers as a member of a discoverable NATS service group; the returned function ends it after what it began. */
  serve(
    service: { readonly name: string; readonly version: string; readonly group: string },
    endpoints: readonly Endpoint[],
  ): Promise<() => Promise<void>>;
  publish(subject: string, payload: Uint8Array): void;
  /** Calls back in order of arrival; the returned function ends the subscription. */
  subscribe(subject: string, onMessage: (payload: Uint8Array, subject: string) => void): () => void;
  /** Resolves once the server has seen everything sent so far; BROKER_UNAVAILABLE when cut off. */
  flush(timeoutMs: number): Promise<void>;
  isConnected(): boolean;
  /** Called with each change; the returned function ends it. */
  onConnectionChange(listener: (connected: boolean) => void): () => void;
  /** For the JetStream side of platform/nats only. */
  readonly connection: NatsConnection;
  close(): Promise<void>;
};

/** A link that is silent is given up after two pings without an answer: within 6 s, well before a lease of the farm runs out (docs/decisions/0012). */
const pingMs = 2_000;
const mostUnansweredPings = 2;

/** Connects and stays connected; the first connection may come later than this call's return only if the server is down. */
export async function connectBroker(options: BrokerOptions): Promise<Broker> {
  const connection = await open(options);
  const watch = watchStatus(connection, options.logger);
  return {
    request: (subject, payload, options) => request(connection, { subject, payload, ...requestOptions(options) }),
    serve: (service, endpoints) => serve(connection, service, { endpoints, logger: options.logger }),
    publish: (subject, payload) => {
      if (watch.isConnected()) connection.publish(subject, payload);
    },
    subscribe: (subject, onMessage) => subscribe(connection, subject, onMessage),
    flush: (timeoutMs) => flush(connection, timeoutMs),
    isConnected: watch.isConnected,
    onConnectionChange: watch.onChange,
    connection,
    close: () => connection.close(),
  };
}

async function open(options: BrokerOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: options.url,
      name: options.name,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 100,
      pingInterval: pingMs,
      maxPingOut: mostUnansweredPings,
      timeout: 5_000,
      waitOnFirstConnect: true,
    });
  } catch (thrown) {
    throw new FarmError("BROKER_UNAVAILABLE", { message: `cannot connect to NATS at ${options.url}`, cause: thrown });
  }
}

type StatusWatch = { readonly isConnected: () => boolean; readonly onChange: (listener: (connected: boolean) => void) => () => void };

function watchStatus(connection: NatsConnection, logger: Logger): StatusWatch {
  let connected = true;
  const listeners = new Set<(connected: boolean) => void>();
  const change = (now: boolean): void => {
    if (now === connected) return;
    connected = now;
    logger.warn({ connected: now }, now ? "NATS is back" : "NATS is lost");
    for (const listener of listeners) listener(now);
  };
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") change(false);
      if (status.type === "reconnect") change(true);
    }
    change(false);
  })();
  return {
    isConnected: () => connected && !connection.isClosed(),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

type Request = { readonly subject: string; readonly payload: Uint8Array; readonly timeoutMs: number; readonly headers?: MsgHdrs };

function requestOptions(options: RequestOptions): Pick<Request, "timeoutMs" | "headers"> {
  if (typeof options === "number") return { timeoutMs: options };
  const named = Object.entries(options.headers);
  if (named.length === 0) return { timeoutMs: options.timeoutMs };
  const all = headers();
  for (const [name, value] of named) all.set(name, value);
  return { timeoutMs: options.timeoutMs, headers: all };
}

async function request(connection: NatsConnection, call: Request): Promise<Uint8Array> {
  try {
    const beside = call.headers === undefined ? {} : { headers: call.headers };
    const reply = await connection.request(call.subject, call.payload, { timeout: call.timeoutMs, ...beside });
    return reply.data;
  } catch (thrown) {
    if (thrown instanceof RequestError && thrown.isNoResponders()) {
      throw new FarmError("COORDINATOR_UNAVAILABLE", { message: `nobody answers on ${call.subject}`, cause: thrown });
    }
    if (thrown instanceof TimeoutError) {
      throw new FarmError("DEADLINE_PASSED", { message: `no answer on ${call.subject} within ${call.timeoutMs} ms`, cause: thrown });
    }
    throw new FarmError("BROKER_UNAVAILABLE", { cause: thrown });
  }
}

async function serve(
  connection: NatsConnection,
  service: { readonly name: string; readonly version: string; readonly group: string },
  answering: { readonly endpoints: readonly Endpoint[]; readonly logger: Logger },
): Promise<() => Promise<void>> {
  const running = await new Svcm(connection).add({ name: service.name, version: service.version, queue: service.group });
  const inFlight = new Set<Promise<void>>();
  for (const endpoint of answering.endpoints) {
    running.addEndpoint(endpoint.name, {
      subject: endpoint.subject,
      handler: (error, message) => {
        if (error !== null) return;
        const reply = answer(endpoint, message, answering.logger).finally(() => inFlight.delete(reply));
        inFlight.add(reply);
      },
    });
  }
  // Whoever asks after this is not told that nobody answers. A server that is away hears of it when it is back.
  await flush(connection, subscribedMs).catch(() => undefined);
  return async () => {
    await running.stop();
    await Promise.allSettled(inFlight);
    // The last replies leave before the connection is closed.
    await flush(connection, lastRepliesMs).catch(() => undefined);
  };
}

async function answer(endpoint: Endpoint, message: Msg, logger: Logger): Promise<void> {
  try {
    message.respond(await endpoint.handler(message.data, (name) => message.headers?.get(name) || undefined));
  } catch (thrown) {
    // No reply: the asker's deadline passes and it sends the same sequence again.
    logger.error({ err: thrown, endpoint: endpoint.name }, "a request failed");
  }
}

function subscribe(connection: NatsConnection, subject: string, onMessage: (payload: Uint8Array, subject: string) => void): () => void {
  const subscription: Subscription = connection.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) onMessage(message.data, message.subject);
    },
  });
  return () => subscription.unsubscribe();
}

async function flush(connection: NatsConnection, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new FarmError("BROKER_UNAVAILABLE")), timeoutMs);
  });
  try {
    await Promise.race([connection.flush(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * One request that must be answered: sent again, byte for byte the same, until it is.
 *
 * The coordinator stores the answer under the request's sequence, so a doubled request is harmless and a lost answer is
 * read again. A reply to an earlier try that comes late is dropped by the broker's client.
 */
import { toFarmError } from "../../domain/errors.ts";
import type { Logger } from "../../platform/logging.ts";
import type { RequestOptions } from "../../platform/nats/broker.ts";
import { type BackOff, backOffMs } from "./back-off.ts";
import { type Clock, sleep } from "./clock.ts";

/** What the agent needs of NATS for a conversation. */
export type Link = {
  request(subject: string, payload: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  isConnected(): boolean;
};

export type Exchange<A> = {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined for bytes that are no answer, or an answer that asks for another try. */
  readonly read: (reply: Uint8Array) => A | undefined;
};

export type Answered<A> = {
  readonly answer: A;
  /** When the request was first sent: a lease counts from here, whichever try was answered. */
  readonly sentAtMs: number;
};

export type ExchangePorts = {
  readonly link: Link;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly draw: () => number;
  readonly requestMs: number;
  readonly backOff: BackOff;
};

/** The answer, or undefined when the signal aborted first. */
export async function exchange<A>(ports: ExchangePorts, request: Exchange<A>): Promise<Answered<A> | undefined> {
  const sentAtMs = ports.clock.nowMs();
  const aborted = Promise.withResolvers<undefined>();
  const abort = (): void => aborted.resolve(undefined);
  const isAborted = (): boolean => request.signal.aborted;
  request.signal.addEventListener("abort", abort, { once: true });
  try {
    for (let failures = 0; !request.signal.aborted;) {
      const answer = await Promise.race([attempt(ports, request), aborted.promise]);
      if (isAborted()) return undefined;
      if (answer !== undefined) return { answer, sentAtMs };
      failures += 1;
      await sleep(ports.clock, backOffMs(failures, ports.backOff, ports.draw()), request.signal);
    }
    return undefined;
  } finally {
    request.signal.removeEventListener("abort", abort);
  }
}

async function attempt<A>(ports: ExchangePorts, { subject, payload, headers, read }: Exchange<A>): Promise<A | undefined> {
  try {
    if (!ports.link.isConnected()) return undefined;
    return read(await ports.link.request(subject, payload, { timeoutMs: ports.requestMs, headers }));
  } catch (thrown) {
    const error = toFarmError(thrown);
    ports.logger.debug({ code: error.code, subject }, `no answer: ${error.message}`);
    return undefined;
  }
}

/**
 * POSTs a signed message to an address that a client named, as the Standard Webhooks specification says.
 *
 * Addresses are held to the same rules as any from outside. What the receiver answers matters by its status alone: redirects are refusals,
 * of the body at most 64 KiB is read, and all of it has one deadline.
 */
import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type AllowedAddress, findAllowed, parseAddress } from "./address-list.ts";
import { hostRefusalOf, type Network, requestGuarded } from "./guarded-request.ts";

export type SenderOptions = {
  /** Undefined: any public https address. */
  readonly allowed: readonly AllowedAddress[] | undefined;
  readonly network: Network;
  readonly timeoutMs: number;
  readonly now: () => Date;
};

export type WebhookMessage = {
  readonly address: string;
  /** The same in every try. */
  readonly id: string;
  readonly body: string;
  /** Bytes of the signing key, base64. */
  readonly secret: string;
};

export type WebhookSender = {
  /** Why an address would be refused before anything is sent; undefined when it may be tried. */
  refusalOf(address: string): string | undefined;
  /** Resolves when the receiver took it (2xx); throws what kept it from that. */
  send(message: WebhookMessage, signal: AbortSignal): Promise<void>;
};

const maxAnswerBytes = 64 * 1024;

/** A sender that knows one list. */
export function createWebhookSender(options: SenderOptions): WebhookSender {
  return {
    refusalOf(address) {
      const target = admit(options.allowed, address);
      return "refusal" in target ? target.refusal : undefined;
    },
    send: (message, signal) => send(options, message, signal),
  };
}

type Target = { readonly url: URL; readonly privateAddresses: boolean };

function admit(allowed: SenderOptions["allowed"], address: string): Target | { readonly refusal: string } {
  const parsed = parseAddress(address);
  if ("refusal" in parsed) return parsed;
  const { url } = parsed;
  const entry = allowed === undefined ? undefined : findAllowed(allowed, url);
  if (allowed !== undefined && entry === undefined) return { refusal: "is below no address that the operator allows" };
  if (entry === undefined && url.protocol !== "https:") return { refusal: "does not begin with https://" };
  const privateAddresses = entry?.privateAddresses ?? false;
  const refusal = hostRefusalOf(url, privateAddresses);
  return refusal === undefined ? { url, privateAddresses } : { refusal };
}

async function send(options: SenderOptions, message: WebhookMessage, signal: AbortSignal): Promise<void> {
  const target = admit(options.allowed, message.address);
  if ("refusal" in target) throw new FarmError("ADDRESS_REFUSED", { message: target.refusal });
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const within = AbortSignal.any([signal, timeout]);
  try {
    const headers = headersOf(message, options.now());
    const answer = await requestGuarded({ ...target, method: "POST", headers, body: message.body, signal: within }, options.network);
    await drain(answer);
    requireTaken(answer.statusCode ?? 0);
  } catch (thrown) {
    if (timeout.aborted) throw new FarmError("FETCH_FAILED", { message: `did not answer within ${options.timeoutMs} ms`, cause: thrown });
    throw toFarmError(thrown, "FETCH_FAILED");
  }
}

function requireTaken(status: number): void {
  if (status >= 200 && status < 300) return;
  const isRedirect = status >= 300 && status < 400;
  throw new FarmError("FETCH_FAILED", { message: `answered with status ${status}${isRedirect ? "; redirects are not followed" : ""}` });
}

/** The headers of Standard Webhooks. */
function headersOf({ id, body, secret }: WebhookMessage, now: Date): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const signature = createHmac("sha256", Buffer.from(secret, "base64")).update(`${id}.${timestamp}.${body}`).digest("base64");
  return {
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(body)),
    "user-agent": "vapfarm",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
}

/** Reads what the receiver says, so that it can end in order; what is too long, or breaks off, is left. */
async function drain(answer: IncomingMessage): Promise<void> {
  let bytes = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > maxAnswerBytes) return;
    }
  } finally {
    answer.destroy();
  }
}

/**
 * Fetches files from addresses that the operator allows: https with redirects, and s3.
 *
 * Every hop is held to the same rules: it is on the list, and it connects to a public address unless its own entry says otherwise. Size,
 * silence and total time are capped, and nothing is kept of a fetch that failed.
 */
import { rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { type AllowedAddress, findAllowed, parseAddress } from "./address-list.ts";
import { tooLarge, writeBody } from "./byte-sink.ts";
import { hostRefusalOf, type Network, requestGuarded } from "./guarded-request.ts";
import type { S3Reader } from "./s3-reader.ts";

export type FetcherOptions = {
  readonly allowed: readonly AllowedAddress[];
  readonly network: Network;
  readonly s3: S3Reader;
  /** For one fetch with all its redirects. */
  readonly timeoutMs: number;
  /** The longest wait for the next bytes. */
  readonly idleMs: number;
};

export type FetchAsk = { readonly address: string; readonly path: string; readonly maxBytes: number };

export type AddressFetcher = {
  /** Why an address would be refused before anything is sent; undefined when it may be tried. */
  refusalOf(address: string): string | undefined;
  /** Writes what the address answers into a new file. Throws ADDRESS_REFUSED, FETCH_FAILED or MEDIA_TOO_LARGE. */
  fetchTo(ask: FetchAsk, signal: AbortSignal): Promise<void>;
};

const maxRedirects = 5;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** A fetcher that knows one list. */
export function createAddressFetcher(options: FetcherOptions): AddressFetcher {
  return {
    refusalOf(address) {
      const hop = admit(options.allowed, address);
      return "refusal" in hop ? hop.refusal : undefined;
    },
    fetchTo: (ask, signal) => fetchTo(options, ask, signal),
  };
}

type Hop = { readonly url: URL; readonly entry: AllowedAddress };

function admit(allowed: readonly AllowedAddress[], address: string): Hop | { readonly refusal: string } {
  const parsed = parseAddress(address);
  if ("refusal" in parsed) return parsed;
  const entry = findAllowed(allowed, parsed.url);
  if (entry === undefined) return { refusal: "is below no address that the operator allows" };
  const refusal = hostRefusalOf(parsed.url, entry.privateAddresses);
  return refusal === undefined ? { url: parsed.url, entry } : { refusal };
}

async function fetchTo(options: FetcherOptions, ask: FetchAsk, signal: AbortSignal): Promise<void> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  try {
    await fetchWithin(options, ask, AbortSignal.any([signal, timeout]));
  } catch (thrown) {
    await rm(ask.path, { force: true });
    if (signal.aborted) throw new FarmError("STAGE_CANCELLED", { message: "the fetch was cancelled", cause: thrown });
    if (timeout.aborted) throw new FarmError("FETCH_FAILED", { message: `took longer than ${options.timeoutMs} ms`, cause: thrown });
    throw toFarmError(thrown, "FETCH_FAILED");
  }
}

async function fetchWithin(options: FetcherOptions, ask: FetchAsk, signal: AbortSignal): Promise<void> {
  let address = ask.address;
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const hop = admit(options.allowed, address);
    if ("refusal" in hop)
      throw new FarmError("ADDRESS_REFUSED", { message: redirects === 0 ? hop.refusal : `redirects to what ${hop.refusal}` });
    if (hop.url.protocol === "s3:") {
      await save(await options.s3.open(hop.url, signal), ask, options.idleMs);
      return;
    }
    const next = await takeHop(options, { hop, ask, signal });
    if (next === undefined) return;
    address = next;
  }
  throw new FarmError("FETCH_FAILED", { message: `redirects more than ${maxRedirects} times` });
}

type HopAsk = { readonly hop: Hop; readonly ask: FetchAsk; readonly signal: AbortSignal };

/** The address that it redirects to; undefined when the file is there. */
async function takeHop(options: FetcherOptions, { hop, ask, signal }: HopAsk): Promise<string | undefined> {
  const headers = { accept: "image/*, video/*, */*;q=0.1", "accept-encoding": "identity", "user-agent": "vapfarm" };
  const { privateAddresses } = hop.entry;
  const answer = await requestGuarded({ url: hop.url, method: "GET", headers, privateAddresses, signal }, options.network);
  try {
    const { location } = answer.headers;
    if (redirectStatuses.has(answer.statusCode ?? 0) && location !== undefined) return redirectTarget(location, hop.url);
    if (answer.statusCode !== 200) throw new FarmError("FETCH_FAILED", { message: `answered with status ${answer.statusCode ?? 0}` });
    await save({ body: answer as AsyncIterable<Uint8Array>, announcedBytes: announcedBytesOf(answer) }, ask, options.idleMs);
    return undefined;
  } finally {
    answer.destroy();
  }
}

function redirectTarget(location: string, from: URL): string {
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(location);
  if (isAbsolute) return location;
  const target = URL.parse(location, from.href);
  if (target === null || location.includes("\\")) throw new FarmError("ADDRESS_REFUSED", { message: "redirects to what is no address" });
  return target.href;
}

function announcedBytesOf({ headers }: IncomingMessage): number | undefined {
  return headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
}

type Body = { readonly body: AsyncIterable<Uint8Array>; readonly announcedBytes: number | undefined };

async function save({ body, announcedBytes }: Body, { path, maxBytes }: FetchAsk, idleMs: number): Promise<void> {
  if (announcedBytes !== undefined && announcedBytes > maxBytes) throw tooLarge(maxBytes);
  const written = await writeBody(body, { path, maxBytes, idleMs });
  if (announcedBytes === undefined || announcedBytes === written) return;
  throw new FarmError("FETCH_FAILED", { message: `sent ${written} of ${announcedBytes} bytes` });
}

/**
 * One HTTP request to an address from outside, made only to an IP address that it may lead to.
 *
 * The check sits where the connection is made: the look-up that the socket itself uses answers nothing when any address of the name is
 * special, so that a name that resolves differently the next time (DNS rebinding) gains nothing; numeric hosts, which no look-up sees,
 * are checked before. Redirects are answers as any other here. Connections are not shared and proxies of the environment are not used:
 * both would connect to an address that nobody checked.
 */
import { lookup as systemLookup, type LookupAddress } from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { specialRangeOf } from "./address-rules.ts";

/** Every address of a name. */
export type Resolver = (hostname: string) => Promise<readonly LookupAddress[]>;

/** How the outside is reached. */
export type Network = {
  readonly resolve: Resolver;
  /** Certificates to trust instead of the system's. */
  readonly certificates?: string;
};

/** The system's own resolver and certificates. */
export const systemNetwork: Network = {
  resolve: (hostname) =>
    new Promise((resolve, reject) => {
      systemLookup(hostname, { all: true }, (error, addresses) => (error === null ? resolve(addresses) : reject(error)));
    }),
};

export type GuardedRequest = {
  readonly url: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether it may lead into loopback and private networks. */
  readonly privateAddresses: boolean;
  /** Ends the request and the answer's body. */
  readonly signal: AbortSignal;
};

// Names under which clouds answer for their metadata, refused whatever they resolve to.
const metadataHosts: ReadonlySet<string> = new Set([
  "metadata.google.internal",
  "metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
]);

/** Why a host is refused before it is looked up. */
export function hostRefusalOf({ hostname }: URL, privateAddresses: boolean): string | undefined {
  if (privateAddresses) return undefined;
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (metadataHosts.has(host)) return "leads to a metadata service";
  const range = isIP(host) === 0 ? undefined : specialRangeOf(host);
  return range === undefined ? undefined : `leads to a ${range} address`;
}

/** The answer's head; its body is to be read or destroyed. Throws ADDRESS_REFUSED or FETCH_FAILED. */
export async function requestGuarded(ask: GuardedRequest, network: Network): Promise<IncomingMessage> {
  const refusal = hostRefusalOf(ask.url, ask.privateAddresses);
  if (refusal !== undefined) throw new FarmError("ADDRESS_REFUSED", { message: refusal });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = open(ask, network);
  request.once("response", resolve);
  request.once("error", (thrown) => reject(toFarmError(thrown, "FETCH_FAILED")));
  request.end(ask.body);
  return await promise;
}

function open({ url, method, headers, signal, privateAddresses }: GuardedRequest, network: Network) {
  const lookup = privateAddresses ? plainLookup(network.resolve) : guardedLookup(network.resolve);
  if (url.protocol === "http:") return httpRequest(url, { method, headers, signal, agent: new HttpAgent({ lookup }) });
  const trust = network.certificates === undefined ? {} : { ca: network.certificates };
  return httpsRequest(url, { method, headers, signal, agent: new HttpsAgent({ lookup, ...trust }) });
}

/** A socket's look-up that answers public addresses only. */
export function guardedLookup(resolve: Resolver): LookupFunction {
  return answering(async (hostname) => {
    const addresses = await resolve(hostname);
    for (const { address } of addresses) {
      const range = specialRangeOf(address);
      if (range !== undefined) throw new FarmError("ADDRESS_REFUSED", { message: `leads to a ${range} address` });
    }
    return addresses;
  });
}

function plainLookup(resolve: Resolver): LookupFunction {
  return answering(resolve);
}

function answering(resolve: Resolver): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (first === undefined) callback(new FarmError("FETCH_FAILED", { message: "the host has no address" }), "");
        else if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (thrown: unknown) => callback(toFarmError(thrown, "FETCH_FAILED"), ""),
    );
  };
}

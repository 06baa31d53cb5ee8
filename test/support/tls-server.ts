/**
 * HTTPS (or HTTP) servers on loopback that play the outside: media hosts, receivers of webhooks. Names resolve as a test says.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Network } from "../../services/platform/fetch/guarded-request.ts";

const folder = join(import.meta.dirname, "../fixtures/tls");

/** The certificate that the servers show. */
export const certificate = readFileSync(join(folder, "certificate.pem"), "utf8");

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export type OutsideServer = {
  readonly port: number;
  /** Paths of the requests that came, in order. */
  readonly paths: readonly string[];
  stop(): Promise<void>;
};

/** A server that answers by path. */
export async function startOutside(handler: Handler, { tls = true }: { readonly tls?: boolean } = {}): Promise<OutsideServer> {
  const paths: string[] = [];
  const listener: Handler = (request, response) => {
    paths.push(request.url ?? "");
    handler(request, response);
  };
  const server = tls
    ? createHttpsServer({ cert: certificate, key: readFileSync(join(folder, "key.pem")) }, listener)
    : createHttpServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    paths,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Every name is this machine, unless the table says another address; the servers' certificate is trusted. */
export function loopbackNetwork(table: Readonly<Record<string, readonly string[]>> = {}): Network & { readonly asked: readonly string[] } {
  const asked: string[] = [];
  return {
    asked,
    certificates: certificate,
    resolve(hostname) {
      asked.push(hostname);
      const addresses = table[hostname] ?? ["127.0.0.1"];
      return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
    },
  };
}

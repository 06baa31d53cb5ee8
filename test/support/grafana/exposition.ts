/**
 * An exporter that is not here: serves an exposition from a file.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type PlayedExporter = { readonly address: string; stop(): Promise<void> };

/** Serves the file at any path. */
export async function playExporter(path: string): Promise<PlayedExporter> {
  const text = await readFile(path, "utf8");
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

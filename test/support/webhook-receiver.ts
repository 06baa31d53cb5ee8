/**
 * A receiver of webhooks on loopback, which keeps what came and answers as a test says.
 */
import { createHmac } from "node:crypto";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { type OutsideServer, startOutside } from "./tls-server.ts";

export type Received = { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string };

export type Receiver = OutsideServer & { readonly received: readonly Received[]; readonly url: string };

/** `answer` is asked for each message, after its body was read. */
export async function startReceiver(answer: (message: Received, response: ServerResponse) => void, tls = true): Promise<Receiver> {
  const received: Received[] = [];
  const server = await startOutside(
    (request, response) => {
      void text(request).then((body) => {
        const message = { path: request.url ?? "", headers: request.headers, body };
        received.push(message);
        answer(message, response);
      });
    },
    { tls },
  );
  return { ...server, received, url: `${tls ? "https" : "http"}://hooks.test:${server.port}/hook` };
}

/** Whether a message is signed as Standard Webhooks says, with the key of these bytes. */
export function isSigned({ headers, body }: Received, key: Buffer): boolean {
  const content = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  return headers["webhook-signature"] === `v1,${createHmac("sha256", key).update(content).digest("base64")}`;
}

/**
 * An HTTP proxy between a farm and its S3, which a test makes bad request by request.
 *
 * It also does what S3 does and moto does not: a body that does not have the SHA-256 that its request names is refused and not handed on.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type S3Request = {
  /** Counts from 1, the SDK's own tries too. */
  readonly number: number;
  readonly method: string;
  readonly operation: "put" | "begin" | "part" | "complete" | "abort" | "get" | "head" | "delete" | "other";
  readonly range: string | undefined;
};

export type S3Fault =
  /** Answered here, as S3 does when it is throttled or broken. */
  | { readonly kind: "status"; readonly status: number; readonly code: string }
  /** Broken (RST) once so many bytes of the request's body have come; nothing is handed on. */
  | { readonly kind: "break request"; readonly afterBytes: number }
  /** Done, but the answer is lost with the connection. */
  | { readonly kind: "lose answer" }
  /** The connection breaks after so many bytes of the answer's body. */
  | { readonly kind: "break answer"; readonly afterBytes: number }
  /** The answer ends in order, too early, with a length that fits. */
  | { readonly kind: "truncate answer"; readonly toBytes: number }
  /** One byte is another one. */
  | { readonly kind: "corrupt answer"; readonly atByte: number }
  | { readonly kind: "corrupt request"; readonly atByte: number }
  /** After so many bytes of the answer's body nothing comes any more, and nothing is closed. */
  | { readonly kind: "fall silent"; readonly afterBytes: number };

export type S3Proxy = {
  readonly endpoint: string;
  /** Asked for each request; undefined hands it on as it is. Everything passes until set. */
  plan(fault: (request: S3Request) => S3Fault | undefined): void;
  /** What came since it was last asked. */
  requests(): readonly S3Request[];
  stop(): Promise<void>;
};

/** Starts one before an S3 on loopback. */
export async function startS3Proxy(port: number): Promise<S3Proxy> {
  const proxy = new Proxying(port);
  proxy.server.listen(0, "127.0.0.1");
  await once(proxy.server, "listening");
  const { port: own } = proxy.server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${own}`,
    plan: (fault) => void (proxy.fault = fault),
    requests: () => proxy.seen.splice(0),
    async stop() {
      proxy.server.closeAllConnections();
      proxy.server.close();
      await once(proxy.server, "close");
    },
  };
}

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly fault: S3Fault | undefined };

class Proxying {
  readonly server: Server;
  readonly seen: S3Request[] = [];
  fault: (request: S3Request) => S3Fault | undefined = () => undefined;
  private readonly port: number;
  private count = 0;

  constructor(port: number) {
    this.port = port;
    this.server = createServer((request, response) => {
      const seen = { number: (this.count += 1), ...describe(request) };
      this.seen.push(seen);
      response.on("error", () => undefined);
      request.on("error", () => undefined);
      this.pass({ request, response, fault: this.fault(seen) }).catch(() => response.destroy());
    });
  }

  private async pass(exchange: Exchange): Promise<void> {
    const { request, response, fault } = exchange;
    const body = await bodyOf(request, fault);
    if (body === undefined) {
      request.socket.resetAndDestroy();
      return;
    }
    if (fault?.kind === "status") {
      refuse(response, fault.status, fault.code);
      return;
    }
    if (!hasItsChecksum(request, body)) {
      refuse(response, 400, "BadDigest");
      return;
    }
    await this.handOn(exchange, body);
  }

  private async handOn({ request, response, fault }: Exchange, body: Buffer): Promise<void> {
    const { method, headers, url: path } = request;
    const onward = httpRequest({ host: "127.0.0.1", port: this.port, method, headers, path });
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const pieces: Buffer[] = [];
    for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece);
    if (fault?.kind === "lose answer") request.socket.resetAndDestroy();
    else answerWith(response, { answer, body: Buffer.concat(pieces), fault });
  }
}

/** The whole body, changed as planned; undefined: the connection is to be broken. */
async function bodyOf(request: IncomingMessage, fault: S3Fault | undefined): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let came = 0;
  if (fault?.kind === "break request" && fault.afterBytes === 0) return undefined;
  for await (const piece of request as AsyncIterable<Buffer>) {
    pieces.push(piece);
    came += piece.length;
    if (fault?.kind === "break request" && came >= fault.afterBytes) return undefined;
  }
  const body = Buffer.concat(pieces);
  return fault?.kind === "corrupt request" ? changed(body, fault.atByte) : body;
}

function changed(body: Buffer, atByte: number): Buffer {
  const other = Buffer.from(body);
  const at = Math.min(atByte, other.length - 1);
  if (at >= 0) other[at] = (other[at] ?? 0) ^ 0x20;
  return other;
}

function hasItsChecksum(request: IncomingMessage, body: Buffer): boolean {
  const named = request.headers["x-amz-checksum-sha256"];
  return named === undefined || named === createHash("sha256").update(body).digest("base64");
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>as the test says</Message></Error>`;
  response.writeHead(status, { "content-type": "application/xml", "content-length": body.length }).end(body);
}

type Answer = { readonly answer: IncomingMessage; readonly body: Buffer; readonly fault: S3Fault | undefined };

function answerWith(response: ServerResponse, { answer, body, fault }: Answer): void {
  const status = answer.statusCode ?? 500;
  // Of a HEAD the length is that of the object.
  const length = body.length === 0 ? answer.headers["content-length"] : String(body.length);
  const headers = { ...answer.headers, ...(length === undefined ? {} : { "content-length": length }) };
  delete headers["transfer-encoding"];
  switch (fault?.kind) {
    case "break answer":
    case "fall silent":
      response.writeHead(status, headers);
      response.write(body.subarray(0, fault.afterBytes), () => {
        if (fault.kind === "break answer") response.socket?.resetAndDestroy();
      });
      return;
    case "truncate answer":
      response.writeHead(status, { ...headers, "content-length": String(Math.min(fault.toBytes, body.length)) });
      response.end(body.subarray(0, fault.toBytes));
      return;
    case "corrupt answer":
      response.writeHead(status, headers).end(changed(body, fault.atByte));
      return;
    default:
      response.writeHead(status, headers).end(body);
  }
}

function describe({ method = "", url = "", headers }: IncomingMessage): Omit<S3Request, "number"> {
  const { pathname, searchParams } = new URL(url, "http://any");
  const isObject = pathname.split("/").length > 2 && !pathname.endsWith("/");
  return { method, operation: isObject ? operationOf(method, searchParams) : "other", range: headers.range };
}

function operationOf(method: string, query: URLSearchParams): S3Request["operation"] {
  if (query.has("uploads")) return "begin";
  if (query.has("uploadId")) return method === "PUT" ? "part" : method === "POST" ? "complete" : "abort";
  const plain = { PUT: "put", GET: "get", HEAD: "head", DELETE: "delete" } as const;
  return method in plain ? plain[method as keyof typeof plain] : "other";
}

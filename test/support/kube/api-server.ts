/**
 * A stand-in for a Kubernetes API server: HTTPS on loopback over objects in memory, for the requests that the farm makes.
 *
 * As the real one: versions that only grow, writes that name an old one are conflicts, lists come in pages of one version, watches stream from a
 * version and send bookmarks, a version that was compacted is 410, tokens end. And it fails as it is told: the next answers are what a test says.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificate } from "../tls-server.ts";
import { type Change, type KubeObject, KubeObjects, type ObjectKind } from "./objects.ts";

export const namespace = "farm";
const key = readFileSync(join(import.meta.dirname, "../../fixtures/tls/key.pem"));

/** What the next matching request gets instead of an answer. `reset`: the connection ends; `hang`: it never is answered. */
export type Fault =
  | { readonly status: number; readonly headers?: Record<string, string> }
  | "reset"
  | "hang"
  /** Done, but the answer is lost. */
  | "reset after";

export type SeenRequest = {
  readonly verb: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly userAgent: string;
  readonly body: unknown;
};

export type KubeApi = {
  readonly objects: KubeObjects;
  readonly address: string;
  /** A service account's folder, with a token that is good. */
  readonly accountFolder: string;
  readonly requests: readonly SeenRequest[];
  /** The next requests of a verb (`get`, `put`, `patch`, `watch`), one fault each. */
  fail(verb: string, ...faults: readonly Fault[]): void;
  /** Ends the token; the new one is in the folder. */
  renewToken(): Promise<void>;
  /** Tells every watch that nothing else changed. */
  bookmark(): void;
  /** Sends a line on every watch, whatever it is. */
  tell(line: string): void;
  /** Ends every watch: in order, by a reset, by an expired version, or no more is sent on it. */
  endWatches(how: "close" | "reset" | "expire" | "half a line"): void;
  readonly watches: number;
  /** Resolves once so many watches are open. */
  watched(count: number): Promise<void>;
  stop(): Promise<void>;
};

/** Starts it; `stop` ends its connections. */
export async function startKubeApi(): Promise<KubeApi> {
  const accountFolder = await mkdtemp(join(tmpdir(), "vapfarm-account-"));
  await writeFile(join(accountFolder, "ca.crt"), certificate);
  await writeFile(join(accountFolder, "token"), "token-1\n");
  const api = new Api(accountFolder);
  const server = createServer({ cert: certificate, key }, (request, response) => void api.answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  api.address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api.close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    await rm(accountFolder, { recursive: true, force: true });
  };
  return api;
}

type Stream = { readonly kind: ObjectKind; readonly selector: string; readonly response: ServerResponse };
type Route = { readonly kind: ObjectKind; readonly name: string | undefined; readonly isScale: boolean };

class Api implements KubeApi {
  readonly objects = new KubeObjects();
  readonly requests: SeenRequest[] = [];
  address = "";
  close: () => Promise<void> = () => Promise.resolve();
  readonly accountFolder: string;
  private readonly faults: { readonly verb: string; readonly fault: Fault }[] = [];
  private readonly streams = new Set<Stream>();
  private waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  private token = 1;

  constructor(accountFolder: string) {
    this.accountFolder = accountFolder;
    this.objects.onChange((kind, change) => {
      for (const stream of this.streams) if (stream.kind === kind && matches(change.object, stream.selector)) send(stream, change);
    });
  }

  get watches(): number {
    return this.streams.size;
  }

  fail(verb: string, ...faults: readonly Fault[]): void {
    this.faults.push(...faults.map((fault) => ({ verb, fault })));
  }

  async renewToken(): Promise<void> {
    this.token += 1;
    await writeFile(join(this.accountFolder, "token"), `token-${this.token}\n`);
  }

  bookmark(): void {
    const bookmark = { type: "BOOKMARK", object: { kind: "Pod", metadata: { resourceVersion: String(this.objects.version) } } };
    this.tell(JSON.stringify(bookmark));
  }

  tell(line: string): void {
    for (const { response } of this.streams) response.write(`${line}\n`);
  }

  endWatches(how: "close" | "reset" | "expire" | "half a line"): void {
    for (const stream of [...this.streams]) {
      const { response } = stream;
      this.streams.delete(stream);
      if (how === "expire") response.write(`${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 410 } })}\n`);
      if (how === "half a line") response.write('{"type":"MODIFIED","object":{"metada');
      if (how === "reset") response.socket?.destroy();
      else response.end();
    }
  }

  async watched(count: number): Promise<void> {
    if (this.streams.size >= count) return;
    await new Promise<void>((resolve) => this.waiting.push({ count, resolve }));
  }

  async stop(): Promise<void> {
    await this.close();
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const address = new URL(request.url ?? "/", "https://cluster");
    const isWatch = address.searchParams.get("watch") === "true";
    const verb = isWatch ? "watch" : (request.method ?? "").toLowerCase();
    const body = await bodyOf(request);
    const userAgent = request.headers["user-agent"] ?? "";
    this.requests.push({ verb, path: address.pathname, query: address.searchParams, userAgent, body });
    const at = this.faults.findIndex((each) => each.verb === verb);
    const fault = at < 0 ? undefined : this.faults.splice(at, 1)[0]?.fault;
    if (fault === "hang") return;
    if (fault === "reset") {
      request.socket.destroy();
      return;
    }
    const route = routeOf(address.pathname);
    const isKnown = request.headers.authorization === `Bearer token-${this.token}`;
    if (typeof fault === "object" || !isKnown || route === undefined) {
      if (typeof fault === "object") refuse(response, fault.status, fault.headers);
      else refuse(response, isKnown ? 404 : 401);
      return;
    }
    const after = fault === "reset after" ? request : undefined;
    if (isWatch) this.watch(route, address.searchParams, response);
    else this.serve({ verb, route, query: address.searchParams, body }, response, after);
  }

  private serve({ verb, route, query, body }: Asked, response: ServerResponse, lost: IncomingMessage | undefined): void {
    const answered = route.isScale
      ? this.scale(verb, route, body)
      : verb === "patch"
        ? this.patch(route, body)
        : this.list(route.kind, query);
    if (lost !== undefined) lost.socket.destroy();
    else if (typeof answered === "number") refuse(response, answered);
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answered));
  }

  private scale(verb: string, { kind, name = "" }: Route, body: unknown): object | number {
    const object = this.objects.get(kind, name);
    if (object === undefined) return 404;
    if (verb === "put") {
      const { metadata, spec } = body as {
        readonly metadata: { readonly resourceVersion?: string };
        readonly spec: { readonly replicas: number };
      };
      if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== object.metadata.resourceVersion) return 409;
      this.objects.change(kind, name, (changed) => {
        changed.spec = { ...changed.spec, replicas: spec.replicas };
      });
    }
    const now = this.objects.get(kind, name) ?? object;
    const { resourceVersion } = now.metadata;
    const replicas = now.spec["replicas"];
    return {
      apiVersion: "autoscaling/v1",
      kind: "Scale",
      metadata: { name, namespace, resourceVersion },
      spec: { replicas },
      status: { replicas },
    };
  }

  private patch({ kind, name = "" }: Route, body: unknown): object | number {
    if (this.objects.get(kind, name) === undefined) return 404;
    const { annotations = {} } = (body as { readonly metadata: { readonly annotations?: Record<string, string | null> } }).metadata;
    return this.objects.change(kind, name, ({ metadata }) => {
      const merged = Object.entries({ ...metadata.annotations, ...annotations });
      metadata.annotations = Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== null));
    });
  }

  /** A page token is the version and the name that the page before ended with. */
  private list(kind: ObjectKind, query: URLSearchParams): object | number {
    const [version = String(this.objects.version), after = ""] = (query.get("continue") ?? "").split("/").filter(Boolean);
    if (query.has("continue") && this.objects.since(kind, Number(version)) === undefined) return 410;
    const limit = Number(query.get("limit") ?? Infinity);
    const all = this.objects
      .list(kind)
      .filter((object) => matches(object, query.get("labelSelector") ?? "") && object.metadata.name > after);
    const items = all.slice(0, limit);
    const last = items.at(-1)?.metadata.name ?? "";
    const metadata = { resourceVersion: version, ...(all.length > items.length ? { continue: `${version}/${last}` } : {}) };
    return { apiVersion: "v1", kind: "List", metadata, items };
  }

  private watch({ kind }: Route, query: URLSearchParams, response: ServerResponse): void {
    const missed = this.objects.since(kind, Number(query.get("resourceVersion")));
    if (missed === undefined) {
      refuse(response, 410);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const stream: Stream = { kind, selector: query.get("labelSelector") ?? "", response };
    for (const change of missed) if (matches(change.object, stream.selector)) send(stream, change);
    this.streams.add(stream);
    response.on("close", () => this.streams.delete(stream));
    const ready = this.waiting.filter(({ count }) => this.streams.size >= count);
    this.waiting = this.waiting.filter((each) => !ready.includes(each));
    for (const { resolve } of ready) resolve();
  }
}

type Asked = { readonly verb: string; readonly route: Route; readonly query: URLSearchParams; readonly body: unknown };

function send({ response }: Stream, { type, object }: Change): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", code: status, message: `refused with ${status}` }));
}

function routeOf(path: string): Route | undefined {
  if (path === "/api/v1/nodes") return { kind: "nodes", name: undefined, isScale: false };
  const scale = /^\/apis\/apps\/v1\/namespaces\/farm\/(deployments|statefulsets)\/([^/]+)\/scale$/.exec(path);
  if (scale !== null) return { kind: scale[1] as ObjectKind, name: scale[2], isScale: true };
  const pods = /^\/api\/v1\/namespaces\/farm\/pods(?:\/([^/]+))?$/.exec(path);
  return pods === null ? undefined : { kind: "pods", name: pods[1], isScale: false };
}

function matches({ metadata }: KubeObject, selector: string): boolean {
  return selector
    .split(",")
    .filter(Boolean)
    .every((part) => {
      const [label = "", value] = part.split("=");
      return metadata.labels[label] === value;
    });
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? undefined : JSON.parse(text);
}

/**
 * The operator pages as a route of the coordinator's HTTP server.
 *
 * Pages only read, as their visitor and through the coordinator's own gRPC service; they hold no state. Nothing inline runs and nothing
 * comes from elsewhere (Content-Security-Policy), nothing is kept by caches but the assets, and no page can be framed.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import { FarmServiceClient } from "../../gen/proto/vapfarm/v1/farm.ts";
import { connectClient } from "../../platform/grpc/client.ts";
import { type HttpRoute, otherRoute } from "../../platform/http.ts";
import { reachableAddress } from "../../platform/http/reachable-address.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import { authorizationOf, cookieToken } from "../http/call-options.ts";
import { httpStatusOf } from "../http/http-status.ts";
import { type Asset, assetAt } from "./assets.ts";
import { errorPage } from "./error-page.ts";
import { explainPage } from "./explain-page.ts";
import { createFarmReader, type FarmReader } from "./farm-reader.ts";
import { jobPage } from "./job-page.ts";
import { jobsPage } from "./jobs-page.ts";
import { layout } from "./layout.ts";
import { modelsPage } from "./models-page.ts";
import { overviewPage } from "./overview-page.ts";
import type { Page, Visit } from "./page.ts";
import { renderPage } from "./render-page.ts";
import { isTokenForm, readSignIn, signInCookie, signInPage, signOutCookie } from "./sign-in.ts";
import { usagePage } from "./usage-page.ts";
import { workerPage, workersPage } from "./workers-page.ts";

/** What the pages work with. */
export type PagesOptions = {
  /** Where the coordinator's own gRPC server listens; known once it does. */
  readonly grpcAddress: () => string;
  /** Where visitors reach the farm, if it is not where it listens. */
  readonly publicUrl: string | undefined;
  readonly now: () => Date;
  readonly logger: Logger;
};

/** The route, and the connection that ends with it. */
export type Pages = Component & { readonly route: HttpRoute };

const maxMessageBytes = 4 * 1024 * 1024;

const securityHeaders = {
  "content-security-policy": [
    "default-src 'none'",
    ...["style-src", "script-src", "img-src", "media-src", "connect-src", "form-action"].map((name) => `${name} 'self'`),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

type PageMaker = (visit: Visit) => Promise<Page>;

/** A page, and its path as metrics show it. */
type Made = { readonly route: string; readonly make: PageMaker };

const overview: Made = { route: "/", make: overviewPage };
const jobs: Made = { route: "/jobs", make: jobsPage };
const job: Made = { route: "/jobs/{job}", make: jobPage };
const explain: Made = { route: "/jobs/{job}/explain", make: explainPage };
const render: Made = { route: "/jobs/{job}/renders/{position}", make: renderPage };
const workers: Made = { route: "/workers", make: workersPage };
const worker: Made = { route: "/workers/{worker}", make: workerPage };
const models: Made = { route: "/models", make: modelsPage };
const usage: Made = { route: "/usage", make: usagePage };

/** The page of a path's parts. */
function madeOf([first, , third, fourth, ...rest]: readonly string[], count: number): Made | undefined {
  if (rest.length > 0) return undefined;
  switch (first) {
    case undefined:
      return overview;
    case "jobs":
      if (count === 1) return jobs;
      if (count === 2) return job;
      if (count === 3 && third === "explain") return explain;
      return count === 4 && third === "renders" && fourth !== undefined ? render : undefined;
    case "workers":
      return count === 1 ? workers : count === 2 ? worker : undefined;
    case "models":
      return count === 1 ? models : undefined;
    case "usage":
      return count === 1 ? usage : undefined;
    default:
      return undefined;
  }
}

/** Pages that connect with their first visit. */
export function createPages(options: PagesOptions): Pages {
  const own = ownClient(options.grpcAddress);
  const site = new Site(options, (request, response, authorization) => {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    return createFarmReader(own.client(), { authorization: authorization ?? authorizationOf(request), signal: gone.signal });
  });
  return {
    route: (request, response, url) => site.answer(request, response, url),
    start: () => Promise.resolve(),
    stop() {
      own.close();
      return Promise.resolve();
    },
  };
}

function ownClient(address: () => string): { client(): FarmServiceClient; close(): void } {
  let connected: { readonly to: string; readonly client: FarmServiceClient } | undefined;
  return {
    client() {
      const to = reachableAddress(address());
      if (to === "") throw new FarmError("COORDINATOR_UNAVAILABLE");
      if (connected?.to !== to) {
        connected?.client.close();
        connected = { to, client: connectClient(FarmServiceClient, to, maxMessageBytes) };
      }
      return connected.client;
    },
    close() {
      connected?.client.close();
      connected = undefined;
    },
  };
}

type Read = (request: IncomingMessage, response: ServerResponse, authorization?: string) => FarmReader;
type Answer = {
  readonly route: string;
  readonly status: number;
  readonly page: Page;
  readonly headers?: Readonly<Record<string, string>>;
};

const signInRoute = "/sign-in";

/** Answers requests for pages. */
class Site {
  readonly #options: PagesOptions;
  readonly #read: Read;

  constructor(options: PagesOptions, read: Read) {
    this.#options = options;
    this.#read = read;
  }

  async answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<string | undefined> {
    const asset = isReading(request) ? assetAt(url.pathname) : undefined;
    if (asset !== undefined) return sendAsset(request, response, asset);
    const { segments, root } = placeOf(url);
    if (request.method === "POST" && segments.length === 1 && segments[0] === "sign-in") return this.#signIn(request, response);
    if (request.method === "POST" && segments.length === 1 && segments[0] === "sign-out") return this.#signOut(response);
    if (!isReading(request) || isForPrograms(segments)) return undefined;
    const visit = { root, segments, query: url.searchParams, now: this.#options.now() };
    const answer = await this.#page(request, response, visit);
    if (answer === undefined) return undefined;
    return this.#send(request, response, { ...answer, root });
  }

  async #page(request: IncomingMessage, response: ServerResponse, place: Omit<Visit, "reader">): Promise<Answer | undefined> {
    const { root, segments, query } = place;
    if (segments.length === 1 && segments[0] === "sign-in") return { route: signInRoute, status: 200, page: signInPage(root, "") };
    const made = madeOf(segments, segments.length);
    const route = made?.route ?? otherRoute;
    if (made === undefined && request.headers.accept?.includes("text/html") !== true) return undefined;
    try {
      if (made === undefined) throw new FarmError("ROUTE_UNKNOWN");
      return { route, status: 200, page: await made.make({ ...place, reader: this.#read(request, response) }) };
    } catch (thrown) {
      const error = toFarmError(thrown);
      const status = statusOf(error);
      if (status === 500) this.#options.logger.error({ err: error, code: error.code }, "a page failed");
      if (error.code !== "CALLER_UNKNOWN") return { route, status, page: errorPage(error) };
      const problem = cookieToken(request.headers.cookie) === undefined ? "" : "The farm does not know the token that you came with.";
      const next = `${segments.map(encodeURIComponent).join("/")}${query.size === 0 ? "" : `?${query.toString()}`}`;
      return { route, status, page: signInPage(root, next, problem), headers: { "www-authenticate": 'Bearer realm="vapfarm"' } };
    }
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<string> {
    let next = "";
    try {
      const form = await readSignIn(request, URL.parse(this.#options.publicUrl ?? "")?.host);
      next = form.next;
      if (!isTokenForm(form.token)) throw new FarmError("CALLER_UNKNOWN");
      await this.#read(request, response, `Bearer ${form.token}`).farm();
      redirect(response, next, signInCookie(form.token, this.#isSecure()));
      return signInRoute;
    } catch (thrown) {
      const error = toFarmError(thrown);
      const isUnknown = error.code === "CALLER_UNKNOWN";
      const page = isUnknown ? signInPage("", next, "The farm does not know this token.") : errorPage(error);
      return this.#send(request, response, { route: signInRoute, status: statusOf(error), page, root: "" });
    }
  }

  #signOut(response: ServerResponse): string {
    redirect(response, "", signOutCookie(this.#isSecure()));
    return "/sign-out";
  }

  #isSecure(): boolean {
    return this.#options.publicUrl?.startsWith("https:") === true;
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: Answer & { readonly root: string }): string {
    const { route, status, page, headers, root } = answer;
    const frame = { root, now: this.#options.now(), canSignOut: cookieToken(request.headers.cookie) !== undefined };
    const body = Buffer.from(layout(page, frame));
    // Without a referrer browsers send no origin either, which a sign-in is judged by.
    const referrer = page.title === "Sign in" ? "same-origin" : "no-referrer";
    response.writeHead(status, {
      ...securityHeaders,
      "referrer-policy": referrer,
      "cache-control": "no-store",
      "content-type": "text/html; charset=utf-8",
      "content-length": body.length,
      vary: "cookie, authorization",
      ...headers,
    });
    response.end(request.method === "HEAD" ? undefined : body);
    return route;
  }
}

function statusOf({ row: { status }, code }: FarmError): number {
  return httpStatusOf({ status, code });
}

function isReading({ method }: IncomingMessage): boolean {
  return method === "GET" || method === "HEAD";
}

/** Paths whose failures are told as JSON. */
function isForPrograms([first]: readonly string[]): boolean {
  return first === "v1" || first === "a";
}

/** The decoded parts of a path and the way back to the root; a part that cannot be decoded stays as it is. */
function placeOf({ pathname }: URL): { readonly segments: readonly string[]; readonly root: string } {
  const parts = pathname.split("/").slice(1);
  const segments = (parts.at(-1) === "" ? parts.slice(0, -1) : parts).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { segments, root: "../".repeat(parts.length - 1) };
}

function redirect(response: ServerResponse, next: string, cookie: string): void {
  response.writeHead(303, { ...securityHeaders, location: `./${next}`, "set-cookie": cookie, "cache-control": "no-store" });
  response.end();
}

function sendAsset(request: IncomingMessage, response: ServerResponse, { type, bytes }: Asset): string {
  response.writeHead(200, {
    ...securityHeaders,
    "content-type": type,
    "content-length": bytes.length,
    "cache-control": "public, max-age=31536000, immutable",
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
  return "/assets/{asset}";
}

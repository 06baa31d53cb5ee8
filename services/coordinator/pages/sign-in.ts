/**
 * Signing in and out: the farm's token in a cookie that only this server reads.
 *
 * Invariants: a cookie is set only after a call proved its token; scripts cannot read it (HttpOnly) and other sites cannot make a browser
 * send it (SameSite=Strict) or set it (a sign-in that another site's page sends is refused). After signing in the visitor goes on to an
 * address below the pages' root, never elsewhere. Signing in changes nothing in the farm.
 */
import type { IncomingMessage } from "node:http";
import { FarmError } from "../../domain/errors.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { tokenCookie } from "../http/call-options.ts";
import { type Html, html } from "../../platform/html.ts";
import { linkTo, type Page } from "./page.ts";

const maxFormBytes = 8 * 1024;
const formDeadlineMs = 10_000;
const tokenForm = /^[\x21-\x7E]{1,4096}$/;

/** What the form sent. */
export type SignIn = { readonly token: string; readonly next: string };

/** Reads a sign-in; throws REQUEST_MALFORMED, CONTENT_TYPE_REFUSED, REQUEST_TOO_LARGE or CALLER_NOT_ALLOWED for one that this site did not send. */
export async function readSignIn(request: IncomingMessage, publicHost: string | undefined): Promise<SignIn> {
  requireSameOrigin(request, publicHost);
  const type = request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw new FarmError("CONTENT_TYPE_REFUSED", { message: "a sign-in is sent by the sign-in form" });
  }
  const form = new URLSearchParams(await withDeadline(readBody(request), { ms: formDeadlineMs, what: "the sign-in" }));
  return { token: (form.get("token") ?? "").trim(), next: safeNext(form.get("next") ?? "") };
}

/** Throws unless the page that sent the form is ours, as far as the browser tells. */
function requireSameOrigin({ headers }: IncomingMessage, publicHost: string | undefined): void {
  const site = headers["sec-fetch-site"];
  if (site === "same-origin" || site === "none") return;
  const origin = headers.origin;
  if (site === undefined && (origin === undefined || hostOf(origin) === headers.host || hostOf(origin) === publicHost)) return;
  throw new FarmError("CALLER_NOT_ALLOWED", { message: "the sign-in came from a page of another site" });
}

function hostOf(origin: string): string {
  return URL.parse(origin)?.host ?? " ";
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxFormBytes) throw new FarmError("REQUEST_TOO_LARGE", { message: "the sign-in is too long" });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const anyOrigin = "http://pages.invalid";

/** An address below the root, without its leading slash; whatever leads elsewhere becomes the root. */
export function safeNext(text: string): string {
  const url = URL.parse(`/${text}`, anyOrigin);
  return url === null || url.origin !== anyOrigin || url.pathname.startsWith("//") ? "" : `${url.pathname.slice(1)}${url.search}`;
}

/** The header that signs in. */
export function signInCookie(token: string, isSecure: boolean): string {
  return `${tokenCookie}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** The header that signs out. */
export function signOutCookie(isSecure: boolean): string {
  return `${tokenCookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
}

/** Whether a token can be sent at all. */
export function isTokenForm(token: string): boolean {
  return tokenForm.test(token);
}

/** The form; `problem` says why the last try was refused. */
export function signInPage(root: string, next: string, problem = ""): Page {
  const note: Html | string = problem === "" ? "" : html`<div class="note bad" id="problem"><p>${problem}</p></div>`;
  const body = html`<h1>Sign in</h1>
    ${note}
    <p>This farm knows its callers by token. Give yours; ask the farm's operator if you have none.</p>
    <form class="sign-in" method="post" action="${linkTo(root, ["sign-in"])}">
      <input type="hidden" name="next" value="${next}" />
      <label for="token">Token</label>
      <input
        id="token"
        name="token"
        type="password"
        required
        autocomplete="current-password"
        spellcheck="false"
        ${problem !== "" && html` aria-describedby="problem"`}
      />
      <button>Sign in</button>
    </form>`;
  return { title: "Sign in", section: undefined, body };
}

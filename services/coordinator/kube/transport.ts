/**
 * Requests to the Kubernetes API: a deadline for each try, a new try where one may succeed, every answer counted.
 *
 * Tried again: what got no answer, 429 and 5xx (after what Retry-After says, else with growing, jittered waits), and once 401, with the token read
 * anew. Writes too, because each names the version that it changes: one that was done already is a conflict, and the caller looks.
 */
import {
  type HttpLibrary,
  IsomorphicFetchHttpLibrary,
  type RequestContext,
  type ResponseContext,
  wrapHttpLibrary,
} from "@kubernetes/client-node";
import { FarmError } from "../../domain/errors.ts";
import { pause } from "../../platform/deadline.ts";
import type { Account } from "./account.ts";

export type TransportOptions = {
  readonly account: Account;
  /** For one try. */
  readonly requestMs: number;
  readonly tries: number;
  readonly firstWaitMs: number;
  readonly mostWaitMs: number;
  /** A draw from [0, 1). */
  readonly draw: () => number;
  /** Told of each answer; code 0: there was none. */
  readonly onAnswer: (answer: { readonly verb: string; readonly code: number }) => void;
};

type Answer = { readonly response: ResponseContext } | { readonly fault: unknown };

/** One call: `signal` ends it, tries and waits included. */
export function createTransport(options: TransportOptions, signal: AbortSignal): HttpLibrary {
  const fetch = new IsomorphicFetchHttpLibrary();
  return wrapHttpLibrary({
    async send(request) {
      for (let tries = 1; ; tries += 1) {
        const answer = await tryOnce(fetch, request, { ...options, signal });
        const code = "response" in answer ? answer.response.httpStatusCode : 0;
        options.onAnswer({ verb: request.getHttpMethod().toLowerCase(), code });
        if (signal.aborted) throw unavailable(signal.reason);
        if (tries >= options.tries || !mayHelp(code, tries)) return settle(answer);
        if (code === 401) options.account.refuse();
        else await pause(waitMs(answer, tries, options), signal);
        await options.account.applySecurityAuthentication(request);
      }
    },
  });
}

export function unavailable(cause: unknown, message?: string): FarmError {
  return new FarmError("KUBERNETES_UNAVAILABLE", { cause, ...(message === undefined ? {} : { message }) });
}

async function tryOnce(
  fetch: HttpLibrary,
  request: RequestContext,
  { requestMs, signal }: TransportOptions & { readonly signal: AbortSignal },
): Promise<Answer> {
  try {
    request.setSignal(AbortSignal.any([signal, AbortSignal.timeout(requestMs)]));
    const response = await fetch.send(request).toPromise();
    // Within the deadline too: an answer may stop in its middle.
    const text = await response.body.text();
    const body = { text: () => Promise.resolve(text), binary: () => Promise.resolve(Buffer.from(text)) };
    return { response: Object.assign(response, { body }) };
  } catch (thrown) {
    return { fault: thrown };
  }
}

function mayHelp(code: number, tries: number): boolean {
  return code === 0 || code === 429 || code >= 500 || (code === 401 && tries === 1);
}

function settle(answer: Answer): ResponseContext {
  if ("fault" in answer) throw unavailable(answer.fault);
  return answer.response;
}

function waitMs(answer: Answer, tries: number, { firstWaitMs, mostWaitMs, draw }: TransportOptions): number {
  const told = "response" in answer ? Number(answer.response.headers["retry-after"]) : NaN;
  const own = Math.min(mostWaitMs, firstWaitMs * 2 ** (tries - 1));
  // Jitter goes on top: nobody comes back before the server said.
  const leastMs = Number.isFinite(told) ? Math.min(mostWaitMs, told * 1_000) : own / 2;
  return leastMs + (draw() * own) / 2;
}

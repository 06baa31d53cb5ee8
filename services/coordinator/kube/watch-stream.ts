/**
 * A watch: one answer that does not end, a JSON object a line.
 *
 * A connection may die without a word, so silence for longer than the server's bookmarks come apart ends the watch too: the next one goes on from
 * the last version that was told. Only what opens it may fail.
 */
import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext, type ResponseContext } from "@kubernetes/client-node";
import { FarmError } from "../../domain/errors.ts";
import type { Account } from "./account.ts";
import type { WatchEnd } from "./cluster.ts";
import { unavailable } from "./transport.ts";

export type WatchOptions = {
  readonly account: Account;
  /** For the answer's head. */
  readonly openMs: number;
  readonly silenceMs: number;
  readonly onAnswer: (answer: { readonly verb: string; readonly code: number }) => void;
};

/** An event as it came. */
export type RawEvent = { readonly type: string; readonly object: unknown };

export type Watch = {
  readonly address: URL;
  readonly onEvent: (event: RawEvent) => void;
  readonly signal: AbortSignal;
};

/** Reads until it ends. */
export async function readWatch(options: WatchOptions, { address, onEvent, signal }: Watch): Promise<WatchEnd> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), options.openMs);
  try {
    const response = await open(options, address, AbortSignal.any([signal, silence.signal]));
    if (response === "expired") return "expired";
    clearTimeout(timer);
    return await readLines(response, { onEvent, silenceMs: options.silenceMs, silence });
  } catch (thrown) {
    if (signal.aborted) return "closed";
    throw thrown;
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

async function open(options: WatchOptions, address: URL, signal: AbortSignal): Promise<ResponseContext | "expired"> {
  const request = new RequestContext(address.href, HttpMethod.GET);
  await options.account.applySecurityAuthentication(request);
  request.setHeaderParam("Accept", "application/json");
  request.setSignal(signal);
  let response: ResponseContext;
  try {
    response = await new IsomorphicFetchHttpLibrary().send(request).toPromise();
  } catch (thrown) {
    options.onAnswer({ verb: "watch", code: 0 });
    throw unavailable(thrown);
  }
  const code = response.httpStatusCode;
  options.onAnswer({ verb: "watch", code });
  if (code === 200) return response;
  await response.body.text().catch(() => "");
  if (code === 410) return "expired";
  if (code === 401) options.account.refuse();
  const isLater = code === 401 || code === 429 || code >= 500;
  throw new FarmError(isLater ? "KUBERNETES_UNAVAILABLE" : "KUBERNETES_REFUSED", { message: `a watch was answered with ${code}` });
}

type Reading = { readonly onEvent: Watch["onEvent"]; readonly silenceMs: number; readonly silence: AbortController };

async function readLines(response: ResponseContext, { onEvent, silenceMs, silence }: Reading): Promise<WatchEnd> {
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const chunk of streamOf(response)) {
      timer.refresh();
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = eventFrom(line);
        if (event === "expired") return "expired";
        if (event !== undefined) onEvent(event);
      }
    }
  } catch {
    // A reset, or nothing for too long: what was told so far holds.
  } finally {
    clearTimeout(timer);
  }
  return "closed";
}

/** The package declares no stream, and hands one out. */
function streamOf(response: ResponseContext): AsyncIterable<Uint8Array> {
  const { body } = response as unknown as { readonly body: { readonly stream: () => AsyncIterable<Uint8Array> } };
  return body.stream();
}

/** An ERROR says that nothing more comes: with code 410 that the version is too old. */
function eventFrom(line: string): RawEvent | "expired" | undefined {
  if (line.trim() === "") return undefined;
  const event = JSON.parse(line) as { readonly type?: unknown; readonly object?: { readonly code?: unknown } };
  if (event.type === "ERROR" && event.object?.code === 410) return "expired";
  if (event.type === "ERROR") throw unavailable(undefined, "the watch told an error");
  return typeof event.type === "string" ? { type: event.type, object: event.object } : undefined;
}

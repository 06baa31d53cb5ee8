/**
 * A watch: one answer that does not end, a JSON object a line.
 *
 * A connection may die without a word, so silence for longer than the server's bookmarks come apart ends the watch too: the next one goes on from
 * the last version that was told. What opens it may fail, and so may what it tells: an error, a line that cannot be read.
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

/** Only the stream's own end is one of the watch: what cannot be read, and what the reader throws, is a failure. */
async function readLines(response: ResponseContext, { onEvent, silenceMs, silence }: Reading): Promise<WatchEnd> {
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const decoder = new TextDecoder();
  const chunks = streamOf(response)[Symbol.asyncIterator]();
  let rest = "";
  try {
    for (;;) {
      const chunk = await nextOf(chunks);
      if (chunk === undefined) return "closed";
      timer.refresh();
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = eventFrom(line);
        if (event === "expired") return "expired";
        if (event !== undefined) onEvent(event);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined: the stream has ended, in order or by a reset, or nothing came for too long; what was told so far holds. */
async function nextOf(chunks: AsyncIterator<Uint8Array, unknown>): Promise<Uint8Array | undefined> {
  try {
    const next = await chunks.next();
    return next.done === true ? undefined : next.value;
  } catch {
    return undefined;
  }
}

/** The package declares no stream, and hands one out. */
function streamOf(response: ResponseContext): AsyncIterable<Uint8Array> {
  const { body } = response as unknown as { readonly body: { readonly stream: () => AsyncIterable<Uint8Array> } };
  return body.stream();
}

/** An ERROR says that nothing more comes: with code 410 that the version is too old. */
function eventFrom(line: string): RawEvent | "expired" | undefined {
  if (line.trim() === "") return undefined;
  const event = parsed(line);
  if (event.type === "ERROR" && event.object?.code === 410) return "expired";
  if (event.type === "ERROR") throw unavailable(undefined, "the watch told an error");
  return typeof event.type === "string" ? { type: event.type, object: event.object } : undefined;
}

type Parsed = { readonly type?: unknown; readonly object?: { readonly code?: unknown } };

function parsed(line: string): Parsed {
  try {
    return (JSON.parse(line) ?? {}) as Parsed;
  } catch (thrown) {
    throw unavailable(thrown, "the watch told what cannot be read");
  }
}

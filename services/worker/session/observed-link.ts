/**
 * The agent's link to NATS with a look at each request: how long it took, and how it ended as the worker sees it.
 */
import { isErrorCode, toFarmError } from "../../domain/errors.ts";
import type { Link } from "./exchange.ts";
import { readBeat, readNext, readReport } from "./wire.ts";

const readers = { next: readNext, beat: readBeat, report: readReport } as const;

export type AskedSubject = keyof typeof readers;

export type EndedRequest = { readonly subject: AskedSubject; readonly code: string; readonly seconds: number };

export type RequestObserver = {
  /** NATS subject → what is asked there. */
  readonly subjects: Readonly<Record<string, AskedSubject>>;
  readonly onEnd: (request: EndedRequest) => void;
};

/** The same link; a request on another subject is not told. */
export function observedLink<L extends Link>(link: L, { subjects, onEnd }: RequestObserver): L {
  const request: Link["request"] = async (subject, payload, timeoutMs) => {
    const asked = subjects[subject];
    if (asked === undefined) return link.request(subject, payload, timeoutMs);
    const beganAtMs = performance.now();
    const end = (code: string): void => onEnd({ subject: asked, code, seconds: (performance.now() - beganAtMs) / 1_000 });
    try {
      const reply = await link.request(subject, payload, timeoutMs);
      end(codeOf(asked, reply));
      return reply;
    } catch (thrown) {
      end(toFarmError(thrown).code);
      throw thrown;
    }
  };
  return { ...link, request };
}

/** Bytes that are no answer are asked for again, as if the peer spoke another protocol. */
function codeOf(subject: AskedSubject, bytes: Uint8Array): string {
  const reply = readers[subject](bytes);
  if (reply === undefined) return "PROTOCOL_UNSUPPORTED";
  if (reply.kind === "answer") return "OK";
  return isErrorCode(reply.refusal.code) ? reply.refusal.code : "INTERNAL";
}

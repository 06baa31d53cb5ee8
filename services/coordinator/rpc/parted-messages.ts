/**
 * A client stream of one header and then parts, each message within a wait.
 */
import { FarmError } from "../../domain/errors.ts";
import { refuseAny, violation } from "../../domain/field-rules.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { whileWaitedFor } from "../../platform/grpc/handlers.ts";

/** The most that one message carries. */
const maxOfMessage = 1_000;

/** What a message of such a stream carries. */
type Part<Header, Case extends string, Value> =
  { readonly $case: "header"; readonly value: Header } | { readonly $case: Case; readonly value: Value } | undefined;

/** What is read, and how long is waited for the next message. */
export type PartedOptions<Case extends string> = {
  /** E.g. "manifest". */
  readonly what: string;
  /** Name of the parts, e.g. "renders": also the field that a message of too many is told of. */
  readonly parts: Case;
  readonly idleMs: number;
  readonly signal: AbortSignal;
};

/** A stream as it comes. */
export type PartedStream<Header, Value> = {
  readonly header: Header;
  /** The parts of each message, once. */
  readonly parts: AsyncIterable<Value>;
};

/** Reads the header; REQUEST_MALFORMED when something else comes first. */
export async function readParted<Header, Case extends string, Value>(
  messages: AsyncIterable<{ readonly part?: Part<Header, Case, Value> }>,
  { what, parts, idleMs, signal }: PartedOptions<Case>,
): Promise<PartedStream<Header, Value>> {
  const iterator = messages[Symbol.asyncIterator]();
  // A stream whose caller has gone may neither end nor fail.
  const next = async (): Promise<Part<Header, Case, Value> | "end"> => {
    const message = await whileWaitedFor(signal, () =>
      withDeadline(iterator.next(), { ms: idleMs, what: `the wait for the ${what}'s next message` }),
    );
    return message.done === true ? "end" : message.value.part;
  };
  const first = await next();
  if (first === "end" || first?.$case !== "header") {
    throw new FarmError("REQUEST_MALFORMED", { message: `the first message of a ${what} must be its header` });
  }
  async function* rest(): AsyncGenerator<Value> {
    for (let part = await next(); part !== "end"; part = await next()) {
      if (part?.$case !== parts) throw new FarmError("REQUEST_MALFORMED", { message: `after the header of a ${what} come ${parts} only` });
      yield part.value as Value;
    }
  }
  return { header: first.value as Header, parts: rest() };
}

/** Refuses a message that carries none, or too many. */
export function requireFew(field: string, { length }: ArrayLike<unknown>): void {
  const isFitting = length >= 1 && length <= maxOfMessage;
  refuseAny(isFitting ? [] : [violation(field, `has ${length} ${field}`, `send 1 to ${maxOfMessage} in a message`)]);
}

/**
 * A proxy between one program and the NATS server that sees single messages, and loses, doubles, delays and swaps those that a test picks.
 *
 * Both ends are real: the program's own client and the farm's broker. What the program sends is a request or a publication, what it gets a
 * delivery or a reply; a reply is known by the address that its request named.
 */
import { createFrameReader, type Frame } from "./nats-frames.ts";
import { type Direction, type Stage, startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export type SeenMessage = {
  readonly direction: Direction;
  /** Of a reply: the subject of its request. */
  readonly subject: string;
  readonly isReply: boolean;
};

/** `swap`: after the next message of its direction, or after `mostHeldMs` when none comes. */
export type Fate = "deliver" | "lose" | "double" | "swap" | { readonly delayMs: number };

export type NatsProxy = TcpProxy & {
  /** Asked for each message; everything is delivered at first. */
  fateOf: (message: SeenMessage) => Fate;
};

const mostHeldMs = 1_000;
const mostKnownReplies = 1_000;

/** Starts one before the server of that port. */
export async function startNatsProxy(port: number): Promise<NatsProxy> {
  const requests = new Map<string, string>();
  const proxy = await startTcpProxy({
    port,
    stage: (_connection, direction, write) => stageOf({ direction, write, fateOf: (message) => natsProxy.fateOf(message), requests }),
  });
  const natsProxy: NatsProxy = { ...proxy, fateOf: () => "deliver" };
  return natsProxy;
}

type Staging = {
  readonly direction: Direction;
  readonly write: (bytes: Buffer) => void;
  readonly fateOf: (message: SeenMessage) => Fate;
  /** Address of a reply → subject of its request. */
  readonly requests: Map<string, string>;
};

function stageOf({ direction, write, fateOf, requests }: Staging): Stage {
  const read = createFrameReader();
  const timers = new Set<NodeJS.Timeout>();
  let swapped: Buffer | undefined;
  const flush = (): void => {
    const bytes = swapped;
    swapped = undefined;
    if (bytes !== undefined) write(bytes);
  };
  const later = (ms: number, work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };
  const deliver = (bytes: Buffer): void => {
    write(bytes);
    flush();
  };
  const apply = (bytes: Buffer, fate: Fate): void => {
    if (fate === "lose") return;
    if (typeof fate === "object") return later(fate.delayMs, () => deliver(bytes));
    if (fate !== "swap") return deliver(fate === "double" ? Buffer.concat([bytes, bytes]) : bytes);
    flush();
    swapped = bytes;
    later(mostHeldMs, flush);
  };
  return {
    take(piece) {
      for (const { bytes, message } of read(piece)) {
        // The reader's memory is used again.
        const copy = Buffer.from(bytes);
        if (message === undefined) write(copy);
        else apply(copy, fateOf(seen(direction, message, requests)));
      }
    },
    close: () => timers.forEach((timer) => clearTimeout(timer)),
  };
}

function seen(direction: Direction, { subject, reply }: NonNullable<Frame["message"]>, requests: Map<string, string>): SeenMessage {
  const asked = direction === "down" ? requests.get(subject) : undefined;
  if (direction === "up" && reply !== undefined) remember(requests, reply, subject);
  return { direction, subject: asked ?? subject, isReply: asked !== undefined };
}

function remember(requests: Map<string, string>, reply: string, subject: string): void {
  requests.set(reply, subject);
  const [oldest] = requests.keys();
  if (requests.size > mostKnownReplies && oldest !== undefined) requests.delete(oldest);
}

/**
 * The frames of NATS' client protocol, as far as a proxy must see them: messages with subject and size, everything else as it is.
 */
export type Frame = {
  readonly bytes: Buffer;
  /** Absent for what is no message (INFO, CONNECT, SUB, PING, …). */
  readonly message?: { readonly subject: string; readonly reply: string | undefined };
};

const lineEnd = Buffer.from("\r\n");
const verbs = /^(?<verb>H?PUB|H?MSG) (?<rest>.*)$/i;

/** Cuts a stream of bytes into frames; what is not whole yet waits for more. */
export function createFrameReader(): (bytes: Buffer) => readonly Frame[] {
  let waiting = Buffer.alloc(0);
  return (bytes) => {
    waiting = Buffer.concat([waiting, bytes]);
    const frames: Frame[] = [];
    for (let frame = firstOf(waiting); frame !== undefined; frame = firstOf(waiting)) {
      frames.push(frame);
      waiting = waiting.subarray(frame.bytes.length);
    }
    return frames;
  };
}

function firstOf(bytes: Buffer): Frame | undefined {
  const end = bytes.indexOf(lineEnd);
  if (end < 0) return undefined;
  const found = verbs.exec(bytes.subarray(0, end).toString("latin1"))?.groups;
  if (found?.["verb"] === undefined) return { bytes: bytes.subarray(0, end + 2) };
  const verb = found["verb"].toUpperCase();
  const fields = (found["rest"] ?? "").trim().split(/\s+/);
  const size = Number(fields.at(-1));
  const whole = end + 2 + size + 2;
  if (bytes.length < whole) return undefined;
  // Subject, the subscription of a delivery, an address for the reply, sizes (two with headers).
  const sizes = verb.startsWith("H") ? 2 : 1;
  const reply = fields[verb.endsWith("MSG") ? 2 : 1];
  const hasReply = fields.length === (verb.endsWith("MSG") ? 3 : 2) + sizes;
  return { bytes: bytes.subarray(0, whole), message: { subject: fields[0] ?? "", reply: hasReply ? reply : undefined } };
}

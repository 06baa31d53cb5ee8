/**
 * The last log lines of attempts that run, as their workers say them: the newest message of each attempt's subject, in a stream that may be
 * lost at any time (docs/decisions/0026).
 */
import { DiscardPolicy, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { Broker } from "./broker.ts";
import { expected, noMessageFound, streamNotFound, unavailable } from "./jetstream-calls.ts";

export type TailStream = {
  /** Makes the stream if it is not there. */
  ensure(): Promise<void>;
  /** Last tokens of the subjects that have a message. */
  names(): Promise<readonly string[]>;
  /** What was said last; undefined when it is gone. */
  last(name: string): Promise<Uint8Array | undefined>;
  forget(name: string): Promise<void>;
};

/** Longer than any attempt waits for its end to be noticed: the outage limit and a lease. */
const maxAgeMs = 3_600_000;
const maxBytes = 64 * 1024 ** 2;
/** A tail has 8,192 characters at most. */
const maxMessageBytes = 64 * 1024;

/** Opens the stream of a farm; failures are BROKER_UNAVAILABLE. */
export async function openTailStream(
  broker: Pick<Broker, "connection">,
  stream: { readonly name: string; readonly subjectOf: (name: string) => string },
): Promise<TailStream> {
  const { name, subjectOf } = stream;
  const all = subjectOf("*");
  const manager = await unavailable(jetstreamManager(broker.connection, { checkAPI: false }));
  return {
    async ensure() {
      if ((await expected(manager.streams.info(name), streamNotFound)) !== undefined) return;
      const bounds = { max_age: maxAgeMs * 1_000_000, max_bytes: maxBytes, max_msgs_per_subject: 1, max_msg_size: maxMessageBytes };
      const kind = { retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.Old };
      await unavailable(manager.streams.add({ name, subjects: [all], ...kind, ...bounds }));
    },
    async names() {
      const { state } = await unavailable(manager.streams.info(name, { subjects_filter: all }));
      return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(subject.lastIndexOf(".") + 1));
    },
    async last(of) {
      const message = await expected(manager.streams.getMessage(name, { last_by_subj: subjectOf(of) }), noMessageFound);
      return message?.data;
    },
    async forget(of) {
      await unavailable(manager.streams.purge(name, { filter: subjectOf(of) }));
    },
  };
}

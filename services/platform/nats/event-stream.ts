/**
 * The JetStream copy of the event log (design §2): a stream that may be lost at any time.
 *
 * Invariant: per job, messages lie in order and without doubles, because each publish names the subject's
 * expected last sequence; a publish that finds another is refused, not stored. The stream's metadata says which epoch of
 * the farm it copies: after a restore the log has other events under the same numbers.
 */
import { jetstream, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { Broker } from "./broker.ts";
import { expected, noMessageFound, streamNotFound, unavailable } from "./jetstream-calls.ts";

export type AppendOutcome = { readonly kind: "appended"; readonly sequence: number } | { readonly kind: "other_sequence" };

export type EventStream = {
  /** Makes the stream if it is not there; one that copied the log of another epoch of the farm is emptied. */
  ensure(wanted: { readonly maxAgeMs: number; readonly epoch: number }): Promise<void>;
  /** Sequence and payload of a subject's last message; undefined when it has none. */
  last(subject: string): Promise<{ readonly sequence: number; readonly payload: Uint8Array } | undefined>;
  /** Appends if the subject's last sequence is the expected one (0: it has none). */
  append(message: { readonly subject: string; readonly payload: Uint8Array; readonly expectedSequence: number }): Promise<AppendOutcome>;
};

const epochName = "vapfarm_epoch";
/** Of a stream that does not say: it was made before farms were recovered. */
const firstEpoch = "1";

const wrongLastSequence = 10071;

/** Opens the stream of a farm; every failure but the expected ones is BROKER_UNAVAILABLE. */
export async function openEventStream(broker: Broker, stream: { readonly name: string; readonly subjects: string }): Promise<EventStream> {
  const manager = await unavailable(jetstreamManager(broker.connection, { checkAPI: false }));
  const client = jetstream(broker.connection);
  return {
    async ensure({ maxAgeMs, epoch }) {
      const metadata = { [epochName]: String(epoch) };
      const config = {
        name: stream.name,
        subjects: [stream.subjects],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        max_age: maxAgeMs * 1_000_000,
        metadata,
      };
      const known = await expected(manager.streams.info(stream.name), streamNotFound);
      if (known === undefined) {
        await unavailable(manager.streams.add(config));
        return;
      }
      const copied = known.config.metadata?.[epochName] ?? firstEpoch;
      if (copied !== String(epoch)) {
        await unavailable(manager.streams.purge(stream.name));
        await unavailable(manager.streams.update(stream.name, { ...known.config, metadata: { ...known.config.metadata, ...metadata } }));
      }
    },
    async last(subject) {
      const message = await expected(manager.streams.getMessage(stream.name, { last_by_subj: subject }), noMessageFound);
      return message === null || message === undefined ? undefined : { sequence: message.seq, payload: message.data };
    },
    async append({ subject, payload, expectedSequence }) {
      const ack = await expected(
        client.publish(subject, payload, { expect: { lastSubjectSequence: expectedSequence } }),
        wrongLastSequence,
      );
      return ack === undefined ? { kind: "other_sequence" } : { kind: "appended", sequence: ack.seq };
    },
  };
}

/**
 * The relay: copies unsent event rows to the JetStream stream, in order per job (design §2).
 *
 * Invariants: a row is marked only once its copy is in the stream; each append names the subject's expected last sequence, so two relays
 * (one of them stalled) cannot double or reorder. When the sequence is another, the stream's last message says how far the copy is: its event
 * number or above needs no sending. A lost stream is made anew and gets the rows that are unsent; the log itself is in Postgres.
 * After a restore the log's numbers are used anew: recovering raises the farm's epoch and marks every row unsent, and a stream that
 * copied another epoch is emptied first.
 */
import { toFarmError } from "../../domain/errors.ts";
import { JobEvent } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { EventStream } from "../../platform/nats/event-stream.ts";
import { eventToProto } from "../rpc/job-mapping.ts";
import type { DutyStore, EventView, UnsentEvent } from "../store/store-contract.ts";
import type { DutySpec } from "./duty.ts";

export type RelayOptions = {
  readonly store: Pick<DutyStore, "unsentEvents" | "markEventsSent" | "farmEpoch">;
  readonly openStream: () => Promise<EventStream>;
  readonly subjectOf: (jobId: string) => string;
  readonly intervalMs: number;
  readonly maxAgeMs: number;
  /**
   * Told of events once they are copied and marked: each once, by the relay that moved the mark. Nobody is told of those of a relay that died in
   * between, nor of those from before a recovery, of which nobody knows any more whether they were told.
   */
  readonly onCopied: (events: readonly UnsentEvent[]) => void;
};

const pageSize = 500;
const maxKnownSubjects = 10_000;

/** How far a subject's copy is: the last message's sequence in the stream and its event number. */
type Copy = { readonly sequence: number; readonly number: number };
const noCopy: Copy = { sequence: 0, number: 0 };

/** The stream, and the life of the database that it is ensured for. */
type Opened = { readonly stream: EventStream; readonly epoch: number };

/** The relay's rounds; the stream is opened in the first and again after a failure. */
export function createRelay(options: RelayOptions): DutySpec {
  let opened: Opened | undefined;
  const copies = new Map<string, Copy>();
  return {
    name: "relay",
    intervalMs: options.intervalMs,
    async run(_epoch, signal) {
      try {
        opened ??= await openEnsured(options);
        await copyAll({ ...options, ...opened, copies }, signal);
      } catch (thrown) {
        opened = undefined;
        copies.clear();
        throw toFarmError(thrown, "BROKER_UNAVAILABLE");
      }
    },
  };
}

async function openEnsured({ store, openStream, maxAgeMs }: RelayOptions): Promise<Opened> {
  const stream = await openStream();
  const epoch = await store.farmEpoch();
  await stream.ensure({ maxAgeMs, epoch });
  return { stream, epoch };
}

type Copying = RelayOptions & Opened & { readonly copies: Map<string, Copy> };

async function copyAll(copying: Copying, signal: AbortSignal): Promise<void> {
  for (;;) {
    const events = await copying.store.unsentEvents(pageSize);
    for (const [jobId, ofJob] of Map.groupBy(events, ({ jobId }) => jobId)) {
      if (signal.aborted) return;
      await copyJob(copying, jobId, ofJob);
    }
    if (events.length < pageSize || signal.aborted) break;
  }
  if (copying.copies.size > maxKnownSubjects) copying.copies.clear();
}

async function copyJob(copying: Copying, jobId: string, events: readonly UnsentEvent[]): Promise<void> {
  const copied: UnsentEvent[] = [];
  try {
    for (const event of events.toSorted((left, right) => left.number - right.number)) {
      await copyEvent(copying, event);
      copied.push(event);
    }
  } finally {
    const last = copied.at(-1);
    if (last !== undefined) {
      const before = await copying.store.markEventsSent(jobId, last.number);
      if (before !== undefined) copying.onCopied(copied.filter((event) => event.number > before && isOfThisLife(event, copying.epoch)));
    }
  }
}

/** Recovering makes the epoch the time at which it began, to a millisecond; before the first one it is a small number. */
function isOfThisLife({ at }: EventView, epoch: number): boolean {
  return at.getTime() >= epoch - 1;
}

async function copyEvent({ stream, copies, subjectOf }: Copying, event: EventView): Promise<void> {
  const subject = subjectOf(event.jobId);
  const payload = JobEvent.encode(eventToProto(event)).finish();
  for (;;) {
    const copy = copies.get(subject) ?? noCopy;
    if (copy.number >= event.number) return;
    const outcome = await stream.append({ subject, payload, expectedSequence: copy.sequence });
    if (outcome.kind === "appended") {
      copies.set(subject, { sequence: outcome.sequence, number: event.number });
      return;
    }
    copies.set(subject, await readCopy(stream, subject));
  }
}

async function readCopy(stream: EventStream, subject: string): Promise<Copy> {
  const last = await stream.last(subject);
  return last === undefined ? noCopy : { sequence: last.sequence, number: Number(JobEvent.decode(last.payload).number) };
}

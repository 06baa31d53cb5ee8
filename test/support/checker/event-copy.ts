/**
 * The JetStream copy of the event log, message by message.
 */
import { jetstream, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { JobEvent } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { type Broker, connectBroker } from "../../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import type { CopiedEvent } from "./evidence.ts";

const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet, child: () => logger };

function quiet(): void {
  // What the connection says is not evidence.
}

/** In the stream's order; undefined where the farm has no stream now. */
export function readEventCopy(natsUrl: string, farm: string): Promise<readonly CopiedEvent[] | undefined> {
  return withBroker(natsUrl, async ({ connection }) => {
    const { streams } = await jetstreamManager(connection);
    const { eventStream } = subjectsOf(farm);
    if (!(await streams.names().next()).includes(eventStream)) return undefined;
    const { state } = await streams.info(eventStream);
    const events: CopiedEvent[] = [];
    for (let sequence = Math.max(1, state.first_seq); sequence <= state.last_seq; sequence += 1) {
      const message = await streams.getMessage(eventStream, { seq: sequence });
      if (message !== null) events.push(copiedEvent(message));
    }
    return events;
  });
}

/** Puts an event into a farm's copy that the farm did not; what is returned takes it out again. */
export function forgeCopiedEvent(natsUrl: string, farm: string, { jobId, ...event }: CopiedEvent): Promise<() => Promise<void>> {
  const subjects = subjectsOf(farm);
  const payload = JobEvent.encode(
    JobEvent.create({ number: BigInt(event.number), kind: event.kind, taskId: BigInt(event.taskId) }),
  ).finish();
  return withBroker(natsUrl, async ({ connection }) => {
    const { seq } = await jetstream(connection).publish(subjects.events(jobId), payload);
    return () =>
      withBroker(natsUrl, async (again) => {
        await (await jetstreamManager(again.connection)).streams.deleteMessage(subjects.eventStream, seq);
      });
  });
}

async function withBroker<T>(url: string, work: (broker: Broker) => Promise<T>): Promise<T> {
  const broker = await connectBroker({ url, name: "checker", logger });
  try {
    return await work(broker);
  } finally {
    await broker.close();
  }
}

function copiedEvent({ subject, data }: StoredMsg): CopiedEvent {
  const { number, kind, taskId } = JobEvent.decode(data);
  return { jobId: subject.slice(subject.lastIndexOf(".") + 1), number: Number(number), kind, taskId: Number(taskId) };
}

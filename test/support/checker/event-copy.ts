/**
 * The JetStream copy of the event log, message by message.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { JobEvent } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { connectBroker } from "../../../services/platform/nats/broker.ts";
import { subjectsOf } from "../../../services/platform/nats/subjects.ts";
import type { CopiedEvent } from "./evidence.ts";

const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet, child: () => logger };

function quiet(): void {
  // What the connection says is not evidence.
}

/** In the stream's order; undefined where the farm has no stream now. */
export async function readEventCopy(natsUrl: string, farm: string): Promise<readonly CopiedEvent[] | undefined> {
  const broker = await connectBroker({ url: natsUrl, name: "checker", logger });
  try {
    const { streams } = await jetstreamManager(broker.connection);
    const { eventStream } = subjectsOf(farm);
    const names = (await streams.names().next()).map((name) => name);
    if (!names.includes(eventStream)) return undefined;
    const { state } = await streams.info(eventStream);
    const events: CopiedEvent[] = [];
    for (let sequence = Math.max(1, state.first_seq); sequence <= state.last_seq; sequence += 1) {
      const message = await streams.getMessage(eventStream, { seq: sequence });
      if (message === null) continue;
      const { number, kind, taskId } = JobEvent.decode(message.data);
      events.push({
        jobId: message.subject.slice(message.subject.lastIndexOf(".") + 1),
        number: Number(number),
        kind,
        taskId: Number(taskId),
      });
    }
    return events;
  } finally {
    await broker.close();
  }
}

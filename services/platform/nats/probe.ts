/**
 * What a NATS server says of itself when a client connects.
 */
import { connect } from "@nats-io/transport-node";
import { toFarmError } from "../../domain/errors.ts";

export type NatsFacts = {
  /** E.g. "2.12.1". */
  readonly version: string;
  readonly hasJetStream: boolean;
  readonly maxPayloadBytes: number;
};

const timeoutMs = 5_000;

/** Connects once; BROKER_UNAVAILABLE when nobody answers. */
export async function probeNats(url: string): Promise<NatsFacts> {
  try {
    const connection = await connect({
      servers: url,
      name: "vapfarm-doctor",
      timeout: timeoutMs,
      reconnect: false,
      maxReconnectAttempts: 0,
    });
    const { info } = connection;
    await connection.close();
    return { version: info?.version ?? "", hasJetStream: info?.jetstream === true, maxPayloadBytes: info?.max_payload ?? 0 };
  } catch (thrown) {
    throw toFarmError(thrown, "BROKER_UNAVAILABLE");
  }
}

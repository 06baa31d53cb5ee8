/**
 * The canary: proves each second that a beat travels through NATS, a coordinator and into Postgres (design §4.4).
 *
 * It says how long ago it sent its last beat by its own monotonic clock; the database compares that with its own. A gap or a
 * disagreement makes reaping wait for a full lease of unbroken beats.
 */
import { FarmError } from "../../domain/errors.ts";
import { BeatRequest, BeatResponse } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { Broker } from "../../platform/nats/broker.ts";
import { protocolVersion } from "../dispatch/ask-mapping.ts";
import type { DutySpec } from "./duty.ts";

export type CanaryOptions = {
  readonly broker: Pick<Broker, "request">;
  readonly subject: string;
  readonly pool: string;
  /** A session id that no worker has. */
  readonly sessionId: string;
  readonly intervalMs: number;
  /** Monotonic, in ms. */
  readonly clock: () => number;
};

/** The canary's rounds. */
export function createCanary(options: CanaryOptions): DutySpec {
  let sequence = 0n;
  let lastSentMs: number | undefined;
  return {
    name: "canary",
    intervalMs: options.intervalMs,
    async run() {
      const nowMs = options.clock();
      const elapsedMs = lastSentMs === undefined ? 0 : nowMs - lastSentMs;
      lastSentMs = nowMs;
      sequence += 1n;
      await beat(options, sequence, elapsedMs);
    },
  };
}

async function beat({ broker, subject, pool, sessionId, intervalMs }: CanaryOptions, sequence: bigint, elapsedMs: number): Promise<void> {
  const request = BeatRequest.create({
    header: { protocolVersion, sessionId, sequence, farmEpoch: 0n },
    pool,
    canary: true,
    canaryElapsedMs: BigInt(Math.round(elapsedMs)),
  });
  const reply = await broker.request(subject, BeatRequest.encode(request).finish(), Math.max(intervalMs, 1_000));
  const { outcome } = BeatResponse.decode(reply);
  if (outcome?.$case !== "answer")
    throw new FarmError("PROTOCOL_UNSUPPORTED", { message: `the canary was refused: ${outcome?.value.message ?? "no outcome"}` });
}

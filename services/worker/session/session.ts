/**
 * One life of the agent as the coordinator sees it: a random id, sequences, an epoch, a lease.
 *
 * `next` and `report` share one sequence, beats have their own. A session ends only by a refusal; then another takes its place.
 */
import { randomBytes } from "node:crypto";
import type { RequestHeader } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import { type Lease, renewed } from "./lease-clock.ts";

/** Version of dispatch.proto that this agent speaks. */
const protocolVersion = 1;

/** A session's state; the agent has one at a time. */
export class Session {
  /** 128 random bits, hex. */
  readonly id: string = randomBytes(16).toString("hex");
  /** Grows from session to session of a worker. */
  readonly life: bigint;
  private readonly ending = new AbortController();
  private farmEpoch: bigint;
  private sequence = 0n;
  private beatSequence = 0n;
  private leaseNow: Lease | undefined;

  /** `farmEpoch` is 0 when it must be asked for. */
  constructor(life: bigint, farmEpoch: bigint) {
    this.life = life;
    this.farmEpoch = farmEpoch;
  }

  get epoch(): bigint {
    return this.farmEpoch;
  }

  get lease(): Lease | undefined {
    return this.leaseNow;
  }

  /** Its first request was answered, so the coordinator has its row. */
  get opened(): boolean {
    return this.leaseNow !== undefined;
  }

  /** Aborts when the session is no more. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** Header of a new `next` or `report`; a request that is sent again keeps its bytes and so its header. */
  nextHeader(): RequestHeader {
    this.sequence += 1n;
    return this.header(this.sequence);
  }

  /** Header of a new beat. */
  beatHeader(): RequestHeader {
    this.beatSequence += 1n;
    return this.header(this.beatSequence);
  }

  /** Takes what an answer says of epoch and lease; the lease counts from when the request was first sent. */
  renew(answer: { readonly farmEpoch: bigint; readonly leaseMs: bigint }, sentAtMs: number): void {
    this.farmEpoch = answer.farmEpoch;
    this.leaseNow = renewed(this.leaseNow, sentAtMs, Number(answer.leaseMs));
  }

  end(): void {
    this.ending.abort();
  }

  private header(sequence: bigint): RequestHeader {
    return { protocolVersion, sessionId: this.id, sequence, farmEpoch: this.farmEpoch };
  }
}

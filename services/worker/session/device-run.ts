/**
 * An attempt's turn at the device: waiting for it, computing, letting go of it (design §5).
 *
 * Invariants: nothing is handed to the runtime before it is admitted; it has begun only when the runtime says so, because a runtime that
 * died of another's run must cost this one nothing: then it is handed to the next. Watched for progress while the slot is its own.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { RunStageRequest, StageCheckpoint, StageProgress, StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { TraceContext } from "../../platform/tracing/trace-context.ts";
import type { AttemptPorts } from "./attempt-ports.ts";
import { createRunWatch, type RunWatch } from "./run-watch.ts";

type DeviceRunPorts = Pick<AttemptPorts, "clock" | "runtime" | "limits" | "onChange" | "onProgress"> & {
  /** Cancels. */
  readonly signal: AbortSignal;
  /** Asks it to end at its next step. */
  readonly leave: AbortSignal;
  readonly onBegan: (idleMs: number | undefined) => void;
  /** The device is free for another. */
  readonly onComputed: () => void;
  readonly onCheckpoint: (checkpoint: StageCheckpoint) => void;
};

/** Runtimes that may die before one of them has begun it. */
const mostTries = 3;

export class DeviceRun {
  readonly watch: RunWatch;
  /** The slot is its own: no other attempt computes before it. */
  hasSlot = false;
  private readonly claim: TaskClaim;
  private readonly ports: DeviceRunPorts;
  private readonly admitted = Promise.withResolvers<undefined>();
  private isSubmitted = false;
  private state: "waits" | "computes" | "computed" = "waits";
  private startedAtMs = 0;
  private spentMs = 0;

  constructor(claim: TaskClaim, ports: DeviceRunPorts) {
    this.claim = claim;
    this.ports = ports;
    this.watch = createRunWatch({ claim, ports });
    ports.signal.addEventListener("abort", () => this.admitted.resolve(undefined), { once: true });
  }

  get hasBegun(): boolean {
    return this.state !== "waits";
  }

  /** Whether the runtime has the run, and computes it. */
  get isComputing(): boolean {
    return this.state === "computes";
  }

  /** It may be handed to the runtime. */
  admit(): void {
    this.admitted.resolve(undefined);
  }

  takeSlot(): void {
    if (this.hasSlot) return;
    this.hasSlot = true;
    if (this.isSubmitted && !this.hasBegun) this.watch.begin();
  }

  /** Device time so far in ms: the wall time of the run, until its result tells more. */
  deviceMs(): number {
    return this.isComputing ? this.ports.clock.nowMs() - this.startedAtMs : this.spentMs;
  }

  /** Expected time until the device is free in ms; undefined while nobody knows. */
  leftMs(): number | undefined {
    if (this.state === "computed") return 0;
    const knownMs = this.watch.leftMs();
    if (knownMs !== undefined) return knownMs;
    const { expectedMs } = this.claim;
    return expectedMs > 0 ? Math.max(0, expectedMs - this.deviceMs()) : undefined;
  }

  /** Waits until it is admitted; what was stopped meanwhile is STAGE_CANCELLED. */
  async untilAdmitted(): Promise<void> {
    await this.admitted.promise;
    if (this.ports.signal.aborted) throw new FarmError("STAGE_CANCELLED");
  }

  /** Resolves when the outputs are written, which is after the device was let go. */
  async run(request: RunStageRequest, trace?: TraceContext): Promise<StageResult> {
    for (let tries = 1; ; tries += 1) {
      try {
        const result = await this.submit(request, trace);
        this.letGo();
        return result;
      } catch (thrown) {
        const isAnothersFault = !this.hasBegun && !this.watch.isHung() && toFarmError(thrown).code === "RUNTIME_DIED";
        if (!isAnothersFault || tries === mostTries) throw thrown;
      } finally {
        this.stopCounting();
      }
    }
  }

  private submit(request: RunStageRequest, trace: TraceContext | undefined): Promise<StageResult> {
    const { runtime, signal, leave, onCheckpoint } = this.ports;
    this.isSubmitted = true;
    if (this.hasSlot) this.watch.begin();
    return runtime.run(request, {
      signal,
      leave,
      trace,
      onStarted: (idleMs) => this.begin(idleMs),
      onProgress: (progress) => this.onProgress(progress),
      onCheckpoint,
      onComputed: () => this.letGo(),
      cancelGraceMs: () => this.watch.cancelGraceMs(),
    });
  }

  private onProgress(progress: StageProgress): void {
    this.ports.onProgress(progress);
    this.watch.onProgress(progress);
  }

  private begin(idleMs: number | undefined): void {
    this.state = "computes";
    this.startedAtMs = this.ports.clock.nowMs();
    this.watch.begin();
    this.ports.onBegan(idleMs);
  }

  private letGo(): void {
    if (this.state === "computed") return;
    this.stopCounting();
    this.state = "computed";
    this.ports.onComputed();
  }

  private stopCounting(): void {
    if (this.isComputing) this.spentMs = this.deviceMs();
    if (this.isComputing) this.state = "computed";
    this.watch.end();
  }
}

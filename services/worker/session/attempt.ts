/**
 * One try of one task on this worker: fetch → compute → finish, and the report of how it ended.
 *
 * Invariants: it always ends, with exactly one report; `computed` settles as soon as the device is free for another; a stop takes effect
 * in whatever phase it meets; a reservation that has not begun ends without a trace on the device; nothing is put into the store before its
 * rows are announced; a report waits for the last checkpoint, but not for long.
 */
import type { AttemptReport, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { RunStageRequest, StageInput, StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import { FarmError } from "../../domain/errors.ts";
import { hasCheckpoints } from "../../domain/vap/checkpoint-pace.ts";
import { type OpenSpan, withSpan } from "../../platform/tracing/tracer.ts";
import { failureReport, successReport } from "./attempt-report.ts";
import type { AttemptPorts, ProducedFile, Workspace } from "./attempt-ports.ts";
import { type AttemptLevelName, type AttemptPhase, keptBy, type StopReason } from "./attempt-words.ts";
import { type CheckpointKeeper, createCheckpointKeeper } from "./checkpoint-keeper.ts";
import { labelsOf } from "./claim-labels.ts";
import { settledWithin } from "./clock.ts";
import { DeviceRun } from "./device-run.ts";
import { responseTo } from "./level-response.ts";
import { withinLimit } from "./time-limit.ts";

export type AttemptView = {
  readonly phase: AttemptPhase;
  readonly step: number;
  readonly steps: number;
  /** Expected time left of the run in ms, 0 while unknown. */
  readonly remainingMs: number;
  /** Device time so far in ms: the runtime's count once it told, the wall time of the run until then. */
  readonly deviceMs: number;
};

export type Attempt = {
  readonly claim: TaskClaim;
  view(): AttemptView;
  /** False once its run stands still for too long: it is then not renewed. */
  isRenewable(): boolean;
  /** The runtime computes it, or has. */
  hasBegun(): boolean;
  /** It may be handed to the runtime, which starts it when its device is free. */
  admit(): void;
  /** No other attempt is before it any more. */
  takeSlot(): void;
  /** Stops it unless the slot is its own: a reservation goes back without having cost anything. */
  giveBack(reason: StopReason): void;
  /** Expected time until the device is free again, in ms; undefined while nobody knows. */
  leftMs(): number | undefined;
  applyLevel(level: AttemptLevelName): void;
  stop(reason: StopReason): void;
  /** How long it may take to end at its next step and to have its last checkpoint told; 0 where it cannot. */
  leaveMs(): number;
  /** Why it was told to stop, if it was. */
  stopReason(): StopReason | undefined;
  /** Settles when the device is free for another attempt. */
  readonly computed: Promise<void>;
  /** Never rejects. */
  readonly ended: Promise<AttemptReport>;
};

/** Begins the attempt: its inputs are fetched at once. */
export function startAttempt(claim: TaskClaim, ports: AttemptPorts): Attempt {
  const run = new AttemptRun(claim, ports);
  return {
    claim,
    view: () => run.view(),
    isRenewable: () => !run.device.watch.isHung(),
    hasBegun: () => run.device.hasBegun,
    admit: () => run.device.admit(),
    takeSlot: () => run.takeSlot(),
    giveBack: (reason) => run.giveBack(reason),
    leftMs: () => run.device.leftMs(),
    applyLevel: (level) => run.applyLevel(level),
    stop: (reason) => run.stop(reason),
    leaveMs: () => run.leaveMs(),
    stopReason: () => run.stopped,
    computed: run.computed.promise,
    ended: run.toEnd(),
  };
}

class AttemptRun {
  readonly claim: TaskClaim;
  readonly ports: AttemptPorts;
  readonly device: DeviceRun;
  readonly computed = Promise.withResolvers<undefined>();
  stopped: StopReason | undefined;
  private phase: AttemptPhase = "fetch";
  private finishSinceMs = 0;
  /** The device is free for another. */
  private isFree = false;
  private readonly stopping = new AbortController();
  /** Asks the run to end with a last checkpoint. */
  private readonly leaving = new AbortController();
  private cancelTimer: () => void = () => undefined;
  private keeper: CheckpointKeeper | undefined;
  /** As it was when the attempt ended: what comes while its last checkpoint is told is not why. */
  private endedBy: { readonly stopped: StopReason | undefined } | undefined;
  private late: FarmError | undefined;
  private times = { fetchMs: 0, loadMs: 0, computeMs: 0, finishMs: 0 };
  /** Told with the result. */
  private deviceMs: number | undefined;

  constructor(claim: TaskClaim, ports: AttemptPorts) {
    this.claim = claim;
    this.ports = ports;
    this.device = new DeviceRun(claim, {
      ...ports,
      signal: this.stopping.signal,
      leave: this.leaving.signal,
      onBegan: (idleMs) => this.onBegan(idleMs),
      onComputed: () => this.onComputed(),
      onCheckpoint: (checkpoint) => this.keeper?.take(checkpoint),
    });
  }

  view(): AttemptView {
    return { phase: this.phase, ...this.device.watch.view(), deviceMs: this.deviceMs ?? this.device.deviceMs() };
  }

  applyLevel(level: AttemptLevelName): void {
    const reason = responseTo(level, this.phase);
    if (reason !== undefined) this.stop(reason);
  }

  takeSlot(): void {
    if (!this.device.hasSlot && !this.device.hasBegun) this.cancelTimer();
    this.device.takeSlot();
  }

  giveBack(reason: StopReason): void {
    if (!this.device.hasSlot && !this.device.hasBegun) this.stop(reason);
  }

  /** A second stop counts only if it keeps less than the first. */
  stop(reason: StopReason): void {
    const keeps = keptBy(reason);
    if (keeps === "nothing") this.keeper?.close();
    const isFirst = this.stopped === undefined;
    this.stopped ??= reason;
    if (isFirst && !this.isFree && (this.device.hasSlot || this.device.hasBegun)) this.ports.onStop(reason);
    if (keeps !== "every_step" || !this.canLeave()) this.stopping.abort();
    else if (isFirst) this.leave();
  }

  leaveMs(): number {
    return this.canLeave() ? this.device.watch.cancelGraceMs() + this.ports.limits.lastCheckpointMs : 0;
  }

  private canLeave(): boolean {
    return this.device.isComputing && hasCheckpoints(this.ports.checkpoints);
  }

  /** What does not leave in time is cancelled. */
  private leave(): void {
    this.leaving.abort();
    this.setTimer(this.device.watch.cancelGraceMs(), () => this.stopping.abort());
  }

  /** One at a time: a later phase has no use for an earlier one's. */
  private setTimer(ms: number, callback: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.ports.clock.after(ms, callback);
  }

  async toEnd(): Promise<AttemptReport> {
    const { attemptId, inputs } = this.claim;
    try {
      return await this.inWorkspace();
    } catch (thrown) {
      const { stopped } = this.endedBy ?? this;
      const end = { thrown: this.late ?? thrown, stopped, hung: this.device.watch.isHung(), inputs };
      return failureReport(attemptId, end, this.timesSoFar());
    } finally {
      this.cancelTimer();
      this.free();
    }
  }

  private timesSoFar() {
    return { ...this.times, deviceMs: this.deviceMs ?? this.device.deviceMs() };
  }

  private async inWorkspace(): Promise<AttemptReport> {
    const workspace = await this.ports.transfer.open();
    const keeper = createCheckpointKeeper({ attemptId: this.claim.attemptId, workspace, ports: this.ports });
    this.keeper = keeper;
    try {
      const inputs = await this.fetch(workspace);
      const result = await this.compute(workspace, inputs);
      this.ports.crash("computed");
      const files = await this.finish(workspace, result);
      this.ports.crash("stored");
      this.times = { ...this.times, finishMs: this.ports.clock.nowMs() - this.finishSinceMs };
      const outputs = files.map(({ artifact }) => artifact);
      return successReport(this.claim.attemptId, { result, outputs }, this.timesSoFar());
    } catch (thrown) {
      this.endedBy = { stopped: this.stopped };
      this.cancelTimer();
      await this.keepLast(keeper);
      throw thrown;
    } finally {
      keeper.close();
      await workspace.close();
    }
  }

  /** The next attempt goes on at the last checkpoint if it is told before the report. An attempt that is not renewed cannot tell it. */
  private async keepLast(keeper: CheckpointKeeper): Promise<void> {
    if (keeper.isIdle() || this.device.watch.isHung()) return;
    this.enter("finish");
    this.free();
    await settledWithin(this.ports.clock, this.ports.limits.lastCheckpointMs, keeper.untilIdle());
  }

  private free(): void {
    this.isFree = true;
    this.computed.resolve(undefined);
  }

  private enter(phase: AttemptPhase): void {
    this.phase = phase;
    this.ports.onChange();
  }

  private async fetch(workspace: Workspace): Promise<StageInput[]> {
    const { clock, limits } = this.ports;
    const startedAtMs = clock.nowMs();
    const limit = { clock, ms: limits.fetchMs, signal: this.stopping.signal, what: "fetching the inputs" };
    const inputs = await this.under("fetch", () => withinLimit(limit, (signal) => workspace.fetch(this.claim.inputs, signal)));
    const fetchMs = clock.nowMs() - startedAtMs;
    this.times = { ...this.times, fetchMs };
    this.ports.onFetched(fetchMs);
    return inputs;
  }

  private async compute(workspace: Workspace, inputs: StageInput[]): Promise<StageResult> {
    if (!this.device.hasSlot) this.setTimer(this.ports.limits.reservedMs, () => this.giveBack("slot_not_free"));
    await this.under("slot", () => this.device.untilAdmitted());
    const request = this.requestFor(workspace, inputs);
    const result = await this.under("compute", ({ context }) => this.device.run(request, context));
    const { loadMs, computeMs, deviceMs } = result;
    this.times = { ...this.times, loadMs, computeMs };
    this.deviceMs = deviceMs;
    return result;
  }

  private onBegan(idleMs: number | undefined): void {
    this.cancelTimer();
    this.ports.onBegan(idleMs);
    this.enter("compute");
  }

  /** From here on it only writes: no checkpoint is of use any more, and what takes too long is given up. */
  private onComputed(): void {
    const { clock, limits } = this.ports;
    this.finishSinceMs = clock.nowMs();
    this.keeper?.close();
    this.setTimer(limits.uploadMs, () => this.giveUpWriting());
    this.enter("finish");
    this.free();
  }

  private giveUpWriting(): void {
    this.late = new FarmError("DEADLINE_PASSED", { message: "the runtime took too long to write the outputs" });
    this.stopping.abort();
  }

  private requestFor(workspace: Workspace, inputs: StageInput[]): RunStageRequest {
    const { attemptId, engineDigests, parameters, model } = this.claim;
    // What needs no engine runs on any worker of the pool, whatever models it holds.
    const modelFolder = Object.keys(engineDigests).length === 0 ? "" : this.ports.modelFolder(model);
    const { everySteps, everyMs, mostShare } = this.ports.checkpoints;
    const checkpoints = { everySteps, everyMs: BigInt(everyMs), mostShare };
    const { outputFolder } = workspace;
    const logLabels = labelsOf(this.claim);
    return { runId: attemptId, modelFolder, engineDigests, parameters, inputs, outputFolder, checkpoints, mayWait: true, logLabels };
  }

  private finish(workspace: Workspace, result: StageResult): Promise<readonly ProducedFile[]> {
    const { clock, limits, announce } = this.ports;
    this.cancelTimer();
    const limit = { clock, ms: limits.uploadMs, signal: this.stopping.signal, what: "storing the outputs" };
    const store = async (signal: AbortSignal): Promise<readonly ProducedFile[]> => {
      const files = await workspace.hash(result.outputs, signal);
      const artifacts = files.map(({ artifact }) => artifact);
      await announce(this.claim.attemptId, artifacts, signal);
      await workspace.put(files, signal);
      return files;
    };
    return this.under("store", () => withinLimit(limit, store));
  }

  private under<T>(name: string, work: (span: OpenSpan) => Promise<T>): Promise<T> {
    return withSpan(this.ports.span(name), work);
  }
}

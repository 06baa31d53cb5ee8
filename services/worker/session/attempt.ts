/**
 * One try of one task on this worker: fetch → compute → finish, and the report of how it ended.
 *
 * Invariants: it always ends, with exactly one report; `computed` settles as soon as the device is free for another; a stop takes effect
 * in whatever phase it meets; nothing is put into the store before its rows are announced; a report waits for the last checkpoint, but not
 * for long.
 */
import type { AttemptReport, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { RunStageRequest, StageInput, StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import { FarmError } from "../../domain/errors.ts";
import { hasCheckpoints } from "../../domain/vap/checkpoint-pace.ts";
import { failureReport, successReport } from "./attempt-report.ts";
import type { AttemptPorts, ProducedFile, Workspace } from "./attempt-ports.ts";
import { type AttemptLevelName, type AttemptPhase, keptBy, type StopReason } from "./attempt-words.ts";
import { type CheckpointKeeper, createCheckpointKeeper } from "./checkpoint-keeper.ts";
import { settledWithin } from "./clock.ts";
import { responseTo } from "./level-response.ts";
import { createRunWatch, type RunWatch } from "./run-watch.ts";
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

/** Begins the attempt. */
export function startAttempt(claim: TaskClaim, ports: AttemptPorts): Attempt {
  const run = new AttemptRun(claim, ports);
  const computed = Promise.withResolvers<undefined>();
  return {
    claim,
    view: () => run.view(),
    isRenewable: () => !run.watch.isHung(),
    applyLevel: (level) => run.applyLevel(level),
    stop: (reason) => run.stop(reason),
    leaveMs: () => run.leaveMs(),
    stopReason: () => run.stopped,
    computed: computed.promise,
    ended: run.toEnd(() => computed.resolve(undefined)),
  };
}

type Prepared = { readonly workspace: Workspace; readonly inputs: StageInput[]; readonly keeper: CheckpointKeeper };

class AttemptRun {
  readonly claim: TaskClaim;
  readonly ports: AttemptPorts;
  readonly watch: RunWatch;
  stopped: StopReason | undefined;
  private phase: AttemptPhase = "fetch";
  /** While the runtime has the run. */
  private computeStartedAtMs: number | undefined;
  private readonly stopping = new AbortController();
  /** Asks the run to end with a last checkpoint. */
  private readonly leaving = new AbortController();
  private cancelLeaving: () => void = () => undefined;
  private keeper: CheckpointKeeper | undefined;
  /** As it was when the attempt ended: what comes while its last checkpoint is told is not why. */
  private endedBy: { readonly stopped: StopReason | undefined } | undefined;
  private times = { fetchMs: 0, loadMs: 0, computeMs: 0, deviceMs: 0, finishMs: 0 };

  constructor(claim: TaskClaim, ports: AttemptPorts) {
    this.claim = claim;
    this.ports = ports;
    this.watch = createRunWatch({ claim, ports });
  }

  view(): AttemptView {
    const { computeStartedAtMs: sinceMs, times, ports } = this;
    const deviceMs = sinceMs === undefined ? times.deviceMs : ports.clock.nowMs() - sinceMs;
    return { phase: this.phase, ...this.watch.view(), deviceMs };
  }

  applyLevel(level: AttemptLevelName): void {
    const reason = responseTo(level, this.phase);
    if (reason !== undefined) this.stop(reason);
  }

  /** A second stop counts only if it keeps less than the first. */
  stop(reason: StopReason): void {
    const keeps = keptBy(reason);
    if (keeps === "nothing") this.keeper?.close();
    const isFirst = this.stopped === undefined;
    this.stopped ??= reason;
    if (keeps !== "every_step" || !this.canLeave()) this.stopping.abort();
    else if (isFirst) this.leave();
  }

  leaveMs(): number {
    return this.canLeave() ? this.watch.cancelGraceMs() + this.ports.limits.lastCheckpointMs : 0;
  }

  private canLeave(): boolean {
    return this.computeStartedAtMs !== undefined && hasCheckpoints(this.ports.checkpoints);
  }

  /** What does not leave in time is cancelled. */
  private leave(): void {
    this.leaving.abort();
    this.cancelLeaving = this.ports.clock.after(this.watch.cancelGraceMs(), () => this.stopping.abort());
  }

  async toEnd(onComputed: () => void): Promise<AttemptReport> {
    const { attemptId } = this.claim;
    try {
      return await this.inWorkspace(onComputed);
    } catch (thrown) {
      const { stopped } = this.endedBy ?? this;
      const end = { thrown, stopped, hung: this.watch.isHung(), inputs: this.claim.inputs };
      return failureReport(attemptId, end, this.times);
    } finally {
      onComputed();
    }
  }

  private async inWorkspace(onComputed: () => void): Promise<AttemptReport> {
    const workspace = await this.ports.transfer.open();
    const keeper = createCheckpointKeeper({ attemptId: this.claim.attemptId, workspace, ports: this.ports });
    this.keeper = keeper;
    try {
      const inputs = await this.fetch(workspace);
      const result = await this.compute({ workspace, inputs, keeper });
      this.ports.crash("computed");
      keeper.close();
      this.enter("finish");
      onComputed();
      const startedAtMs = this.ports.clock.nowMs();
      const files = await this.finish(workspace, result);
      this.ports.crash("stored");
      this.times = { ...this.times, finishMs: this.ports.clock.nowMs() - startedAtMs };
      return successReport(this.claim.attemptId, { result, outputs: files.map(({ artifact }) => artifact) }, this.times);
    } catch (thrown) {
      this.endedBy = { stopped: this.stopped };
      await this.keepLast(keeper, onComputed);
      throw thrown;
    } finally {
      keeper.close();
      await workspace.close();
    }
  }

  /** The next attempt goes on at the last checkpoint if it is told before the report. An attempt that is not renewed cannot tell it. */
  private async keepLast(keeper: CheckpointKeeper, onComputed: () => void): Promise<void> {
    if (keeper.isIdle() || this.watch.isHung()) return;
    this.enter("finish");
    onComputed();
    await settledWithin(this.ports.clock, this.ports.limits.lastCheckpointMs, keeper.untilIdle());
  }

  private enter(phase: AttemptPhase): void {
    this.phase = phase;
    this.ports.onChange();
  }

  private async fetch(workspace: Workspace): Promise<StageInput[]> {
    const { clock, limits } = this.ports;
    const startedAtMs = clock.nowMs();
    const limit = { clock, ms: limits.fetchMs, signal: this.stopping.signal, what: "fetching the inputs" };
    const inputs = await withinLimit(limit, (signal) => workspace.fetch(this.claim.inputs, signal));
    this.times = { ...this.times, fetchMs: clock.nowMs() - startedAtMs };
    return inputs;
  }

  private async compute({ workspace, inputs, keeper }: Prepared): Promise<StageResult> {
    const { clock, runtime } = this.ports;
    if (this.stopped !== undefined) throw new FarmError("STAGE_CANCELLED");
    const request = this.requestFor(workspace, inputs);
    this.enter("compute");
    const startedAtMs = clock.nowMs();
    this.computeStartedAtMs = startedAtMs;
    this.watch.begin();
    try {
      const result = await runtime.run(request, {
        signal: this.stopping.signal,
        leave: this.leaving.signal,
        onProgress: (progress) => this.watch.onProgress(progress),
        onCheckpoint: (checkpoint) => keeper.take(checkpoint),
        cancelGraceMs: () => this.watch.cancelGraceMs(),
      });
      const { loadMs, computeMs, deviceMs } = result;
      this.times = { ...this.times, loadMs, computeMs, deviceMs };
      return result;
    } catch (thrown) {
      this.times = { ...this.times, deviceMs: clock.nowMs() - startedAtMs };
      throw thrown;
    } finally {
      this.computeStartedAtMs = undefined;
      this.cancelLeaving();
      this.watch.end();
    }
  }

  private requestFor(workspace: Workspace, inputs: StageInput[]): RunStageRequest {
    const { attemptId, engineDigests, parameters, model } = this.claim;
    const modelFolder = this.ports.modelFolder(model);
    const { everySteps, everyMs, mostShare } = this.ports.checkpoints;
    const checkpoints = { everySteps, everyMs: BigInt(everyMs), mostShare };
    const { outputFolder } = workspace;
    return { runId: attemptId, modelFolder, engineDigests, parameters, inputs, outputFolder, checkpoints };
  }

  private finish(workspace: Workspace, result: StageResult): Promise<readonly ProducedFile[]> {
    const { clock, limits, announce } = this.ports;
    const limit = { clock, ms: limits.uploadMs, signal: this.stopping.signal, what: "storing the outputs" };
    return withinLimit(limit, async (signal) => {
      const files = await workspace.hash(result.outputs, signal);
      const artifacts = files.map(({ artifact }) => artifact);
      await announce(this.claim.attemptId, artifacts, signal);
      await workspace.put(files, signal);
      return files;
    });
  }
}

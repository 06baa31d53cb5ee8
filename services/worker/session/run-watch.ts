/**
 * Watches one run's progress: kills the runtime when the counter stands still for too long (design §4.5).
 */
import type { TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { StageProgress } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { AttemptPorts } from "./attempt-ports.ts";
import { advanced, type RunProgress, sentRun, stallLimitMs } from "./hang.ts";
import { cancelGraceMs, type StepTimes, withStep } from "./step-times.ts";

export type RunWatch = {
  begin(): void;
  onProgress(progress: StageProgress): void;
  end(): void;
  isHung(): boolean;
  view(): { readonly step: number; readonly steps: number; readonly remainingMs: number };
  /** Expected time left in ms; undefined while no step has told how long one takes. */
  leftMs(): number | undefined;
  cancelGraceMs(): number;
};

type WatchPorts = Pick<AttemptPorts, "clock" | "runtime" | "limits" | "onChange">;

/** A watch that has not begun. */
export function createRunWatch(run: { readonly claim: TaskClaim; readonly ports: WatchPorts }): RunWatch {
  const watch = new Watch(run.claim, run.ports);
  return {
    begin: () => watch.begin(),
    onProgress: (progress) => watch.onProgress(progress),
    end: () => watch.end(),
    isHung: () => watch.hung,
    view: () => watch.view(),
    leftMs: () => watch.leftMs(),
    cancelGraceMs: () => cancelGraceMs(watch.stepTimes, run.ports.limits.cancelGraceMs),
  };
}

class Watch {
  hung = false;
  stepTimes: StepTimes = [];
  private readonly claim: TaskClaim;
  private readonly ports: WatchPorts;
  private progress: RunProgress | undefined;
  private step = 0;
  private steps = 0;
  private stepAtMs: number | undefined;
  private cancelCheck: () => void = () => undefined;

  constructor(claim: TaskClaim, ports: WatchPorts) {
    this.claim = claim;
    this.ports = ports;
  }

  begin(): void {
    this.progress = sentRun(this.ports.clock.nowMs());
    this.scheduleCheck(this.progress);
  }

  end(): void {
    this.cancelCheck();
    this.progress = undefined;
  }

  onProgress({ phase, step, steps, counter, stepMs }: StageProgress): void {
    if (this.progress === undefined) return;
    const nowMs = this.ports.clock.nowMs();
    this.progress = advanced(this.progress, { phase, counter, stepMs }, nowMs);
    this.countStep(phase === "load" ? 0 : step, nowMs);
    this.steps = steps;
    this.scheduleCheck(this.progress);
    this.ports.onChange();
  }

  view(): { readonly step: number; readonly steps: number; readonly remainingMs: number } {
    const stepMs = this.progress?.stepMs ?? 0;
    return { step: this.step, steps: this.steps, remainingMs: Math.max(0, this.steps - this.step) * stepMs };
  }

  leftMs(): number | undefined {
    const stepMs = this.progress?.stepMs ?? 0;
    if (stepMs === 0 || this.stepAtMs === undefined) return undefined;
    const stepsLeftMs = Math.max(0, this.steps - this.step) * stepMs;
    return Math.max(0, stepsLeftMs - (this.ports.clock.nowMs() - this.stepAtMs));
  }

  private countStep(step: number, nowMs: number): void {
    if (step > this.step && this.stepAtMs !== undefined)
      this.stepTimes = withStep(this.stepTimes, (nowMs - this.stepAtMs) / (step - this.step));
    if (step !== this.step || this.stepAtMs === undefined) this.stepAtMs = nowMs;
    this.step = step;
  }

  private scheduleCheck(progress: RunProgress): void {
    this.cancelCheck();
    const expectedStepMs = this.claim.expectedMs / Math.max(1, this.steps);
    const limitMs = stallLimitMs(progress, expectedStepMs, this.ports.limits);
    const leftMs = progress.movedAtMs + limitMs - this.ports.clock.nowMs();
    this.cancelCheck = this.ports.clock.after(Math.max(0, leftMs), () => this.giveUp(progress, limitMs));
  }

  private giveUp(progress: RunProgress, limitMs: number): void {
    if (this.progress === undefined) return;
    this.hung = true;
    this.ports.runtime.kill(`no progress for ${limitMs} ms in "${progress.phase}"`);
  }
}

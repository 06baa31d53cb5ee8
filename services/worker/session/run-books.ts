/**
 * What metrics hear of one attempt's turn at the device.
 */
import type { AttemptReport, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { StageProgress } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { AgentMetrics } from "./agent-metrics.ts";

export type RunBooks = {
  /** It has the device. */
  began(): void;
  onProgress(progress: Pick<StageProgress, "phase" | "step">): void;
  /** The device is another's; safe to call when it never had it. */
  free(): void;
  onEnded(report: AttemptReport): void;
};

/** The books of an attempt that has not begun. */
export function createRunBooks({ model, stage }: TaskClaim, metrics: AgentMetrics): RunBooks {
  let release = (): void => undefined;
  let hasLoaded = false;
  /** A run that goes on at a checkpoint tells first where that is: those steps were another's. */
  let stepsBefore: number | undefined;
  return {
    began() {
      release = metrics.deviceTaken(stage);
    },
    onProgress({ phase, step }) {
      if (phase === "load" && !hasLoaded) {
        hasLoaded = true;
        metrics.engineLoading(model, stage);
      }
      if (phase !== "denoise") return;
      if (stepsBefore !== undefined && step > stepsBefore) metrics.stepsTaken(model, step - stepsBefore);
      stepsBefore = step;
    },
    free: () => release(),
    onEnded({ outcome, loadMs }) {
      if (hasLoaded && outcome?.$case === "success") metrics.engineLoaded({ model, stage }, loadMs / 1_000);
    },
  };
}

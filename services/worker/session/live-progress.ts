/**
 * Live progress for people who watch, on core NATS: may be lost, never waited for.
 *
 * At most one message per job and interval while only steps change; a change of phase and the last step are always told.
 */
import { ProgressMessage, type TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { AttemptView } from "./attempt.ts";
import type { Clock } from "./clock.ts";

export type LiveProgress = { tell(claim: TaskClaim, view: AttemptView): void };

export type LiveProgressPorts = {
  readonly clock: Clock;
  readonly publish: (subject: string, payload: Uint8Array) => void;
  readonly subjectOf: (jobId: string) => string;
  readonly workerName: string;
  readonly intervalMs: number;
};

type Told = { readonly attemptId: string; readonly phase: string; readonly atMs: number };

/** Tells of the attempt of the moment. */
export function createLiveProgress(ports: LiveProgressPorts): LiveProgress {
  let told: Told | undefined;
  return {
    tell(claim, view) {
      const atMs = ports.clock.nowMs();
      const same = told?.attemptId === claim.attemptId && told.phase === view.phase;
      const last = view.steps > 0 && view.step >= view.steps;
      if (told !== undefined && same && !last && atMs - told.atMs < ports.intervalMs) return;
      told = { attemptId: claim.attemptId, phase: view.phase, atMs };
      for (const jobId of claim.jobIds) publishOne(ports, claim, { ...view, jobId });
    },
  };
}

function publishOne(ports: LiveProgressPorts, claim: TaskClaim, view: AttemptView & { readonly jobId: string }): void {
  const { stage, taskId, attemptId } = claim;
  const { jobId, phase, step, steps, remainingMs } = view;
  const message = { jobId, stage, taskId, attemptId, workerName: ports.workerName, phase, step, steps, remainingMs };
  ports.publish(ports.subjectOf(jobId), ProgressMessage.encode(message).finish());
}

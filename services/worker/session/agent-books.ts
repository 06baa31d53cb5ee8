/**
 * What the agent counts of its attempts: for the beat's counters, the metrics and the log.
 */
import type { AttemptReport, RuntimeCounters, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { AgentPorts } from "./agent-ports.ts";
import type { AttemptView } from "./attempt.ts";
import type { CheckpointEvent } from "./attempt-ports.ts";
import type { StopReason } from "./attempt-words.ts";
import { createIdleGap, type IdleGap } from "./idle-gap.ts";

/** Sums over the agent's life. */
export class AgentBooks {
  private readonly ports: Pick<AgentPorts, "clock" | "metrics" | "logger" | "runtime">;
  private readonly gap: IdleGap;
  private runsStarted = 0n;
  private runsSucceeded = 0n;
  private runsFailed = 0n;
  private deviceMs = 0;
  private startedId: string | undefined;

  constructor(ports: Pick<AgentPorts, "clock" | "metrics" | "logger" | "runtime">) {
    this.ports = ports;
    this.gap = createIdleGap((gapMs) => ports.metrics.idleGap(gapMs / 1000));
  }

  counters(): RuntimeCounters {
    const { runsStarted, runsSucceeded, runsFailed, deviceMs } = this;
    return { runsStarted, runsSucceeded, runsFailed, runtimeRestarts: BigInt(this.ports.runtime.restarts()), deviceMs };
  }

  onProgress({ attemptId }: TaskClaim, { phase }: AttemptView): void {
    if (phase !== "compute" || attemptId === this.startedId) return;
    this.startedId = attemptId;
    this.runsStarted += 1n;
    this.gap.computeStarted(attemptId, this.ports.clock.nowMs());
  }

  onComputed(): void {
    this.gap.computeEnded(this.ports.clock.nowMs());
  }

  onNothing(): void {
    this.gap.nothingToDo();
  }

  onCheckpoint({ attemptId, stage }: TaskClaim, event: CheckpointEvent): void {
    const { metrics, logger } = this.ports;
    if (event.kind === "written") {
      metrics.checkpointSeconds(event.tookMs / 1000);
      return;
    }
    metrics.checkpointEnded(event.kind);
    if (event.kind !== "failed") return;
    const { step, error } = event;
    logger.warn({ attemptId, stage, step, code: error.code }, `a checkpoint was not kept, the run goes on: ${error.message}`);
  }

  /** Counts until the device takes another run: a cancelled one may hold it for a while, and a runtime that was killed is started anew. */
  onStop(reason: StopReason, computed: Promise<void>): void {
    const { clock, metrics, runtime } = this.ports;
    const heardAtMs = clock.nowMs();
    void computed.then(() => untilReady(runtime)).then(() => metrics.stopSeconds(reason, (clock.nowMs() - heardAtMs) / 1000));
  }

  onEnded(claim: TaskClaim, report: AttemptReport): void {
    const { attemptId, stage } = claim;
    const { metrics, logger } = this.ports;
    this.deviceMs += report.deviceMs;
    if (report.outcome?.$case === "success") {
      this.runsSucceeded += 1n;
      metrics.stageSeconds(stage, report.computeMs / 1000);
      logger.info({ attemptId, stage, computeMs: report.computeMs }, "done");
      return;
    }
    this.runsFailed += 1n;
    const failure = report.outcome?.value;
    logger.warn(
      { attemptId, stage, code: failure?.code, abandoned: failure?.abandoned },
      `ended without a result: ${failure?.message ?? ""}`,
    );
  }

  onAnswered({ attemptId, stage }: TaskClaim, answered: { readonly report: AttemptReport; readonly superseded: boolean }): void {
    const { metrics, logger } = this.ports;
    metrics.attemptEnded(stage, answered.superseded ? "superseded" : outcomeName(answered.report));
    if (!answered.superseded) return;
    metrics.leaseLost(1);
    logger.warn({ attemptId, stage }, "another attempt is current; this one's result was dropped");
  }
}

function untilReady(runtime: Pick<AgentPorts["runtime"], "isReady" | "onChange">): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!runtime.isReady()) return;
      end();
      resolve();
    };
    const end = runtime.onChange(look);
    look();
  });
}

function outcomeName({ outcome }: AttemptReport): string {
  if (outcome?.$case === "success") return "succeeded";
  return outcome?.value.abandoned === true ? "abandoned" : "failed";
}

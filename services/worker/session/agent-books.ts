/**
 * What the agent counts of its attempts: for the beat's counters, the metrics and the log.
 */
import type { AttemptReport, RuntimeCounters, TaskClaim } from "../../gen/proto/vapfarm/v1/dispatch.ts";
import type { AgentPorts } from "./agent-ports.ts";
import { type Estimate, withSample } from "./ahead.ts";
import type { CheckpointEvent } from "./attempt-ports.ts";
import type { StopReason } from "./attempt-words.ts";
import { labelsOf } from "./claim-labels.ts";
import { createIdleGap, type IdleGap } from "./idle-gap.ts";

/** Sums over the agent's life. */
export class AgentBooks {
  private readonly ports: Pick<AgentPorts, "clock" | "metrics" | "logger" | "runtime">;
  private readonly gap: IdleGap;
  private runsStarted = 0n;
  private runsSucceeded = 0n;
  private runsFailed = 0n;
  private deviceMs = 0;
  private fetching: Estimate | undefined;

  constructor(ports: Pick<AgentPorts, "clock" | "metrics" | "logger" | "runtime">) {
    this.ports = ports;
    this.gap = createIdleGap((gapMs) => ports.metrics.idleGap(gapMs / 1000));
  }

  counters(): RuntimeCounters {
    const { runsStarted, runsSucceeded, runsFailed, deviceMs } = this;
    return { runsStarted, runsSucceeded, runsFailed, runtimeRestarts: BigInt(this.ports.runtime.restarts()), deviceMs };
  }

  /** How long the fetching of inputs takes here. */
  fetchEstimate(): Estimate | undefined {
    return this.fetching;
  }

  onFetched(tookMs: number): void {
    this.fetching = withSample(this.fetching, tookMs);
  }

  onBegan({ isReserved }: TaskClaim, idleMs: number | undefined): void {
    this.runsStarted += 1n;
    this.gap.computeStarted(idleMs);
    if (isReserved) this.ports.metrics.reservationEnded("begun");
  }

  onNothing(): void {
    this.gap.nothingToDo();
  }

  onCheckpoint(claim: TaskClaim, event: CheckpointEvent): void {
    const { metrics, logger } = this.ports;
    if (event.kind === "written") {
      metrics.checkpointSeconds(event.tookMs / 1000);
      return;
    }
    metrics.checkpointEnded(event.kind);
    if (event.kind !== "failed") return;
    const { step, error } = event;
    logger.warn({ ...wordsOf(claim), step, code: error.code }, `a checkpoint was not kept, the run goes on: ${error.message}`);
  }

  /** What was reserved and never began is no run. */
  onUnbegun(claim: TaskClaim, ended: { readonly report: AttemptReport; readonly stopped: StopReason | undefined }): void {
    const outcome = reservationOutcome(ended.stopped);
    this.ports.metrics.reservationEnded(outcome);
    const failure = ended.report.outcome?.$case === "failure" ? ended.report.outcome.value : undefined;
    this.ports.logger.info({ ...wordsOf(claim), outcome }, `a reservation did not begin: ${failure?.message ?? ""}`);
  }

  /** Counts until the device takes another run: a cancelled one may hold it for a while, and a runtime that was killed is started anew. */
  onStop(reason: StopReason, computed: Promise<void>): void {
    const { clock, metrics, runtime } = this.ports;
    const heardAtMs = clock.nowMs();
    void computed.then(() => untilReady(runtime)).then(() => metrics.stopSeconds(reason, (clock.nowMs() - heardAtMs) / 1000));
  }

  onEnded(claim: TaskClaim, report: AttemptReport): void {
    const { stage } = claim;
    const { metrics, logger } = this.ports;
    this.deviceMs += report.deviceMs;
    if (report.outcome?.$case === "success") {
      this.runsSucceeded += 1n;
      metrics.stageSeconds(stage, report.computeMs / 1000);
      logger.info({ ...wordsOf(claim), computeMs: report.computeMs }, "done");
      return;
    }
    this.runsFailed += 1n;
    const failure = report.outcome?.value;
    logger.warn(
      { ...wordsOf(claim), code: failure?.code, abandoned: failure?.abandoned },
      `ended without a result: ${failure?.message ?? ""}`,
    );
  }

  onAnswered(claim: TaskClaim, answered: { readonly report: AttemptReport; readonly superseded: boolean }): void {
    const { metrics, logger } = this.ports;
    metrics.attemptEnded(claim.stage, answered.superseded ? "superseded" : outcomeName(answered.report));
    if (!answered.superseded) return;
    metrics.leaseLost(1);
    logger.warn(wordsOf(claim), "another attempt is current; this one's result was dropped");
  }
}

/** What every line about an attempt says. */
function wordsOf(claim: TaskClaim): Readonly<Record<string, string>> {
  return { ...labelsOf(claim), stage: claim.stage };
}

function reservationOutcome(stopped: StopReason | undefined): "revoked" | "given_back" | "failed" {
  if (stopped === undefined) return "failed";
  return stopped === "revoked" || stopped === "session_ended" ? "revoked" : "given_back";
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

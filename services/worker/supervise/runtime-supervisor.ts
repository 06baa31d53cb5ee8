/**
 * Keeps one stage runtime alive: starts it, restarts it with back-off, kills it when it hangs or will not let go.
 *
 * Invariants: at most one runtime of this worker folder runs; `isReady` is true only while it answers and is free of cancelled work; a run
 * always settles, because the process's end settles it.
 */
import { rm } from "node:fs/promises";
import { setImmediate as otherEvents } from "node:timers/promises";
import { FarmError, toFarmError } from "../../domain/errors.ts";
import type { DescribeRuntimeResponse, RunStageRequest, StageResult } from "../../gen/proto/vapfarm/v1/stage.ts";
import type { Component } from "../../platform/lifecycle.ts";
import type { Logger } from "../../platform/logging.ts";
import type { SupervisedRuntime } from "../session/agent-ports.ts";
import type { RunOptions } from "../session/attempt-ports.ts";
import { type BackOff, backOffMs } from "../session/back-off.ts";
import { type Clock, settledWithin, sleep } from "../session/clock.ts";
import { createLatch } from "../session/latch.ts";
import type { PidFile } from "./pid-file.ts";
import { connectRuntime, type EndedStageCall, type RuntimeClient } from "./runtime-client.ts";
import type { RuntimeLog } from "./runtime-log.ts";
import { launchRuntime, type RuntimeProcess } from "./runtime-process.ts";

export type RuntimeSupervisor = Component &
  SupervisedRuntime & {
    /** What the newest runtime said of itself; resident engines as of its last run. */
    description(): DescribeRuntimeResponse | undefined;
    /** What it says now; RUNTIME_DIED while there is none. */
    describeNow(): Promise<DescribeRuntimeResponse>;
    /** Undefined while none runs. */
    processId(): number | undefined;
  };

export type SupervisorOptions = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly draw: () => number;
  readonly pidFile: PidFile;
  readonly log: RuntimeLog;
  readonly entry: string;
  /** Short: a unix socket's path has at most 107 bytes. */
  readonly socketFolder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What the runtime must say it runs on. */
  readonly provider: string;
  readonly readyMs: number;
  readonly restart: BackOff;
  readonly onRestart: () => void;
  /** Told of each call to a runtime. */
  readonly onCall: (call: EndedStageCall) => void;
};

/** Builds it; nothing runs before `start`, which fails with the reason if the first runtime does not come up. */
export function createRuntimeSupervisor(options: SupervisorOptions): RuntimeSupervisor {
  return new Supervisor(options);
}

/** How long the end of a dead runtime's log is waited for: what it started may hold the pipe open. */
const logEndMs = 500;

type Running = {
  readonly process: RuntimeProcess;
  readonly client: RuntimeClient;
  /** Killed, but its end was not seen yet: nothing new must meet it. */
  isCondemned: boolean;
};

class Supervisor implements RuntimeSupervisor {
  private readonly options: SupervisorOptions;
  private readonly listeners = new Set<() => void>();
  private readonly stopping = new AbortController();
  private running: Running | undefined;
  private described: DescribeRuntimeResponse | undefined;
  /** Cancelled runs that may still hold the device. */
  private settling = 0;
  private restarting: Promise<void> = Promise.resolve();
  private launches = 0;
  /** Runs that have not let go of the device. */
  private readonly computing = new Set<string>();
  private failures = 0;

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  async start(): Promise<void> {
    const { logger, pidFile } = this.options;
    if (await pidFile.endPrevious()) logger.warn("killed the stage runtime that an earlier agent left");
    await this.launch();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.running?.process.kill();
    await this.running?.process.exited;
    await this.restarting;
    await this.options.pidFile.remove();
  }

  isReady(): boolean {
    return this.running !== undefined && !this.running.isCondemned && this.settling === 0;
  }

  description(): DescribeRuntimeResponse | undefined {
    return this.described;
  }

  async describeNow(): Promise<DescribeRuntimeResponse> {
    if (this.running === undefined) throw new FarmError("RUNTIME_DIED");
    return await this.describe(this.running);
  }

  processId(): number | undefined {
    return this.running?.process.processId;
  }

  restarts(): number {
    return Math.max(0, this.launches - 1);
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  kill(reason: string): void {
    const { running } = this;
    if (running === undefined) return;
    this.options.logger.error({ reason, processId: running.process.processId }, "killing the stage runtime");
    this.condemn(running);
  }

  async run(request: RunStageRequest, options: RunOptions): Promise<StageResult> {
    const running = await this.untilReady(AbortSignal.any([options.signal, options.leave]));
    const { log } = this.options;
    // One that waits for another's end has no part in what that one says.
    if (this.computing.size === 0) log.begin(request.runId);
    else log.expect(request.runId);
    this.computing.add(request.runId);
    const onComputed = (): void => {
      this.computing.delete(request.runId);
      options.onComputed();
    };
    try {
      const result = await running.client.run(request, { ...options, onComputed });
      this.failures = 0;
      return result;
    } catch (thrown) {
      const error = await this.meaningOf(toFarmError(thrown), running);
      await this.untilLogged(error, running);
      throw withLogTail(error, log.end(request.runId));
    } finally {
      this.computing.delete(request.runId);
      log.end(request.runId);
      if (options.signal.aborted) this.settle(running, request.runId, options.cancelGraceMs());
      else void this.describe(running).catch(() => undefined);
    }
  }

  /** A task must not pay for a runtime that died before it began. */
  private async untilReady(signal: AbortSignal): Promise<Running> {
    const { clock, readyMs } = this.options;
    const changed = createLatch(clock);
    const end = this.onChange(() => changed.fire());
    try {
      for (const startedAtMs = clock.nowMs(); !signal.aborted;) {
        if (this.running !== undefined && this.isReady()) return this.running;
        const leftMs = startedAtMs + readyMs - clock.nowMs();
        if (leftMs <= 0) throw new FarmError("RUNTIME_START_FAILED", { message: "no stage runtime came up" });
        await changed.wait(leftMs, signal);
      }
      throw new FarmError("STAGE_CANCELLED");
    } finally {
      end();
    }
  }

  private condemn(running: Running): void {
    running.isCondemned = true;
    running.process.kill();
  }

  /** A run whose process is gone died of that, whatever the broken call says. */
  private async meaningOf(error: FarmError, running: Running): Promise<FarmError> {
    if (error.code !== "RUNTIME_DIED" && error.code !== "INTERNAL") return error;
    // The call and the process break in any order; the process's end tells more.
    const gone = await settledWithin(this.options.clock, 1_000, running.process.exited);
    if (!gone && error.code === "INTERNAL") return error;
    if (!gone) this.condemn(running);
    return new FarmError("RUNTIME_DIED", { message: `the stage runtime ended (${await running.process.exited})`, cause: error });
  }

  /** What the runtime wrote before its call broke may be read after it. */
  private async untilLogged({ code }: FarmError, { process }: Running): Promise<void> {
    if (code === "STAGE_CANCELLED") return;
    if (code === "RUNTIME_DIED") await settledWithin(this.options.clock, logEndMs, process.logEnded);
    else await otherEvents();
  }

  /** After a cancel: not ready until the runtime has let go of the run, which it must within the grace. */
  private settle(running: Running, runId: string, graceMs: number): void {
    const ended = new AbortController();
    const free = Promise.race([running.client.untilFree(runId, ended.signal), running.process.exited]);
    this.settling += 1;
    void settledWithin(this.options.clock, graceMs, free).then((inTime) => {
      ended.abort();
      if (!inTime && this.running === running) this.kill(`a cancelled run did not end within ${Math.round(graceMs)} ms`);
      this.settling -= 1;
      this.tell();
    });
  }

  private async launch(): Promise<void> {
    this.launches += 1;
    const { entry, environment, readyMs, pidFile, socketFolder, log } = this.options;
    const socket = `${socketFolder}/${this.launches}.sock`;
    const process = await launchRuntime({
      entry,
      environment: { ...environment, VAPFARM_RUNTIME_ADDRESS: `unix:${socket}` },
      readyMs,
      signal: this.stopping.signal,
      onLog: (chunk) => log.take(chunk),
      onSpawned: (processId) => pidFile.write(processId),
    });
    const running = { process, client: connectRuntime(process.address, this.options.onCall), isCondemned: false };
    try {
      this.check(await this.describe(running));
    } catch (thrown) {
      process.kill();
      running.client.close();
      throw thrown;
    }
    this.running = running;
    void process.exited.then((how) => this.onExit(running, { how, socket }));
    if (this.isStopping()) process.kill();
    this.tell();
  }

  private async describe(running: Running): Promise<DescribeRuntimeResponse> {
    this.described = await running.client.describe();
    return this.described;
  }

  private check({ provider, profile }: DescribeRuntimeResponse): void {
    if (provider !== this.options.provider) {
      const message = `the runtime runs on "${provider}", "${this.options.provider}" was asked for`;
      throw new FarmError("PROVIDER_UNAVAILABLE", { message });
    }
    if (profile === "") throw new FarmError("RUNTIME_START_FAILED", { message: "the runtime does not say its profile" });
  }

  private async onExit(running: Running, { how, socket }: { readonly how: string; readonly socket: string }): Promise<void> {
    running.client.close();
    this.running = undefined;
    this.tell();
    await rm(socket, { force: true });
    if (this.stopping.signal.aborted) return;
    this.options.logger.error({ how, processId: running.process.processId }, "the stage runtime ended; starting another");
    this.restarting = this.restart();
  }

  private async restart(): Promise<void> {
    const { clock, logger, restart, draw, onRestart } = this.options;
    while (!this.isStopping()) {
      // The first restart is immediate: most deaths are of one run, not of the machine.
      if (this.failures > 0) await sleep(clock, backOffMs(this.failures, restart, draw()), this.stopping.signal);
      this.failures += 1;
      if (this.isStopping()) return;
      onRestart();
      try {
        await this.launch();
        return;
      } catch (thrown) {
        const error = toFarmError(thrown, "RUNTIME_START_FAILED");
        logger.error({ err: error, code: error.code, remedy: error.row.remedy }, `the stage runtime did not start: ${error.message}`);
      }
    }
  }

  private isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

/** The error with what the runtime wrote while it had the run. */
function withLogTail(error: FarmError, logTail: string): FarmError {
  const { code, message, details, cause } = error;
  return logTail === "" ? error : new FarmError(code, { message, cause, details: { ...details, logTail } });
}

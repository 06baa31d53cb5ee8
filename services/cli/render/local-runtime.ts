/**
 * A stage runtime of one's own: the same child process that a worker has, spoken to over stage.proto.
 */
import { fork } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FarmError, isErrorCode } from "../../domain/errors.ts";
import {
  type DescribeRuntimeResponse,
  type RunStageRequest,
  type StageProgress,
  type StageResult,
  StageServiceClient,
} from "../../gen/proto/vapfarm/v1/stage.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { callServerStream, callUnary, connectClient } from "../../platform/grpc/client.ts";
import type { CliContext } from "../context.ts";

/** A runtime of this process's own. */
export type LocalRuntime = {
  describe(): Promise<DescribeRuntimeResponse>;
  run(request: RunStageRequest, onProgress: (progress: StageProgress) => void, signal: AbortSignal): Promise<StageResult>;
  /** Ends the process and removes its folder; safe to call twice. */
  stop(): Promise<void>;
};

const maxMessageBytes = 16 * 1024 ** 2;
const startMs = 60_000;
const callMs = 10_000;
const stageMs = 24 * 3_600_000;

/** Starts the runtime's process on a unix socket; RUNTIME_START_FAILED with its own words. */
export async function startLocalRuntime(context: CliContext, threads: number): Promise<LocalRuntime> {
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-runtime-"));
  const logPath = join(folder, "runtime.log");
  const log = openSync(logPath, "a", 0o600);
  const child = fork(join(context.projectFolder, "services", "worker", "runtime", "main.ts"), [], {
    env: {
      ...context.environment,
      VAPFARM_RUNTIME_ADDRESS: `unix:${join(folder, "runtime.sock")}`,
      VAPFARM_RUNTIME_PROVIDERS: "cpu",
      VAPFARM_RUNTIME_THREADS: String(threads),
    },
    execArgv: [],
    stdio: ["ignore", log, log, "ipc"],
    detached: true,
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    // A process that never was does not exit.
    child.once("error", () => {
      if (child.pid === undefined) resolve();
    });
  });
  const channelClosed = new Promise<void>((resolve) => child.once("disconnect", () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const ready = new Promise<string>((resolve, reject) => {
    child.on("message", (message) => settleStart(message, resolve, reject));
    child.once("error", reject);
    // The process may be seen to end before its last message is read; the channel closes only after that.
    void Promise.all([ended, channelClosed]).then(async () => reject(await startFailure(logPath)));
  });
  try {
    const address = await withDeadline(ready, { ms: startMs, code: "RUNTIME_START_FAILED", what: "the start of the stage runtime" });
    return { ...callsOf(address), stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function settleStart(message: unknown, resolve: (address: string) => void, reject: (error: FarmError) => void): void {
  const facts = message as { readonly kind?: unknown; readonly address?: unknown; readonly code?: unknown; readonly message?: unknown };
  if (facts.kind === "ready") resolve(String(facts.address));
  const code = String(facts.code);
  if (facts.kind === "failed") reject(new FarmError(isErrorCode(code) ? code : "RUNTIME_START_FAILED", { message: String(facts.message) }));
}

async function startFailure(logPath: string): Promise<FarmError> {
  const log = await readFile(logPath, "utf8").catch(() => "");
  const last = log.trim().split("\n").at(-1) ?? "";
  return new FarmError("RUNTIME_START_FAILED", { message: `the stage runtime did not start: ${last}` });
}

function callsOf(address: string): Omit<LocalRuntime, "stop"> {
  const client = connectClient(StageServiceClient, address, maxMessageBytes);
  return {
    describe: () => callUnary(client.describeRuntime.bind(client), {}, { deadlineMs: callMs }),
    async run(request, onProgress, signal) {
      let result: StageResult | undefined;
      for await (const { event } of callServerStream(client.runStage.bind(client), request, { deadlineMs: stageMs, signal })) {
        if (event?.$case === "progress") onProgress(event.value);
        if (event?.$case === "result") result = event.value;
      }
      if (result === undefined) throw new FarmError("RUNTIME_DIED", { message: "the stage ended without a result" });
      return result;
    },
  };
}

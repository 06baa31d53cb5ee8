/**
 * Calls to one runtime over stage.proto: what a run gives, what its failure means.
 */
import { type ErrorCode, FarmError, toFarmError } from "../../domain/errors.ts";
import {
  type DescribeRuntimeResponse,
  type RunStageRequest,
  type RunStageResponse,
  StageServiceClient,
  type StageResult,
} from "../../gen/proto/vapfarm/v1/stage.ts";
import { pause } from "../../platform/deadline.ts";
import { callServerStream, callUnary, connectClient } from "../../platform/grpc/client.ts";
import { traceHeaders } from "../../platform/tracing/trace-context.ts";
import type { RunOptions } from "../session/attempt-ports.ts";

type RunCall = Omit<RunOptions, "cancelGraceMs">;

export type RuntimeClient = {
  describe(): Promise<DescribeRuntimeResponse>;
  /** Rejects with the runtime's error; RUNTIME_DIED when the connection broke. */
  run(request: RunStageRequest, options: RunCall): Promise<StageResult>;
  /** Resolves when the runtime has let go of a cancelled run. */
  untilFree(runId: string, signal: AbortSignal): Promise<void>;
  close(): void;
};

/** One call that is over. */
export type EndedStageCall = {
  readonly method: "DescribeRuntime" | "RunStage" | "StopRun";
  readonly code: ErrorCode | "OK";
  readonly seconds: number;
};

type OnCall = (call: EndedStageCall) => void;

const maxMessageBytes = 16 * 1024 * 1024;
const describeMs = 10_000;
const freePollMs = 5;
// Progress decides when a run is given up, not its length.
const runMs = 14 * 24 * 3600 * 1000;

/** Connects with the first call; `onCall` is told of each. */
export function connectRuntime(address: string, onCall: OnCall): RuntimeClient {
  const client = connectClient(StageServiceClient, address, maxMessageBytes);
  const calls = { client, onCall };
  const describe = (): Promise<DescribeRuntimeResponse> =>
    observed(calls, "DescribeRuntime", () => callUnary(client.describeRuntime.bind(client), {}, { deadlineMs: describeMs }));
  return {
    describe,
    run: (request, options) => observed(calls, "RunStage", () => run(calls, request, options)),
    untilFree: (runId, signal) => untilFree(describe, runId, signal),
    close: () => client.close(),
  };
}

type Calls = { readonly client: StageServiceClient; readonly onCall: OnCall };

async function observed<T>({ onCall }: Calls, method: EndedStageCall["method"], work: () => Promise<T>): Promise<T> {
  const beganAtMs = performance.now();
  const end = (code: EndedStageCall["code"]): void => onCall({ method, code, seconds: (performance.now() - beganAtMs) / 1_000 });
  try {
    const outcome = await work();
    end("OK");
    return outcome;
  } catch (thrown) {
    end(toFarmError(thrown).code);
    throw thrown;
  }
}

async function run(calls: Calls, request: RunStageRequest, { signal, leave, trace, ...heard }: RunCall): Promise<StageResult> {
  const { client } = calls;
  let result: StageResult | undefined;
  const stop = (): void => void stopRun(calls, request.runId);
  leave.addEventListener("abort", stop, { once: true });
  try {
    const options = { deadlineMs: runMs, signal, headers: traceHeaders(trace) };
    for await (const { event } of callServerStream(client.runStage.bind(client), request, options)) {
      if (event?.$case === "result") result = event.value;
      else if (event !== undefined) tell(event, heard);
    }
  } catch (thrown) {
    throw signal.aborted ? new FarmError("STAGE_CANCELLED", { cause: thrown }) : failureOf(thrown);
  } finally {
    leave.removeEventListener("abort", stop);
  }
  if (result === undefined) throw new FarmError("STAGE_FAILED", { message: "the runtime ended the run without a result" });
  return result;
}

type Heard = Pick<RunCall, "onStarted" | "onProgress" | "onCheckpoint" | "onComputed">;

function tell(event: Exclude<NonNullable<RunStageResponse["event"]>, { $case: "result" }>, heard: Heard): void {
  switch (event.$case) {
    case "started":
      heard.onStarted(event.value.idleMs);
      return;
    case "progress":
      heard.onProgress(event.value);
      return;
    case "checkpoint":
      heard.onCheckpoint(event.value);
      return;
    case "computed":
      heard.onComputed();
  }
}

/** A runtime that does not hear of it goes on, until who asked loses patience and cancels. */
async function stopRun(calls: Calls, runId: string): Promise<void> {
  const { client } = calls;
  const stop = () => callUnary(client.stopRun.bind(client), { runId }, { deadlineMs: describeMs });
  await observed(calls, "StopRun", stop).catch(() => undefined);
}

/** A broken connection carries none of the farm's codes, and between two processes of one machine it means that the runtime is gone. */
function failureOf(thrown: unknown): FarmError {
  const error = toFarmError(thrown);
  return error.code === "COORDINATOR_UNAVAILABLE" ? new FarmError("RUNTIME_DIED", { cause: thrown }) : error;
}

/** A cancelled run holds the runtime's slot until it has let go; a runtime that does not answer has not. */
async function untilFree(describe: RuntimeClient["describe"], runId: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const described = await describe().catch(() => undefined);
    if (described !== undefined && described.runningRunId !== runId) return;
    await pause(freePollMs, signal);
  }
}

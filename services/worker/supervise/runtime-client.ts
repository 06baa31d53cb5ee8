/**
 * Calls to one runtime over stage.proto: what a run gives, what its failure means.
 */
import { FarmError, toFarmError } from "../../domain/errors.ts";
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

const maxMessageBytes = 16 * 1024 * 1024;
const describeMs = 10_000;
const freePollMs = 5;
// Progress decides when a run is given up, not its length.
const runMs = 14 * 24 * 3600 * 1000;

/** Connects with the first call. */
export function connectRuntime(address: string): RuntimeClient {
  const client = connectClient(StageServiceClient, address, maxMessageBytes);
  return {
    describe: () => callUnary(client.describeRuntime.bind(client), {}, { deadlineMs: describeMs }),
    run: (request, options) => run(client, request, options),
    untilFree: (runId, signal) => untilFree(client, runId, signal),
    close: () => client.close(),
  };
}

async function run(
  client: StageServiceClient,
  request: RunStageRequest,
  { signal, leave, trace, ...heard }: RunCall,
): Promise<StageResult> {
  let result: StageResult | undefined;
  const stop = (): void => void stopRun(client, request.runId);
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
async function stopRun(client: StageServiceClient, runId: string): Promise<void> {
  await callUnary(client.stopRun.bind(client), { runId }, { deadlineMs: describeMs }).catch(() => undefined);
}

/** A broken connection carries none of the farm's codes, and between two processes of one machine it means that the runtime is gone. */
function failureOf(thrown: unknown): FarmError {
  const error = toFarmError(thrown);
  return error.code === "COORDINATOR_UNAVAILABLE" ? new FarmError("RUNTIME_DIED", { cause: thrown }) : error;
}

/** A cancelled run holds the runtime's slot until it has let go; a runtime that does not answer has not. */
async function untilFree(client: StageServiceClient, runId: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const described = await callUnary(client.describeRuntime.bind(client), {}, { deadlineMs: describeMs }).catch(() => undefined);
    if (described !== undefined && described.runningRunId !== runId) return;
    await pause(freePollMs, signal);
  }
}

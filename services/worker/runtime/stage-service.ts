/**
 * StageService over the inference thread: one call, one run; when it starts, progress, when it has computed, then exactly one result.
 */
import { type FarmError, toFarmError } from "../../domain/errors.ts";
import type * as wire from "../../gen/proto/vapfarm/v1/stage.ts";
import { type CallContext, serverStream, unary } from "../../platform/grpc/handlers.ts";
import type { Logger } from "../../platform/logging.ts";
import { type StageCheckpoint, type StageProgress, type StageResult, type StageRun, stageRunFromProto } from "./stage-run.ts";
import { scoreToProto } from "./score-mapping.ts";
import { parseTraceparent, traceparentHeader } from "../../platform/tracing/trace-context.ts";
import type { ClientRunOptions, InferenceClient } from "./thread/inference-client.ts";

/** What this runtime is, the same for its whole life. */
export type RuntimeIdentity = {
  readonly provider: string;
  readonly profile: string;
  /** The profile of what some of the providers made. */
  profileOf(providers: readonly string[]): string;
  readonly onnxruntimeVersion: string;
  readonly threads: number;
  readonly processId: number;
};

export type StageServiceOptions = { readonly identity: RuntimeIdentity; readonly inference: InferenceClient; readonly logger: Logger };

/** The service's implementation for the gRPC server. */
export function createStageService(options: StageServiceOptions): wire.StageServiceServer {
  const { identity, inference } = options;
  return {
    describeRuntime: unary(() => Promise.resolve(describe(identity, inference))),
    runStage: serverStream((request, context) => runStage(request, context, options)),
    stopRun: unary(({ runId }) => {
      inference.stopRun(runId);
      return Promise.resolve({});
    }),
  };
}

function describe(identity: RuntimeIdentity, inference: InferenceClient): wire.DescribeRuntimeResponse {
  const { provider, profile, onnxruntimeVersion, threads } = identity;
  const processId = BigInt(identity.processId);
  const residentEngineDigests = [...inference.residentDigests()];
  const runningRunId = inference.runningRunId() ?? "";
  return { provider, profile, onnxruntimeVersion, threads, processId, residentEngineDigests, runningRunId };
}

async function* runStage(
  request: wire.RunStageRequest,
  context: CallContext,
  { identity, inference, logger }: StageServiceOptions,
): AsyncGenerator<wire.RunStageResponse> {
  const left = new AbortController();
  const events = new EventQueue();
  const trace = parseTraceparent(context.header(traceparentHeader));
  events.follow(inference, stageRunFromProto(request), { signal: AbortSignal.any([context.signal, left.signal]), trace });
  try {
    for await (const event of events) {
      yield eventToProto(event, identity);
    }
  } catch (thrown) {
    // The last lines of the log are told of an attempt that failed.
    const error = toFarmError(thrown);
    if (error.code !== "STAGE_CANCELLED")
      logger.error({ ...request.logLabels, err: error, code: error.code, runId: request.runId }, "a run failed");
    throw thrown;
  } finally {
    left.abort();
  }
}

type RunEvent =
  | { readonly kind: "started"; readonly idleMs: number | undefined }
  | { readonly kind: "progress"; readonly progress: StageProgress; readonly counter: number }
  | { readonly kind: "checkpoint"; readonly checkpoint: StageCheckpoint }
  | { readonly kind: "computed" }
  | { readonly kind: "result"; readonly result: StageResult };

/** Turns a run's callbacks into an iterable that ends after the result or throws the failure. */
class EventQueue implements AsyncIterable<RunEvent> {
  readonly #waiting: RunEvent[] = [];
  #failure: FarmError | undefined;
  #isOver = false;
  #counter = 0;
  #wake: () => void = () => undefined;

  follow(inference: InferenceClient, run: StageRun, call: Pick<ClientRunOptions, "signal" | "trace">): void {
    const onProgress = (progress: StageProgress): void => {
      this.#counter += 1;
      this.#push({ kind: "progress", progress, counter: this.#counter });
    };
    const onStarted = (idleMs: number | undefined): void => this.#push({ kind: "started", idleMs });
    const onCheckpoint = (checkpoint: StageCheckpoint): void => this.#push({ kind: "checkpoint", checkpoint });
    const onComputed = (): void => this.#push({ kind: "computed" });
    inference.run(run, { ...call, onStarted, onProgress, onCheckpoint, onComputed }).then(
      (result) => {
        this.#isOver = true;
        this.#push({ kind: "result", result });
      },
      (thrown: unknown) => {
        this.#isOver = true;
        this.#failure = thrown as FarmError;
        this.#wake();
      },
    );
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event !== undefined) yield event;
      else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#isOver) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #push(event: RunEvent): void {
    this.#waiting.push(event);
    this.#wake();
  }
}

function eventToProto(event: RunEvent, identity: RuntimeIdentity): wire.RunStageResponse {
  switch (event.kind) {
    case "started":
      return { event: { $case: "started", value: { idleMs: event.idleMs } } };
    case "computed":
      return { event: { $case: "computed", value: {} } };
    case "progress":
      return progressToProto(event.progress, event.counter);
    case "checkpoint": {
      const { bytes, ...checkpoint } = event.checkpoint;
      return { event: { $case: "checkpoint", value: { ...checkpoint, sizeBytes: BigInt(bytes) } } };
    }
    case "result":
      return resultToProto(event.result, identity);
  }
}

function progressToProto(progress: StageProgress, counter: number): wire.RunStageResponse {
  return { event: { $case: "progress", value: { ...progress, counter: BigInt(counter) } } };
}

function resultToProto(result: StageResult, identity: RuntimeIdentity): wire.RunStageResponse {
  const outputs = result.outputs.map(({ name, path, mediaType, bytes }) => ({ name, path, mediaType, sizeBytes: BigInt(bytes) }));
  const { computeMs, loadMs, deviceMs, checkpointMs } = result;
  // A stage without an engine is work of the CPU.
  const providers = result.providers.length === 0 ? ["cpu"] : result.providers;
  const provider = providers.join(",");
  const profile = identity.profileOf(providers);
  const times = { computeMs, loadMs, deviceMs, checkpointMs };
  const score = result.score === undefined ? undefined : scoreToProto(result.score, identity.onnxruntimeVersion);
  return { event: { $case: "result", value: { outputs, warnings: [...result.warnings], ...times, provider, profile, score } } };
}

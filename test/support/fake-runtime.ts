/**
 * A stage runtime that does as its prompt says: a JSON object of `Script`. A program of its own, because agents must meet real processes.
 */
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { FarmError, isErrorCode } from "../../services/domain/errors.ts";
import {
  type RunStageRequest,
  type RunStageResponse,
  StageServiceService,
  type StageServiceServer,
} from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { serverStream, unary } from "../../services/platform/grpc/handlers.ts";
import { createGrpcServer } from "../../services/platform/grpc/server.ts";
import { runMarker } from "../../services/worker/run-marker.ts";

export type Script = {
  /** Steps to take, each `stepMs` long. */
  readonly steps?: number;
  readonly stepMs?: number;
  /** After the steps: go on stepping until this file exists. */
  readonly until?: string;
  /** Do not see a cancel. */
  readonly deaf?: boolean;
  readonly die?: boolean;
  readonly failWith?: string;
  /** Written to stderr before the steps. */
  readonly say?: string;
};

/** Digests of what ran, as many as FAKE_ROOM of the environment says. */
const resident = new Set<string>();
const room = Number(process.env["FAKE_ROOM"] ?? 100);
let holding: Promise<void> | undefined;
let holder = "";
let stopping = new AbortController();
/** A deaf run was cancelled: its slot never comes free. */
let isStuck = false;

async function* runStage(request: RunStageRequest, signal: AbortSignal): AsyncGenerator<RunStageResponse> {
  // As the real one: a run waits for the one before it, a cancelled one included.
  while (holding !== undefined) await holding;
  const released = Promise.withResolvers<undefined>();
  holding = released.promise.then(() => (isStuck ? new Promise<undefined>(() => undefined) : (holding = undefined)));
  holder = request.runId;
  stopping = new AbortController();
  try {
    process.stderr.write(runMarker(request.runId));
    yield { event: { $case: "started", value: { idleMs: undefined } } };
    yield* steps(scriptOf(request), AbortSignal.any([signal, stopping.signal]));
  } finally {
    released.resolve(undefined);
    await holding;
  }
  for (const digest of Object.values(request.engineDigests)) resident.add(digest);
  if (resident.size > room) resident.delete([...resident][0] ?? "");
  yield { event: { $case: "computed", value: {} } };
  yield await resultOf(request);
}

/** Of a warm-up it is FAKE_WARM of the environment. */
function scriptOf({ parameters }: RunStageRequest): Script {
  if (parameters?.kind?.$case === "warm") return JSON.parse(process.env["FAKE_WARM"] ?? "{}") as Script;
  return parameters?.kind?.$case === "textEncode" ? (JSON.parse(parameters.kind.value.prompt) as Script) : {};
}

async function* steps(script: Script, signal: AbortSignal): AsyncGenerator<RunStageResponse> {
  const { steps: count = 1, stepMs = 1, until, deaf = false, die = false, failWith, say } = script;
  if (say !== undefined) process.stderr.write(say);
  if (deaf) signal.addEventListener("abort", () => void (isStuck = true));
  for (let step = 1; step <= count || (until !== undefined && !(await exists(until))); step += 1) {
    yield { event: { $case: "progress", value: { phase: "encode", step, steps: count, counter: BigInt(step), stepMs } } };
    await wait(stepMs);
    if (signal.aborted) throw new FarmError("STAGE_CANCELLED");
  }
  if (die) process.kill(process.pid, "SIGKILL");
  if (failWith !== undefined) throw new FarmError(isErrorCode(failWith) ? failWith : "INTERNAL", { message: "as the test wants" });
}

async function resultOf(request: RunStageRequest): Promise<RunStageResponse> {
  const path = join(request.outputFolder, "embeds");
  const text = JSON.stringify({ inputs: request.inputs.map(({ name }) => name), script: scriptOf(request) });
  await writeFile(path, text);
  const outputs = [{ name: "embeds", path, mediaType: "application/json", sizeBytes: BigInt(text.length) }];
  const value = { outputs, computeMs: 2, loadMs: 1, deviceMs: 3, checkpointMs: 0, provider: "cpu", profile: "fake", warnings: [] };
  return { event: { $case: "result", value } };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

const implementation: StageServiceServer = {
  describeRuntime: unary(() =>
    Promise.resolve({
      provider: process.env["VAPFARM_RUNTIME_PROVIDERS"] ?? "",
      onnxruntimeVersion: "0",
      profile: "fake",
      threads: 1,
      processId: BigInt(process.pid),
      residentEngineDigests: [...resident],
      runningRunId: holding === undefined ? "" : holder,
    }),
  ),
  runStage: serverStream((request, { signal }) => runStage(request, signal)),
  // As a run that writes no checkpoints.
  stopRun: unary(({ runId }) => {
    if (runId === holder) stopping.abort();
    return Promise.resolve({});
  }),
};

process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
const server = createGrpcServer({
  address: process.env["VAPFARM_RUNTIME_ADDRESS"] ?? "127.0.0.1:0",
  services: [{ name: "vapfarm.v1.StageService", definition: StageServiceService, implementation }],
  maxMessageBytes: 1024 * 1024,
  reflection: undefined,
  drainMs: 0,
});
await server.start();
process.send?.({ kind: "ready", address: server.address(), processId: process.pid });

/**
 * The real stage runtime as a child process, and calls to it over gRPC, for tests.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FarmError, isErrorCode } from "../../services/domain/errors.ts";
import { decodeSafetensors } from "../../services/domain/tensors/safetensors.ts";
import type { VariantName } from "../../services/domain/variants/registry.ts";
import type { Tensor } from "../../services/domain/tensors/tensor.ts";
import {
  type CheckpointSettings,
  RunStageRequest,
  type StageCheckpoint,
  type StageParameters,
  type StageProgress,
  type StageResult,
  StageServiceClient,
} from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { callServerStream, connectClient } from "../../services/platform/grpc/client.ts";
import { openManifest } from "../../services/platform/models/repository.ts";
import { compileCache } from "./compile-cache.ts";
import { projectRoot, testFfmpegPath } from "./ffmpeg.ts";

/** Folder of the demo model of a variant. */
export function demoFolderOf(variant: VariantName): string {
  return join(projectRoot, "models", { cogvideox: "demo", wan: "demo-wan" }[variant]);
}

export const demoModelFolder = demoFolderOf("cogvideox");
export const demoMetricsFolder = join(projectRoot, "models", "demo-metrics");

type ReadyMessage = { readonly kind: "ready"; readonly address: string; readonly processId: number };
type FailedMessage = { readonly kind: "failed"; readonly code: string; readonly message: string };

export type StageCall = {
  readonly parameters: NonNullable<StageParameters["kind"]>;
  /** By input name: a path, or bytes to send inline. */
  readonly inputs?: Readonly<Record<string, string | Uint8Array>>;
  readonly engineDigests?: Readonly<Record<string, string>>;
  readonly modelFolder?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: StageProgress) => void;
  readonly checkpoints?: CheckpointSettings;
  readonly onCheckpoint?: (checkpoint: StageCheckpoint) => void;
  /** Waits for the run that holds the slot. */
  readonly mayWait?: boolean;
  readonly onStarted?: (idleMs: number | undefined) => void;
  readonly onComputed?: () => void;
  /** The call is on its way. */
  readonly onSent?: () => void;
  /** Does something to the output folder before the run begins. */
  readonly prepareFolder?: (outputFolder: string) => Promise<unknown>;
};

export type StageAnswer = {
  readonly result: StageResult;
  readonly progress: readonly StageProgress[];
  /** Path of an output by its name. */
  path(output: string): string;
  tensors(output: string): Promise<ReadonlyMap<string, Tensor>>;
};

export type TestRuntime = {
  readonly child: ChildProcess;
  readonly client: StageServiceClient;
  readonly folder: string;
  /** What it wrote to stderr so far. */
  log(): string;
  run(call: StageCall): Promise<StageAnswer>;
  stop(): Promise<void>;
};

/** Starts the runtime and waits until it says that it is ready; a start that fails throws its error. */
export async function startTestRuntime(settings: Readonly<Record<string, string>> = {}): Promise<TestRuntime> {
  const folder = await mkdtemp(join(tmpdir(), "vf-"));
  const child = await spawnRuntime({ VAPFARM_RUNTIME_ADDRESS: `unix:${folder}/rt.sock`, ...settings });
  const { address } = await readyMessage(child);
  const client = connectClient(StageServiceClient, address, 16 * 1024 ** 2);
  let runs = 0;
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
  return {
    child,
    log: () => log,
    client,
    folder,
    run: (call) => {
      runs += 1;
      return runStage(client, call, { outputFolder: join(folder, `run-${runs}`), runId: `run-${runs}` });
    },
    async stop() {
      client.close();
      // A child that was killed closes its channel before its end is seen.
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      const exited = hasEnded ? undefined : once(child, "exit");
      if (child.connected) child.disconnect();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function spawnRuntime(settings: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const environment = {
    PATH: process.env["PATH"] ?? "",
    ...compileCache,
    VAPFARM_FFMPEG: await testFfmpegPath(),
    VAPFARM_RUNTIME_THREADS: "1",
    VAPFARM_LOG_LEVEL: "silent",
    ...settings,
  };
  return spawn(process.execPath, ["services/worker/runtime/main.ts"], {
    cwd: projectRoot,
    env: environment,
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
}

async function readyMessage(child: ChildProcess): Promise<ReadyMessage> {
  // The channel closes after its last message, which a process may be seen to end before.
  const exited = Promise.all([once(child, "exit"), once(child, "disconnect")]).then(() => undefined);
  const message = await Promise.race([once(child, "message").then(([first]) => first as ReadyMessage | FailedMessage), exited]);
  if (message?.kind === "ready") return message;
  const code = message !== undefined && isErrorCode(message.code) ? message.code : "RUNTIME_START_FAILED";
  throw new FarmError(code, { message: message?.message ?? "the runtime ended before it was ready" });
}

async function runStage(
  client: StageServiceClient,
  call: StageCall,
  { outputFolder, runId }: { readonly outputFolder: string; readonly runId: string },
): Promise<StageAnswer> {
  await mkdir(outputFolder);
  await call.prepareFolder?.(outputFolder);
  const modelFolder = call.modelFolder ?? demoModelFolder;
  const request = RunStageRequest.fromPartial({
    runId,
    modelFolder,
    engineDigests: call.engineDigests ?? (await digestsOf(modelFolder)),
    parameters: { kind: call.parameters },
    inputs: Object.entries(call.inputs ?? {}).map(([name, source]) => ({
      name,
      source:
        typeof source === "string" ? { $case: "path" as const, value: source } : { $case: "inline" as const, value: Buffer.from(source) },
    })),
    outputFolder,
    mayWait: call.mayWait ?? false,
    ...(call.checkpoints === undefined ? {} : { checkpoints: call.checkpoints }),
  });
  const progress: StageProgress[] = [];
  let result: StageResult | undefined;
  const options = { deadlineMs: 60_000, ...(call.signal === undefined ? {} : { signal: call.signal }) };
  // By then the loop has asked for the first message, which sends the request.
  queueMicrotask(() => call.onSent?.());
  for await (const { event } of callServerStream(client.runStage.bind(client), request, options)) {
    if (event?.$case === "result") result = event.value;
    if (event?.$case === "checkpoint") call.onCheckpoint?.(event.value);
    if (event?.$case === "started") call.onStarted?.(event.value.idleMs);
    if (event?.$case === "computed") call.onComputed?.();
    if (event?.$case !== "progress") continue;
    progress.push(event.value);
    call.onProgress?.(event.value);
  }
  if (result === undefined) throw new FarmError("STAGE_FAILED", { message: "the stream ended without a result" });
  return answerOf(result, progress);
}

async function digestsOf(modelFolder: string): Promise<Readonly<Record<string, string>>> {
  const { engines } = await openManifest(modelFolder);
  return Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
}

function answerOf(result: StageResult, progress: readonly StageProgress[]): StageAnswer {
  const path = (output: string): string => {
    const found = result.outputs.find(({ name }) => name === output);
    if (found === undefined) throw new FarmError("STAGE_FAILED", { message: `the stage gave no ${output}` });
    return found.path;
  };
  return { result, progress, path, tensors: async (output) => decodeSafetensors(await readFile(path(output))).tensors };
}

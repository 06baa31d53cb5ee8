import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FarmError } from "../../../services/domain/errors.ts";
import { encodeSafetensors } from "../../../services/domain/tensors/safetensors.ts";
import type { Tensor } from "../../../services/domain/tensors/tensor.ts";
import { FrameSelection, SchedulerKind, type StageProgress } from "../../../services/gen/proto/vapfarm/v1/stage.ts";
import { callUnary } from "../../../services/platform/grpc/client.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { zeroDenoiseInputs } from "../../support/denoise-inputs.ts";
import { demoModelFolder, type StageAnswer, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";

type DenoiseOptions = { readonly steps: number; readonly signal?: AbortSignal; readonly onProgress?: (progress: StageProgress) => void };

function denoise(runtime: TestRuntime, { steps, ...call }: DenoiseOptions): Promise<StageAnswer> {
  const value = { seed: 1n, steps, guidanceScale: 6, dynamicGuidance: false, scheduler: SchedulerKind.SCHEDULER_KIND_DDIM, references: 1 };
  return runtime.run({ parameters: { $case: "denoise", value }, inputs: zeroDenoiseInputs(), ...call });
}

async function errorOf(promise: Promise<unknown>): Promise<FarmError> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof FarmError)) expect.unreachable(`expected a FarmError, got ${String(thrown)}`);
  return thrown;
}

const encodeText = (runtime: TestRuntime, prompt: string): Promise<StageAnswer> =>
  runtime.run({ parameters: { $case: "textEncode", value: { prompt } } });

describe("a running runtime", () => {
  let runtime: TestRuntime;
  beforeAll(async () => {
    runtime = await startTestRuntime();
  });
  afterAll(async () => {
    await runtime.stop();
  });

  it("says what it is", async () => {
    const described = await callUnary(runtime.client.describeRuntime.bind(runtime.client), {}, { deadlineMs: 5000 });
    expect(described).toMatchObject({ provider: "cpu", threads: 1, processId: BigInt(runtime.child.pid ?? 0) });
    expect(described.profile).toMatch(/^cpu;ort-\d+\.\d+\.\d+;\S+;threads-1$/);
  });

  it("answers during a denoise, and counts progress up by step", async () => {
    const describes: Promise<unknown>[] = [];
    const onProgress = (): void => {
      describes.push(callUnary(runtime.client.describeRuntime.bind(runtime.client), {}, { deadlineMs: 5000 }));
    };
    const { progress, result } = await denoise(runtime, { steps: 8, onProgress });
    await Promise.all(describes);
    const counters = progress.map(({ counter }) => counter);
    expect(counters).toEqual([...counters].sort((left, right) => Number(left - right)));
    expect(new Set(counters).size).toBe(counters.length);
    const steps = progress.filter(({ phase }) => phase === "denoise").map(({ step }) => step);
    expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(progress.at(-1)?.stepMs).toBeGreaterThan(0);
    expect(result.provider).toBe("cpu");
    expect(result.deviceMs).toBeGreaterThan(0);
  });

  it("keeps an engine's session for the next run", async () => {
    await encodeText(runtime, "a");
    const { progress } = await encodeText(runtime, "b");
    expect(progress.map(({ phase }) => phase)).not.toContain("load");
    const { engines } = await openModel(demoModelFolder);
    const { residentEngineDigests } = await callUnary(runtime.client.describeRuntime.bind(runtime.client), {}, { deadlineMs: 5000 });
    expect(residentEngineDigests).toContain(engines["text_encode"]?.digest);
  });

  it("ends a cancelled denoise within a step and then takes the next run", async () => {
    const caller = new AbortController();
    let lastStep = 0;
    const onProgress = ({ step }: StageProgress): void => {
      lastStep = step;
      if (step === 3) caller.abort();
    };
    const error = await errorOf(denoise(runtime, { steps: 1000, signal: caller.signal, onProgress }));
    expect(error.code).toBe("STAGE_CANCELLED");
    const { result } = await encodeText(runtime, "after a cancellation");
    expect(result.outputs).toHaveLength(1);
    expect(lastStep).toBeLessThan(20);
  });

  it("refuses a second run while one is wanted", async () => {
    const caller = new AbortController();
    const started = Promise.withResolvers<undefined>();
    const first = errorOf(denoise(runtime, { steps: 1000, signal: caller.signal, onProgress: () => started.resolve(undefined) }));
    await started.promise;
    expect((await errorOf(encodeText(runtime, "too early"))).code).toBe("RUNTIME_BUSY");
    caller.abort();
    await first;
  });

  it("names the run that holds its slot, until that has let go", async () => {
    const running = async (): Promise<string> =>
      (await callUnary(runtime.client.describeRuntime.bind(runtime.client), {}, { deadlineMs: 5000 })).runningRunId;
    const caller = new AbortController();
    const seen = Promise.withResolvers<string>();
    const first = errorOf(denoise(runtime, { steps: 1000, signal: caller.signal, onProgress: () => seen.resolve(running()) }));
    expect(await seen.promise).toMatch(/^run-\d+$/);
    caller.abort();
    await first;
    // The next run begins only when the slot is free.
    await encodeText(runtime, "after a cancellation");
    expect(await running()).toBe("");
  });

  it("cuts a long prompt with its end token kept, and warns", async () => {
    const answer = await encodeText(runtime, "a very long prompt ".repeat(100));
    expect(answer.result.warnings.map(({ code }) => code)).toEqual(["PROMPT_TRUNCATED"]);
    const ids = (await answer.tensors("embeds")).get("input_ids");
    expect(ids?.shape).toEqual([1, 226]);
    expect(ids?.data.at(-1)).toBe(1n);
  });

  it.each([
    ["a missing input", { media: undefined }, "STAGE_INPUT_INVALID"],
    ["text instead of media", { media: new TextEncoder().encode("no media") }, "MEDIA_NOT_DECODABLE"],
    ["an empty file", { media: new Uint8Array() }, "MEDIA_EMPTY"],
    ["a path that is not there", { media: "/nonexistent/clip.mp4" }, "ARTIFACT_MISSING"],
  ])("refuses %s by name", async (_what, { media }, code) => {
    const value = {
      frames: 1,
      height: 48,
      width: 64,
      frameSelection: FrameSelection.FRAME_SELECTION_FIRST,
      resize: 0 as const,
      shortestEdge: 0,
    };
    const inputs = media === undefined ? {} : { media };
    expect((await errorOf(runtime.run({ parameters: { $case: "prepare", value }, inputs }))).code).toBe(code);
  });

  it("refuses tensors that are damaged, of another shape, or not there", async () => {
    const encode = (pixels: Uint8Array) =>
      runtime.run({ parameters: { $case: "vaeEncode", value: { firstFrameOnly: true } }, inputs: { pixels } });
    expect((await errorOf(encode(new Uint8Array(20)))).code).toBe("ARTIFACT_CORRUPT");
    const small: Tensor = { dtype: "uint8", shape: [1, 8, 8, 3], data: new Uint8Array(192) };
    expect((await errorOf(encode(encodeSafetensors({ pixels: small })))).code).toBe("STAGE_INPUT_INVALID");
    expect((await errorOf(encode(encodeSafetensors({ other: small })))).code).toBe("STAGE_INPUT_INVALID");
  });

  it("refuses an engine with another digest than the task's", async () => {
    const engineDigests = { text_encode: "0".repeat(64) };
    const error = await errorOf(runtime.run({ parameters: { $case: "textEncode", value: { prompt: "a" } }, engineDigests }));
    expect(error.code).toBe("ENGINE_DIGEST_MISMATCH");
  });

  it("refuses an engine whose file is not that of its digest", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-model-"));
    await cp(demoModelFolder, folder, { recursive: true });
    const { engines } = await openModel(folder);
    const engine = engines["text_encode"];
    await writeFile(join(folder, engine?.path ?? ""), new Uint8Array(engine?.files[0]?.bytes ?? 0));
    const error = await errorOf(runtime.run({ parameters: { $case: "textEncode", value: { prompt: "a" } }, modelFolder: folder }));
    expect(error.code).toBe("MODEL_INVALID");
    expect(error.message).toContain("SHA-256");
    await rm(folder, { recursive: true });
  });
});

describe("a runtime that ends", () => {
  it("by SIGKILL during a denoise fails the call as unavailable", async () => {
    const runtime = await startTestRuntime();
    const onProgress = ({ step }: StageProgress): void => {
      if (step === 2) runtime.child.kill("SIGKILL");
    };
    const error = await errorOf(denoise(runtime, { steps: 1000, onProgress }));
    expect(error.details["grpcStatus"]).toBe("UNAVAILABLE");
    await runtime.stop();
  });

  it("because its IPC channel closed does so by SIGKILL, during a denoise too", async () => {
    const runtime = await startTestRuntime();
    const exited = once(runtime.child, "exit");
    const onProgress = ({ step }: StageProgress): void => {
      if (step === 2) runtime.child.disconnect();
    };
    await errorOf(denoise(runtime, { steps: 1000, onProgress }));
    expect(await exited).toEqual([null, "SIGKILL"]);
    await runtime.stop();
  });
});

describe("execution providers", () => {
  it.each(["warp", "cuda", "tensorrt"])("refuse to start when %s is not there, naming it", async (provider) => {
    const settings = { VAPFARM_RUNTIME_PROVIDERS: provider, VAPFARM_RUNTIME_ARCHITECTURE: "sm_90" };
    const error = await errorOf(startTestRuntime(settings));
    expect(error.code).toBe("PROVIDER_UNAVAILABLE");
    expect(error.message).toContain(provider);
  });

  it("are never dropped silently where another one is left", async () => {
    const error = await errorOf(startTestRuntime({ VAPFARM_RUNTIME_PROVIDERS: "warp,cpu", VAPFARM_RUNTIME_ARCHITECTURE: "x" }));
    expect(error.code).toBe("PROVIDER_UNAVAILABLE");
  });

  it("other than the CPU need the architecture that the profile names", async () => {
    expect((await errorOf(startTestRuntime({ VAPFARM_RUNTIME_PROVIDERS: "cuda" }))).code).toBe("CONFIG_INVALID");
  });
});

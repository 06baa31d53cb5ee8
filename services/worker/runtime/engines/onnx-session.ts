/**
 * Sessions of ONNX Runtime: the only importer of onnxruntime-node.
 *
 * Invariants: exactly the providers that were named run the graph. onnxruntime-common drops a provider that it does not know when another one is
 * left, so each is proven on a session of its own first; and where "cpu" is not named, a graph that would put a node on the CPU is
 * refused. Thread counts are always set, because they may change the last bits. Sessions are opened by path, so that weights are mapped.
 */
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { FarmError } from "../../../domain/errors.ts";
import { float32, type Float32Tensor, type Tensor } from "../../../domain/tensors/tensor.ts";
import type { Engine } from "../../../platform/models/manifest.ts";
import { createProviderProbe } from "./providers-ran.ts";

export type ExecutionOptions = {
  readonly providers: readonly string[];
  readonly threads: number;
  readonly deviceId: number;
};

export type RunOptions = { readonly mayBeNotFinite?: boolean };

export type EngineSession = {
  readonly engine: Engine;
  /** Runs the graph once; inputs and outputs are checked against the manifest, outputs must be finite unless the caller judges that. */
  run(feeds: Readonly<Record<string, Tensor>>, options?: RunOptions): Promise<Readonly<Record<string, Float32Tensor>>>;
  /** The providers that the last run really used. */
  ranOn(): readonly string[];
  close(): Promise<void>;
};

/** ONNX model of one node, y = x + x, float32 [1] → [1], opset 17: what a provider is proven on. */
const probeModel = "CAg6OQoOCgF4CgF4EgF5IgNBZGQSBXByb2JlWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEQ==";

/** Proves that every provider named is there and runs; PROVIDER_UNAVAILABLE names the one that does not and why. */
export async function requireProviders(options: ExecutionOptions): Promise<void> {
  for (const provider of options.providers) {
    try {
      const session = await InferenceSession.create(
        Buffer.from(probeModel, "base64"),
        sessionOptions({ ...options, providers: [provider] }),
      );
      await session.run({ x: new OrtTensor("float32", new Float32Array([1]), [1]) });
      await session.release();
    } catch (cause) {
      throw new FarmError("PROVIDER_UNAVAILABLE", {
        message: `execution provider ${provider}: ${reasonOf(cause)}`,
        details: { provider },
        cause,
      });
    }
  }
}

/** Opens an engine's graph. Refused providers are PROVIDER_UNAVAILABLE, everything else ENGINE_LOAD_FAILED. */
export async function openSession(path: string, engine: Engine, options: ExecutionOptions): Promise<EngineSession> {
  const probe = await createProviderProbe(options.providers);
  try {
    const session = await InferenceSession.create(path, { ...sessionOptions(options), ...probe.options });
    requirePorts(session, engine);
    let providers: readonly string[] = [];
    return {
      engine,
      async run(feeds, { mayBeNotFinite = false } = {}) {
        const outputs = await runSession(session, engine, feeds);
        if (!mayBeNotFinite) requireFinite(outputs, engine);
        providers = await probe.ran(() => session.endProfiling());
        return outputs;
      },
      ranOn: () => providers,
      async close() {
        await session.release();
        await probe.close();
      },
    };
  } catch (cause) {
    await probe.close();
    if (cause instanceof FarmError) throw cause;
    throw loadError(path, cause);
  }
}

function sessionOptions({ providers, threads, deviceId }: ExecutionOptions): InferenceSession.SessionOptions {
  const isCpuAllowed = providers.includes("cpu");
  return {
    executionProviders: providers.map((name) => (name === "cpu" ? "cpu" : { name, deviceId })),
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
    ...(isCpuAllowed ? {} : { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
  };
}

function requirePorts(session: InferenceSession, engine: Engine): void {
  const missing = [
    ...engine.inputs.filter(({ name }) => !session.inputNames.includes(name)),
    ...engine.outputs.filter(({ name }) => !session.outputNames.includes(name)),
  ];
  if (missing.length === 0) return;
  throw new FarmError("ENGINE_LOAD_FAILED", { message: `the graph of ${engine.name} lacks ${missing.map(({ name }) => name).join(", ")}` });
}

async function runSession(
  session: InferenceSession,
  engine: Engine,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Float32Tensor>>> {
  const inputs = engine.inputs.map(({ name, dtype, shape }) => [name, toOrt(feeds[name], { name, dtype, shape })] as const);
  const results = await session.run(Object.fromEntries(inputs)).catch((cause: unknown) => {
    throw runError(engine, cause);
  });
  return Object.fromEntries(engine.outputs.map(({ name }) => [name, fromOrt(results[name], `${engine.name}.${name}`)]));
}

function toOrt(tensor: Tensor | undefined, port: Engine["inputs"][number]): OrtTensor {
  const fits =
    tensor?.dtype === port.dtype &&
    tensor.shape.length === port.shape.length &&
    port.shape.every((extent, axis) => extent === -1 || extent === tensor.shape[axis]);
  if (!fits) {
    const found = tensor === undefined ? "missing" : `${tensor.dtype} [${tensor.shape.join(",")}]`;
    throw new FarmError("STAGE_INPUT_INVALID", { message: `${port.name} is ${found}, expected ${port.dtype} [${port.shape.join(",")}]` });
  }
  return tensor.dtype === "int64" ? new OrtTensor("int64", tensor.data, tensor.shape) : new OrtTensor("float32", tensor.data, tensor.shape);
}

function fromOrt(value: OrtTensor | undefined, name: string): Float32Tensor {
  if (!(value?.data instanceof Float32Array)) throw new FarmError("STAGE_FAILED", { message: `${name} is no float32 tensor` });
  return float32(value.dims, value.data);
}

function requireFinite(outputs: Readonly<Record<string, Float32Tensor>>, engine: Engine): void {
  for (const [name, { data }] of Object.entries(outputs)) {
    for (const element of data) {
      if (Number.isFinite(element)) continue;
      throw new FarmError("STAGE_NOT_FINITE", { message: `${engine.name}.${name} holds values that are not finite` });
    }
  }
}

function runError(engine: Engine, cause: unknown): FarmError {
  const reason = reasonOf(cause);
  return new FarmError(isOutOfMemory(reason) ? "STAGE_OUT_OF_MEMORY" : "STAGE_FAILED", { message: `${engine.name}: ${reason}`, cause });
}

function loadError(path: string, cause: unknown): FarmError {
  const reason = reasonOf(cause);
  if (/fallback to CPU EP has been explicitly disabled|AppendExecutionProvider|backend not found/i.test(reason)) {
    return new FarmError("PROVIDER_UNAVAILABLE", { message: `${path}: ${reason}`, cause });
  }
  return new FarmError(isOutOfMemory(reason) ? "STAGE_OUT_OF_MEMORY" : "ENGINE_LOAD_FAILED", { message: `${path}: ${reason}`, cause });
}

function isOutOfMemory(reason: string): boolean {
  return /failed to allocate|out of memory|bad_alloc|bad allocation|cudaErrorMemoryAllocation/i.test(reason);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

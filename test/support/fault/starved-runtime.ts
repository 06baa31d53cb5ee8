/**
 * Loaded into a worker's runtime (NODE_OPTIONS, `starving`), makes one engine find no memory when it runs, in the words of ONNX Runtime.
 * All else is the real runtime, as is what becomes of the failure.
 */
import { fileURLToPath } from "node:url";

/** Settings of a worker whose tasks may use so many bytes, which are too few for the engine. */
export function starving(engine: string, memoryBytes: number): Readonly<Record<string, string>> {
  return {
    VAPFARM_MEMORY_BYTES: String(memoryBytes),
    NODE_OPTIONS: `--import=${fileURLToPath(import.meta.url)}`,
    VAPFARM_TEST_STARVED_ENGINE: engine,
  };
}

const starved = process.env["VAPFARM_TEST_STARVED_ENGINE"];
const isRuntime = process.argv[1]?.includes("/worker/runtime/") === true;

if (starved !== undefined && isRuntime) {
  const { InferenceSession } = await import("onnxruntime-node");
  const open = InferenceSession.create.bind(InferenceSession) as (model: string, options: object) => Promise<{ run: unknown }>;
  const openStarved = async (model: string, options: object): Promise<{ run: unknown }> => {
    const session = await open(model, options);
    if (typeof model === "string" && model.includes(`/${starved}/`)) session.run = noMemory;
    return session;
  };
  Object.assign(InferenceSession, { create: openStarved });
}

function noMemory(): Promise<never> {
  const message = "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 25769803776";
  return Promise.reject(new TypeError(`Non-zero status code returned while running MatMul node. ${message}`));
}

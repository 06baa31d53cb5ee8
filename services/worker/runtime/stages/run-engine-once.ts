/**
 * A stage that is one run of one engine with one output: opening, progress, cancellation.
 */
import type { EngineName } from "../../../domain/stage.ts";
import { type Float32Tensor, requireFloat32, type Tensor } from "../../../domain/tensors/tensor.ts";
import { FarmError } from "../../../domain/errors.ts";
import type { StageProgress } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";

type Feeds = Readonly<Record<string, Tensor>>;

/** Runs the engine; the output is named as the graph names it. `feeds` is called once the engine is open. */
export async function runEngineOnce(
  context: StageContext,
  engineName: EngineName,
  feeds: () => Feeds,
): Promise<{ readonly name: string; readonly tensor: Float32Tensor }> {
  const session = await context.engine(engineName);
  const [output] = session.engine.outputs;
  if (output === undefined) throw new FarmError("MODEL_INVALID", { message: `engine ${engineName} has no output` });
  const phase: StageProgress["phase"] = engineName === "vae_decode" ? "decode" : "encode";
  const report = (step: number): void => context.progress({ phase, step, steps: 1, stepMs: 0 });
  report(0);
  await context.hear();
  const outputs = await session.run(feeds());
  report(1);
  return { name: output.name, tensor: requireFloat32(output.name, outputs[output.name]) };
}

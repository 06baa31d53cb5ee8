/**
 * denoise: what a render's image, references and prompts were encoded to → latents after the last step, in the variant's own layout.
 *
 * The arithmetic is domain/vap/denoise and the variant's; this stage reads inputs, asks the engine in each step, and says how far it is.
 */
import { FarmError } from "../../../domain/errors.ts";
import { float32, type Float32Tensor, int64, requireFloat32, type Tensor } from "../../../domain/tensors/tensor.ts";
import { variantOf } from "../../../domain/variants/registry.ts";
import { denoiseInputName } from "../../../domain/variants/render-graph.ts";
import type { Variant } from "../../../domain/variants/variant.ts";
import { beginDenoise, type DenoiseBeginning, type DenoiseSettings, nextStep, stepDenoise } from "../../../domain/vap/denoise.ts";
import { isGuided } from "../../../domain/vap/guidance.ts";
import { sizesOf } from "../../../platform/models/model-facts.ts";
import type { ModelManifest } from "../../../platform/models/manifest.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import type { DenoiseWork } from "../stage-run.ts";
import { createDenoiseCheckpoints, type DenoiseCheckpoints } from "./denoise-checkpoints.ts";
import type { StageContext } from "./stage-context.ts";
import { type StageMade, tensorsMade } from "./stage-made.ts";

/** Weight of the newest step in the expected time of one. */
const newestWeight = 0.3;

/** Runs every step that is left; cancellation is seen between two calls of the model, a stop between two steps. */
export async function denoise(context: StageContext, work: DenoiseWork): Promise<readonly StageMade[]> {
  const model = await context.model();
  const variant = variantOf(model.variant);
  requireWork(model, variant, work);
  const inputs = await readInputs(context, variant, work);
  const beginning = beginDenoise(settings(model, variant, work), (name) => requireFloat32(name, inputs.get(name)));
  const engine = await context.engine("denoise");
  const run = { plan: beginning.plan, seed: work.seed, engineDigest: engine.engine.digest, inputs };
  const latents = await runSteps(context, engine, { ...beginning, checkpoints: createDenoiseCheckpoints(context, run) });
  return [tensorsMade("latents", { latents })];
}

function requireWork(model: ModelManifest, { hasDynamicGuidance }: Variant, work: DenoiseWork): void {
  const { maxReferences, schedulers } = model;
  if (work.references > maxReferences) throw invalid(`${work.references} references, the model takes ${maxReferences}`);
  if (work.dynamicGuidance && !hasDynamicGuidance) throw invalid("the model has no dynamic guidance");
  if (work.scheduler === undefined || schedulers.kinds.includes(work.scheduler)) return;
  throw invalid(`scheduler ${work.scheduler} does not run on the model's noise schedule, only ${schedulers.kinds.join(" and ")}`);
}

function settings(model: ModelManifest, variant: Variant, work: DenoiseWork): DenoiseSettings {
  const { seed, steps, guidanceScale, dynamicGuidance, references, scheduler: schedulerKind } = work;
  const asked = { seed, steps, guidanceScale, dynamicGuidance, references, schedulerKind };
  return { ...asked, variant, schedulers: model.schedulers, model: sizesOf(model) };
}

/** Every input that the variant's graph names, but those of the negative prompt where nobody asks about it. */
async function readInputs(context: StageContext, { graph }: Variant, work: DenoiseWork): Promise<ReadonlyMap<string, Tensor | undefined>> {
  const read = new Map<string, Tensor | undefined>();
  const needed = graph.denoise.filter(({ isForGuidance }) => isForGuidance !== true || isGuided(work.guidanceScale));
  for (const input of needed) {
    for (let reference = 0; reference < (input.per === "render" ? 1 : work.references); reference += 1) {
      const name = denoiseInputName(input, reference);
      read.set(name, (await context.inputTensors(name)).get(input.tensor));
    }
  }
  return read;
}

async function runSteps(
  context: StageContext,
  engine: EngineSession,
  { plan, calls, state: first, checkpoints }: DenoiseBeginning & { readonly checkpoints: DenoiseCheckpoints },
): Promise<Float32Tensor> {
  let state = await checkpoints.begin(first);
  let stepMs = 0;
  const steps = plan.steps.length;
  context.progress({ phase: "denoise", step: state.stepIndex, steps, stepMs });
  for (let step = nextStep(plan, state); step !== undefined; step = nextStep(plan, state)) {
    await context.hear();
    await checkpoints.beforeStep(state);
    const startedMs = performance.now();
    const timestep = timestepTensor(engine, step.timestep);
    const answers: Float32Tensor[] = [];
    for (const constant of calls) {
      await context.hear();
      const { noise_pred: noisePred } = await engine.run({ ...constant, latents: state.latents, timestep });
      answers.push(requireFloat32("noise_pred", noisePred));
    }
    state = stepDenoise(plan, state, answers);
    const tookMs = performance.now() - startedMs;
    stepMs = stepMs === 0 ? tookMs : stepMs + newestWeight * (tookMs - stepMs);
    context.progress({ phase: "denoise", step: state.stepIndex, steps, stepMs });
  }
  return state.latents;
}

/** [1], of the type that the engine reads: whole numbers, or float32 where a schedule has fractions. */
function timestepTensor({ engine }: EngineSession, timestep: number): Tensor {
  const port = engine.inputs.find(({ name }) => name === "timestep");
  return port?.dtype === "int64" ? int64([1], BigInt64Array.of(BigInt(timestep))) : float32([1], Float32Array.of(timestep));
}

function invalid(message: string): FarmError {
  return new FarmError("STAGE_INPUT_INVALID", { message });
}

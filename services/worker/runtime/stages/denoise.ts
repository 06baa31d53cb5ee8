/**
 * denoise: moments and embeddings → latents after the last step, float32 [1,T,C,h,w].
 *
 * The arithmetic is domain/vap/denoise; this stage reads inputs, asks the engine once a step, and says how far it is.
 */
import { FarmError } from "../../../domain/errors.ts";
import { float32, type Float32Tensor, int64, requireFloat32, requireShape } from "../../../domain/tensors/tensor.ts";
import { beginDenoise, type DenoiseBeginning, type DenoiseMoments, nextStep, stepDenoise } from "../../../domain/vap/denoise.ts";
import { parseSchedulerConfig } from "../../../domain/vap/scheduler-config.ts";
import type { ModelManifest } from "../../../platform/models/manifest.ts";
import type { EngineSession } from "../engines/onnx-session.ts";
import type { DenoiseWork, StageOutputFile } from "../stage-run.ts";
import type { StageContext } from "./stage-context.ts";

/** Weight of the newest step in the expected time of one. */
const newestWeight = 0.3;

/** Runs every step; cancellation is seen between two of them. */
export async function denoise(context: StageContext, work: DenoiseWork): Promise<readonly StageOutputFile[]> {
  const model = await context.model();
  if (work.references > model.maxReferences) {
    throw new FarmError("STAGE_INPUT_INVALID", { message: `${work.references} references, the model takes ${model.maxReferences}` });
  }
  const beginning = beginDenoise(settings(model, work), await readMoments(context, work.references));
  const prompts = await readPrompts(context, { work, model, isGuided: beginning.plan.guided });
  const engine = await context.engine("denoise");
  const latents = await runSteps(context, { engine, beginning, prompts });
  return [await context.writeTensors("latents", { latents })];
}

function settings(model: ModelManifest, work: DenoiseWork) {
  return {
    seed: work.seed,
    steps: work.steps,
    guidanceScale: work.guidanceScale,
    dynamicGuidance: work.dynamicGuidance,
    scheduler: parseSchedulerConfig(model.scheduler),
    schedulerKind: work.scheduler,
    latentShape: model.latent,
    scalingFactor: model.vae.scalingFactor,
    invertScaleLatents: model.vae.invertScaleLatents,
  };
}

async function readMoments(context: StageContext, references: number): Promise<DenoiseMoments> {
  const read = (name: string): Promise<Float32Tensor> => readFloat32(context, name, "moments");
  const clips = [];
  for (let index = 0; index < references; index += 1) {
    clips.push({ moments: await read(`ref${index}_moments`), firstMoments: await read(`ref${index}_first_moments`) });
  }
  return { image: await read("image_moments"), references: clips };
}

async function readFloat32(context: StageContext, input: string, tensor: string): Promise<Float32Tensor> {
  return requireFloat32(input, (await context.inputTensors(input)).get(tensor));
}

type Prompts = {
  /** [g,L,D]: negative, positive; positive alone without guidance. */
  readonly main: Float32Tensor;
  /** [n,g,L,D]. */
  readonly references: Float32Tensor;
};

type PromptRequest = { readonly work: DenoiseWork; readonly model: ModelManifest; readonly isGuided: boolean };

async function readPrompts(context: StageContext, { work, model, isGuided }: PromptRequest): Promise<Prompts> {
  const { maxTokens, width } = model.text;
  const read = async (name: string): Promise<Float32Tensor> => {
    const embeds = await readFloat32(context, name, "prompt_embeds");
    requireShape(name, embeds, [1, maxTokens, width]);
    return embeds;
  };
  const pair = async (prefix: string): Promise<readonly Float32Tensor[]> => {
    const positive = await read(`${prefix}prompt_embeds`);
    return isGuided ? [await read(`${prefix}negative_prompt_embeds`), positive] : [positive];
  };
  const main = await pair("");
  const references: Float32Tensor[] = [];
  for (let index = 0; index < work.references; index += 1) references.push(...(await pair(`ref${index}_`)));
  return {
    main: join([main.length, maxTokens, width], main),
    references: join([work.references, main.length, maxTokens, width], references),
  };
}

/** Lays tensors of equal size one after the other. */
function join(shape: readonly number[], parts: readonly Float32Tensor[]): Float32Tensor {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return float32(shape, data);
}

type Steps = { readonly engine: EngineSession; readonly beginning: DenoiseBeginning; readonly prompts: Prompts };

async function runSteps(context: StageContext, { engine, beginning, prompts }: Steps): Promise<Float32Tensor> {
  const { plan, conditions } = beginning;
  const constant = {
    image_latents: conditions.imageLatents,
    ref_latents: conditions.refLatents,
    ref_image_latents: conditions.refImageLatents,
    prompt_embeds: prompts.main,
    ref_prompt_embeds: prompts.references,
  };
  let state = beginning.state;
  let stepMs = 0;
  context.progress({ phase: "denoise", step: 0, steps: plan.steps.length, stepMs });
  for (let step = nextStep(plan, state); step !== undefined; step = nextStep(plan, state)) {
    await context.checkpoint();
    const startedMs = performance.now();
    const timestep = int64([1], BigInt64Array.of(BigInt(step.timestep)));
    const { noise_pred: noisePred } = await engine.run({ ...constant, latents: state.latents, timestep });
    state = stepDenoise(plan, state, requireFloat32("noise_pred", noisePred));
    const tookMs = performance.now() - startedMs;
    stepMs = stepMs === 0 ? tookMs : stepMs + newestWeight * (tookMs - stepMs);
    context.progress({ phase: "denoise", step: state.stepIndex, steps: plan.steps.length, stepMs });
  }
  return state.latents;
}

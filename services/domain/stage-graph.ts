/**
 * The graph of one render as planned tasks (design §6).
 *
 * Invariants: a plan is in dependency order and names each key once, so equal work within a render (one
 * negative prompt, the same clip twice) is one task with several labels; every key is known before anything
 * runs; a task's inputs are exactly those that stage.proto names.
 */
import { contentKey, type Sha256Function } from "./content-key.ts";
import { FarmError } from "./errors.ts";
import type { OutputKind, RenderSpec } from "./render-spec.ts";
import type { StageName } from "./stage.ts";

/** Where a task's input comes from: an upload, or an earlier task of the same plan. */
export type TaskInputSource =
  { readonly kind: "upload"; readonly sha256: string } | { readonly kind: "task"; readonly contentKey: string; readonly output: string };

export type TaskInput = { readonly name: string; readonly source: TaskInputSource };

export type PlannedTask = {
  /** SHA-256 (hex) that names stage and inputs; equal keys are one task. */
  readonly contentKey: string;
  /** Whose results it may share: tenant, or tenant and job. */
  readonly sharingDomain: string;
  readonly stage: StageName;
  /** What it is in this render, e.g. "reference 1". */
  readonly label: string;
  readonly pool: string;
  /** What a worker must hold to run it: `<stage>/<engine digest>`, `prepare/-`. */
  readonly shape: string;
  readonly model: string;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
  /** Stage parameters as protobuf JSON of vapfarm.v1.StageParameters. */
  readonly parameters: unknown;
  readonly inputs: readonly TaskInput[];
  /** Names that the render hands out from this task's outputs, e.g. "mp4". */
  readonly artifacts: readonly string[];
};

/** What a model's manifest says that a plan needs. */
export type ModelFacts = {
  readonly name: string;
  readonly fps: number;
  /** Engine name → digest. */
  readonly engineDigests: Readonly<Record<string, string>>;
};

export type PlanRequest = {
  readonly render: RenderSpec;
  readonly model: ModelFacts;
  readonly pool: string;
  /** The pool's profile: what may change the last bits. */
  readonly profile: string;
  readonly tenant: string;
  readonly jobId: string;
  /** What results of other jobs it may take: every stage's, those before denoise, none. */
  readonly reuse: "all" | "inputs" | "none";
  readonly sha256: Sha256Function;
};

/** How pixels are prepared; no engine's digest says it for `prepare`. */
const preprocessing = "linspace-float32 lanczos3-8bit";

type Step = {
  readonly stage: StageName;
  readonly label: string;
  readonly engine: string | undefined;
  readonly parameters: unknown;
  readonly constants?: unknown;
  readonly inputs?: readonly TaskInput[];
  readonly artifacts?: readonly string[];
};

type Plan = { readonly request: PlanRequest; readonly tasks: Map<string, PlannedTask> };

/** All tasks of one render, in dependency order. Throws MODEL_INVALID when the model lacks an engine. */
export function planRender(request: PlanRequest): readonly PlannedTask[] {
  const { render } = request;
  const plan: Plan = { request, tasks: new Map() };
  const imagePixels = prepare(plan, { label: "image", sha256: render.image.sha256, frames: 1 });
  const prompt = textEncode(plan, "prompt", render.prompt);
  const negative = textEncode(plan, "negative prompt", render.negativePrompt);
  const image = vaeEncode(plan, { label: "image", pixels: imagePixels, firstFrameOnly: true });
  const inputs = [
    taskInput("image_moments", image, "moments"),
    taskInput("prompt_embeds", prompt, "embeds"),
    taskInput("negative_prompt_embeds", negative, "embeds"),
    ...render.references.flatMap((reference, index) => planReference(plan, reference.sha256, index)),
  ];
  const latents = denoise(plan, inputs);
  const decoded = render.outputs.filter((output) => output !== "latents");
  if (decoded.length > 0) decode(plan, latents, decoded);
  return [...plan.tasks.values()];
}

function planReference(plan: Plan, sha256: string, index: number): readonly TaskInput[] {
  const { render } = plan.request;
  const label = `reference ${index + 1}`;
  const pixels = prepare(plan, { label, sha256, frames: render.frames });
  const clip = vaeEncode(plan, { label, pixels, firstFrameOnly: false });
  const first = vaeEncode(plan, { label: `${label} first frame`, pixels, firstFrameOnly: true });
  const prompt = textEncode(plan, `${label} prompt`, render.referencePrompts[index] ?? "");
  const negative = textEncode(plan, `${label} negative prompt`, render.negativePrompt);
  return [
    taskInput(`ref${index}_moments`, clip, "moments"),
    taskInput(`ref${index}_first_moments`, first, "moments"),
    taskInput(`ref${index}_prompt_embeds`, prompt, "embeds"),
    taskInput(`ref${index}_negative_prompt_embeds`, negative, "embeds"),
  ];
}

function prepare(plan: Plan, media: { readonly label: string; readonly sha256: string; readonly frames: number }): string {
  const { width, height, frameSelection } = plan.request.render;
  const isFirst = media.frames === 1 || frameSelection === "first";
  const selection = isFirst ? "FRAME_SELECTION_FIRST" : "FRAME_SELECTION_EVENLY";
  return addStep(plan, {
    stage: "prepare",
    label: media.label,
    engine: undefined,
    parameters: { prepare: { frames: media.frames, height, width, frameSelection: selection } },
    constants: preprocessing,
    inputs: [{ name: "media", source: { kind: "upload", sha256: media.sha256 } }],
  });
}

function textEncode(plan: Plan, label: string, prompt: string): string {
  return addStep(plan, { stage: "text_encode", label, engine: "text_encode", parameters: { textEncode: { prompt } } });
}

function vaeEncode(plan: Plan, clip: { readonly label: string; readonly pixels: string; readonly firstFrameOnly: boolean }): string {
  return addStep(plan, {
    stage: "vae_encode",
    label: clip.label,
    engine: clip.firstFrameOnly ? "vae_encode_image" : "vae_encode",
    parameters: { vaeEncode: { firstFrameOnly: clip.firstFrameOnly } },
    inputs: [taskInput("pixels", clip.pixels, "pixels")],
  });
}

function denoise(plan: Plan, inputs: readonly TaskInput[]): string {
  const { seed, steps, guidanceScale, dynamicGuidance, scheduler, references, outputs } = plan.request.render;
  const kind = scheduler === "ddim" ? "SCHEDULER_KIND_DDIM" : "SCHEDULER_KIND_DPM";
  return addStep(plan, {
    stage: "denoise",
    label: "denoise",
    engine: "denoise",
    parameters: { denoise: { seed, steps, guidanceScale, dynamicGuidance, scheduler: kind, references: references.length } },
    inputs,
    artifacts: outputs.includes("latents") ? ["latents"] : [],
  });
}

function decode(plan: Plan, latents: string, outputs: readonly OutputKind[]): void {
  const names = (["mp4", "frames"] as const).filter((name) => outputs.includes(name));
  addStep(plan, {
    stage: "vae_decode",
    label: "decode",
    engine: "vae_decode",
    parameters: { vaeDecode: { outputs: names.map((name) => `OUTPUT_KIND_${name.toUpperCase()}`) } },
    constants: { fps: plan.request.model.fps },
    inputs: [taskInput("latents", latents, "latents")],
    artifacts: names,
  });
}

function taskInput(name: string, key: string, output: string): TaskInput {
  return { name, source: { kind: "task", contentKey: key, output } };
}

/** Adds a step, or a label to the equal step that is there; returns its key. */
function addStep(plan: Plan, step: Step): string {
  const { model, pool, profile, sha256 } = plan.request;
  const { stage, parameters, inputs = [], artifacts = [] } = step;
  const engineDigests = digestsOf(model, step.engine);
  const sharingDomain = sharingDomainOf(plan.request, stage);
  const key = contentKey(
    {
      sharingDomain,
      stage,
      engineDigests,
      profile: step.engine === undefined ? "-" : profile,
      parameters,
      constants: step.constants ?? null,
      inputs: Object.fromEntries(inputs.map(({ name, source }) => [name, source])),
    },
    sha256,
  );
  const equal = plan.tasks.get(key);
  const label = equal === undefined ? step.label : `${equal.label}, ${step.label}`;
  const shape = `${stage}/${Object.values(engineDigests)[0] ?? "-"}`;
  const task = {
    contentKey: key,
    sharingDomain,
    stage,
    label,
    pool,
    shape,
    model: model.name,
    engineDigests,
    parameters,
    inputs,
    artifacts,
  };
  plan.tasks.set(key, task);
  return key;
}

function digestsOf(model: ModelFacts, engine: string | undefined): Readonly<Record<string, string>> {
  if (engine === undefined) return {};
  const digest = model.engineDigests[engine];
  if (digest === undefined) throw new FarmError("MODEL_INVALID", { message: `model ${model.name} has no engine ${engine}` });
  return { [engine]: digest };
}

/** The tenant, or the tenant's job for what must not come from another job. */
function sharingDomainOf({ tenant, jobId, reuse }: PlanRequest, stage: StageName): string {
  const isInput = stage !== "denoise" && stage !== "vae_decode";
  const isShared = reuse === "all" || (reuse === "inputs" && isInput);
  return JSON.stringify(isShared ? [tenant] : [tenant, jobId]);
}

/**
 * The graph of one render as planned tasks (design §6), from the variant's graph of nodes.
 *
 * Invariants: a plan is in dependency order and names each key once, so equal work within a render (one
 * negative prompt, the same clip twice) is one task with several labels; every key is known before anything
 * runs; a task's inputs are exactly those that stage.proto names.
 */
import { contentKey } from "./content-key.ts";
import { FarmError } from "./errors.ts";
import type { OutputKind } from "./render-spec.ts";
import type { PlannedModel, PlannedTask, PlanRequest, TaskInput } from "./planned-task.ts";
import type { EngineName, StageName } from "./stage.ts";
import { nodeInput, nodeParameters, preparing } from "./stage-parameters.ts";
import { variantOf } from "./variants/registry.ts";
import { denoiseInputName, type GraphNode, type NodeInput, type RenderGraph } from "./variants/render-graph.ts";

type Step = {
  readonly stage: StageName;
  readonly label: string;
  readonly engine: EngineName | undefined;
  readonly parameters: unknown;
  readonly constants?: unknown;
  readonly inputs?: readonly TaskInput[];
  readonly artifacts?: readonly string[];
};

type Plan = { readonly request: PlanRequest; readonly tasks: Map<string, PlannedTask> };

/** Node name → key of its task, for the render or for one of its references. */
type Keys = ReadonlyMap<string, string>;

/** All tasks of one render, in dependency order. Throws MODEL_INVALID when the model lacks an engine. */
export function planRender(request: PlanRequest): readonly PlannedTask[] {
  const { graph } = variantOf(request.model.variant);
  const plan: Plan = { request, tasks: new Map() };
  const ofRender = addNodes(plan, graph, { per: "render", known: new Map() });
  const ofReferences = request.render.references.map((_, reference) =>
    addNodes(plan, graph, { per: "reference", known: ofRender, reference }),
  );
  const latents = denoise(plan, denoiseInputs(graph, ofRender, ofReferences));
  const decoded = request.render.outputs.filter((output) => output !== "latents");
  if (decoded.length > 0) decode(plan, latents, decoded);
  return [...plan.tasks.values()];
}

type NodeScope = { readonly per: GraphNode["per"]; readonly known: Keys; readonly reference?: number };

/** Adds the nodes of one scope; the keys of these and of what was known before. */
function addNodes(plan: Plan, graph: RenderGraph, { per, known, reference }: NodeScope): Keys {
  const keys = new Map(known);
  for (const node of graph.nodes.filter((each) => each.per === per)) keys.set(node.name, addNode(plan, node, { keys, reference }));
  return keys;
}

function addNode(
  plan: Plan,
  node: GraphNode,
  { keys, reference }: { readonly keys: Keys; readonly reference: number | undefined },
): string {
  const { request } = plan;
  const uploads = nodeInput(node.work, request.render, reference ?? 0);
  return addStep(plan, {
    stage: node.work.stage,
    label: reference === undefined ? node.label : `reference ${reference + 1} ${node.label}`.trimEnd(),
    engine: node.engine,
    parameters: nodeParameters(node.work, request, reference ?? 0),
    constants: preparing(node.work),
    inputs: [...uploads, ...node.inputs.map((input) => taskInput(input.name, input, keys))],
  });
}

/** Those of the render, then those of each reference. */
function denoiseInputs(graph: RenderGraph, ofRender: Keys, ofReferences: readonly Keys[]): readonly TaskInput[] {
  const inputsOf = (per: GraphNode["per"], keys: Keys, reference: number): readonly TaskInput[] =>
    graph.denoise.filter((input) => input.per === per).map((input) => taskInput(denoiseInputName(input, reference), input, keys));
  return [...inputsOf("render", ofRender, 0), ...ofReferences.flatMap((keys, reference) => inputsOf("reference", keys, reference))];
}

function taskInput(name: string, { node, output }: Omit<NodeInput, "name">, keys: Keys): TaskInput {
  const key = keys.get(node);
  if (key === undefined) throw new FarmError("INTERNAL", { message: `the graph takes ${output} of ${node}, which nothing gave` });
  return { name, source: { kind: "task", contentKey: key, output } };
}

function denoise(plan: Plan, inputs: readonly TaskInput[]): string {
  const { seed, steps, guidanceScale, dynamicGuidance, scheduler, references, outputs } = plan.request.render;
  const kind = `SCHEDULER_KIND_${scheduler.toUpperCase()}`;
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
    inputs: [{ name: "latents", source: { kind: "task", contentKey: latents, output: "latents" } }],
    artifacts: names,
  });
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
      pool,
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
  const named = { contentKey: key, sharingDomain, stage, label, pool, shape, model: model.name };
  plan.tasks.set(key, { ...named, engineDigests, parameters, inputs, artifacts });
  return key;
}

function digestsOf(model: PlannedModel, engine: EngineName | undefined): Readonly<Record<string, string>> {
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

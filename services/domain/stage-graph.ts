/**
 * The graph of one render as planned tasks (design §6), from the variant's graph of nodes.
 *
 * Invariants: a plan is in dependency order and names each key once, so equal work within a render (one
 * negative prompt, the same clip twice) is one task with several labels; every key is known before anything
 * runs; a task's inputs are exactly those that stage.proto names.
 */
import { contentKey } from "./content-key.ts";
import { FarmError } from "./errors.ts";
import type { PlannedTask, PlanRequest, TaskInput } from "./planned-task.ts";
import { shapeOf, type StageName } from "./stage.ts";
import { nodeInput, nodeParameters, preparing } from "./stage-parameters.ts";
import { clipSteps, decodedOutputs, decodeStep, type Step } from "./clip-steps.ts";
import { variantOf } from "./variants/registry.ts";
import { denoiseInputName, type GraphNode, type NodeInput, type RenderGraph } from "./variants/render-graph.ts";

type Plan = { readonly request: PlanRequest; readonly tasks: Map<string, PlannedTask> };

/** Node name → key of its task, for the render or for one of its references. */
type Keys = ReadonlyMap<string, string>;

/**
 * All tasks of one render, in dependency order. Throws MODEL_INVALID when the model, or the metric repository, lacks an engine, and
 * METRICS_UNKNOWN when there is no such repository.
 */
export function planRender(request: PlanRequest): readonly PlannedTask[] {
  const { graph } = variantOf(request.model.variant);
  const plan: Plan = { request, tasks: new Map() };
  const ofRender = addNodes(plan, graph, { per: "render", known: new Map() });
  const ofReferences = request.render.references.map((_, reference) =>
    addNodes(plan, graph, { per: "reference", known: ofRender, reference }),
  );
  const latents = denoise(plan, denoiseInputs(graph, ofRender, ofReferences));
  if (decodedOutputs(request.render).length > 0) {
    const decoded = addStep(plan, decodeStep(request, latents));
    for (const step of clipSteps(request, decoded)) addStep(plan, step);
  }
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
    engines: node.engine === undefined ? [] : [node.engine],
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
    engines: ["denoise"],
    parameters: { denoise: { seed, steps, guidanceScale, dynamicGuidance, scheduler: kind, references: references.length } },
    inputs,
    artifacts: outputs.includes("latents") ? ["latents"] : [],
  });
}

/** Adds a step, or a label to the equal step that is there; returns its key. */
function addStep(plan: Plan, step: Step): string {
  const { request } = plan;
  const { stage, parameters, inputs = [], artifacts = [] } = step;
  const { name, pool, profile, engineDigests: held } = step.holder ?? { ...request, ...request.model };
  const engineDigests = digestsOf({ name, held }, step);
  const digests = Object.values(engineDigests);
  const sharingDomain = sharingDomainOf(request, stage);
  const key = contentKey(
    {
      sharingDomain,
      stage,
      engineDigests,
      pool,
      profile: digests.length === 0 ? "-" : profile,
      parameters,
      constants: step.constants ?? null,
      inputs: Object.fromEntries(inputs.map((input) => [input.name, input.source])),
    },
    request.sha256,
  );
  const equal = plan.tasks.get(key);
  const label = equal === undefined ? step.label : `${equal.label}, ${step.label}`;
  const named = { contentKey: key, sharingDomain, stage, label, pool, shape: shapeOf(stage, digests), model: name };
  plan.tasks.set(key, { ...named, engineDigests, parameters, inputs, artifacts });
  return key;
}

type Holder = { readonly name: string; readonly held: Readonly<Record<string, string>> };

function digestsOf({ name, held }: Holder, { engines }: Step): Readonly<Record<string, string>> {
  const digests = engines.map((engine) => {
    const digest = held[engine];
    if (digest === undefined) throw new FarmError("MODEL_INVALID", { message: `model ${name} has no engine ${engine}` });
    return [engine, digest] as const;
  });
  return Object.fromEntries(digests);
}

/** The tenant, or the tenant's job for what must not come from another job. */
function sharingDomainOf({ tenant, jobId, reuse }: PlanRequest, stage: StageName): string {
  const isInput = stage !== "denoise" && stage !== "vae_decode";
  const isShared = reuse === "all" || (reuse === "inputs" && isInput);
  return JSON.stringify(isShared ? [tenant] : [tenant, jobId]);
}

/**
 * What a worker can run, told from the engines that it holds: a shape for each engine of a model that renders, one for each metric whose
 * networks it holds all of, and those that need none.
 */
import { isMetricEngine, scoreStage, shapeOf, type StageName, stageOfEngine, stagesWithoutEngine } from "../../domain/stage.ts";
import { metricNames, metricNeeds } from "../../domain/vbench/metric.ts";

type Digests = Readonly<Record<string, string>>;

const stages: Readonly<Record<string, StageName>> = stageOfEngine;

/** What a worker that does not say which stages it knows is taken to know: one of an older release. */
const oldestStages: readonly string[] = ["prepare"];

/** Shapes of (engine name → digest) of each model, and of stages without an engine that the worker knows; without doubles. */
export function shapesOfWorker(models: readonly Digests[], knownStages: readonly string[]): readonly string[] {
  const known = knownStages.length === 0 ? oldestStages : knownStages;
  const without = stagesWithoutEngine.filter((stage) => known.includes(stage)).map((stage) => shapeOf(stage, []));
  return [...new Set([...without, ...models.flatMap(shapesOfEngines)])];
}

/** Shapes that a model's engines make, of engine name → digest. An engine that this release does not know makes one of its own, which nobody asks for. */
export function shapesOfEngines(digests: Digests): readonly string[] {
  const rendering = Object.entries(digests).filter(([name]) => !isMetricEngine(name));
  return [
    ...rendering.map(([name, digest]) => (stages[name] === undefined ? `${name}/${digest}` : shapeOf(stages[name], [digest]))),
    ...metricShapes(digests).map(({ shape }) => shape),
  ];
}

/** The metrics whose engines are all there, by shape. */
export function metricShapes(digests: Digests): readonly { readonly shape: string; readonly engines: readonly string[] }[] {
  return metricNames.flatMap((metric) => {
    const { engines } = metricNeeds[metric];
    const held = engines.map((engine) => digests[engine]).filter((digest) => digest !== undefined);
    if (engines.length === 0 || held.length < engines.length) return [];
    return [{ shape: shapeOf(scoreStage(metric), held), engines }];
  });
}

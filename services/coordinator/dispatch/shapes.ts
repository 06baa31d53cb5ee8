/**
 * What a worker can run, told from the engines that it holds: one shape for each, and `prepare/-`, which needs none.
 */
import { stageOfEngine } from "../../domain/stage.ts";

const stages: Readonly<Record<string, string>> = stageOfEngine;

/** Shapes `<stage>/<engine digest>` of (engine name, digest) pairs, without doubles. */
export function shapesOfEngines(engines: readonly (readonly [name: string, digest: string])[]): readonly string[] {
  const shapes = engines.map(([name, digest]) => `${stages[name] ?? name}/${digest}`);
  return [...new Set(["prepare/-", ...shapes])];
}

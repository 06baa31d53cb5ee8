/**
 * farm.json of a repository of metric networks: parsed and checked against itself.
 *
 * Invariants: digests are those of what the engines really rely on; an engine that a metric reads has the ports of the boundary that the
 * arithmetic around it was written for (spec vbench §7.1), and every data file that its constants name is covered by its digest. A metric can be
 * computed when all of its engines are there.
 */
import { z } from "zod";
import { isMetricEngine } from "../../domain/stage.ts";
import { type MetricEngine, type MetricName, metricNames, metricNeeds } from "../../domain/vbench/metric.ts";
import { engineDigests } from "./engine-digest.ts";
import { type Engine, enginesFrom, parseJson } from "./manifest.ts";
import { invalid } from "./manifest-fit.ts";
import { metricsSchema } from "./manifest-schema.ts";

export type MetricsManifest = {
  readonly kind: "metrics";
  /** Absolute folder that the manifest was read from. */
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly weights: "random" | "trained";
  readonly engines: Readonly<Record<string, Engine>>;
};

type Ports = { readonly inputs: readonly string[]; readonly output: string; readonly data: readonly string[] };

/** Ports by name, and the constants that name a data file of the engine. */
const boundaries: Readonly<Record<MetricEngine, Ports>> = {
  dino_b16: { inputs: ["pixels", "positions"], output: "embedding", data: ["positions"] },
  clip_b32_image: { inputs: ["pixels"], output: "embeddings", data: [] },
  clip_b32_text: { inputs: ["input_ids"], output: "embeddings", data: ["merges"] },
  clip_l14_image: { inputs: ["pixels"], output: "embeddings", data: ["head"] },
  musiq_spaq: { inputs: ["tokens"], output: "score", data: [] },
  amt_s: { inputs: ["frame0", "frame1"], output: "middle", data: [] },
  raft_things: { inputs: ["frame0", "frame1"], output: "flow", data: [] },
  viclip_video: { inputs: ["frames"], output: "embedding", data: [] },
  viclip_text: { inputs: ["input_ids"], output: "embedding", data: ["merges"] },
};

/** Whether a farm.json is of metric networks. */
export function isMetricsManifest(json: unknown): boolean {
  return typeof json === "object" && json !== null && "kind" in json && json.kind === "metrics";
}

/** Reads a manifest's text; MODEL_INVALID names the field and the reason. */
export function parseMetricsManifest(text: string, folder: string): MetricsManifest {
  const json = metricsSchema.safeParse(parseJson(text, folder));
  if (!json.success) throw invalid(folder, z.prettifyError(json.error));
  const { kind, name, version, weights } = json.data;
  const engines = enginesFrom(json.data.engines, { folder, digests: engineDigests(text) });
  for (const engine of Object.values(engines)) if (isMetricEngine(engine.name)) requireBoundary(engine, boundaries[engine.name], folder);
  return { kind, folder, name, version, weights, engines };
}

function requireBoundary({ name, inputs, outputs, constants, files }: Engine, ports: Ports, folder: string): void {
  const has = inputs.map((port) => port.name);
  if (has.toSorted().join() !== ports.inputs.toSorted().join()) {
    throw invalid(folder, `engine ${name} reads ${has.join(", ")}, not ${ports.inputs.join(", ")}`);
  }
  if (!outputs.some((port) => port.name === ports.output)) throw invalid(folder, `engine ${name} does not give ${ports.output}`);
  for (const key of ports.data) {
    const path = constants[key];
    if (typeof path === "string" && files.some((file) => file.path === path)) continue;
    throw invalid(folder, `engine ${name} names no file of its own as ${key}`);
  }
}

/** The metrics whose engines are all there. */
export function computableMetrics({ engines }: Pick<MetricsManifest, "engines">): readonly MetricName[] {
  return metricNames.filter((metric) => metricNeeds[metric].engines.every((engine) => engines[engine] !== undefined));
}

/** Engine name → digest. */
export function metricDigests({ engines }: Pick<MetricsManifest, "engines">): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.values(engines).map(({ name, digest }) => [name, digest]));
}

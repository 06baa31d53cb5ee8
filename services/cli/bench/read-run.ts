/**
 * Everything that a report or an export needs of a run, from the farm.
 */
import { type FarmClient, present } from "../../client/farm-client.ts";
import { isMetricName, type MetricName } from "../../domain/vbench/metric.ts";
import { type ImportedResults, readEvalResults } from "../../domain/vbench/eval-results-reader.ts";
import type { Run, RunItem } from "../../gen/proto/vapfarm/v1/bench.ts";
import { parse } from "node:path";
import type { OtherClip } from "./report/compare.ts";
import type { Compared, RunSource } from "./report/model.ts";

/** A run with its renders. */
export type WholeRun = { readonly run: Run; readonly source: RunSource };

/** Reads a run as of now. */
export async function readRun(client: FarmClient, runId: string, signal: AbortSignal): Promise<WholeRun> {
  const answer = await client.getRunPatiently(runId, { signal });
  const run = present(answer.run, "run");
  const items: RunItem[] = [];
  for await (const item of client.runItems({ runId: run.runId }, { signal })) items.push(item);
  return { run, source: { answer, items } };
}

const importedPrefix = "imported:";

/** What `--compare` names: a run, or `imported:NAME`. */
export async function readCompared(client: FarmClient, named: string, signal: AbortSignal): Promise<Compared> {
  if (!named.startsWith(importedPrefix)) return { kind: "run", source: (await readRun(client, named, signal)).source };
  const name = named.slice(importedPrefix.length);
  const { text } = await client.calls.getResults({ name }, { signal });
  return { kind: "imported", name, clips: importedClips(readEvalResults(text)) };
}

/** Clips of a results file by their name without ending; what is no number there is no value. */
export function importedClips({ dimensions }: ImportedResults): readonly OtherClip[] {
  const clips = new Map<string, Partial<Record<MetricName, number>>>();
  for (const { dimension, videos } of dimensions) {
    if (!isMetricName(dimension)) continue;
    for (const { name, value } of videos) {
      const key = parse(name).name;
      const values = clips.get(key) ?? {};
      if (typeof value === "number") values[dimension] = value;
      clips.set(key, values);
    }
  }
  return [...clips].map(([key, values]) => ({ key, values }));
}

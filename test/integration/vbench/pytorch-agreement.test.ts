/**
 * The score stage in a real runtime against PyTorch's values for the same clips, with the networks of models/demo-metrics.
 *
 * The values are recorded, so that no Python is needed here; the exporter's tests hold the record to what PyTorch gives.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type MetricName, metricNames, metricNeeds } from "../../../services/domain/vbench/metric.ts";
import { demoMetricsFolder, startTestRuntime, type TestRuntime } from "../../support/runtime-process.ts";
import { vbenchFixtures } from "../../support/vbench/stubs.ts";
import { metricTolerances } from "../../support/vbench/tolerances.ts";

type Recorded = {
  readonly image: string;
  readonly prompt: string;
  readonly values: Readonly<Record<MetricName, number | boolean>>;
};

const fixture = (name: string): string => fileURLToPath(new URL(name, vbenchFixtures));
const { clips } = JSON.parse(readFileSync(fixture("demo-networks.json"), "utf8")) as { readonly clips: Readonly<Record<string, Recorded>> };

let runtime: TestRuntime;
beforeAll(async () => {
  runtime = await startTestRuntime();
});
afterAll(() => runtime.stop());

async function valueOf(metric: MetricName, clip: string, { image, prompt }: Recorded): Promise<number> {
  const { result } = await runtime.run({
    modelFolder: demoMetricsFolder,
    parameters: { $case: "score", value: { metric, prompt } },
    inputs: { video: fixture(clip), ...(metricNeeds[metric].needsImage ? { image: fixture(image) } : {}) },
  });
  expect(result.score?.status).toBe("ok");
  return result.score?.value ?? Number.NaN;
}

describe.each(Object.entries(clips))("%s", (clip, recorded) => {
  it.each(metricNames)("has PyTorch's %s", async (metric) => {
    const wanted = Number(recorded.values[metric]);
    const difference = Math.abs((await valueOf(metric, clip, recorded)) - wanted);
    expect(difference).toBeLessThanOrEqual(metricTolerances[metric]);
  });
});

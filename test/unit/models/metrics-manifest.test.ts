import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { metricNames } from "../../../services/domain/vbench/metric.ts";
import { computableMetrics, parseMetricsManifest } from "../../../services/platform/models/metrics-manifest.ts";
import { createEngineVerifier, findModels, openMetrics, openModel } from "../../../services/platform/models/repository.ts";

const models = fileURLToPath(new URL("../../../models", import.meta.url));
const demo = `${models}/demo-metrics`;
const text = await readFile(`${demo}/farm.json`, "utf8");

type EngineJson = { inputs: { name: string }[]; outputs: { name: string }[]; constants: Record<string, unknown>; digest: string };
type Json = { engines: Record<string, EngineJson> } & Record<string, unknown>;

/** The demo's manifest, changed, with digests that fit what it says now. */
function changed(change: (json: Json) => void): string {
  const json = JSON.parse(text) as Json;
  change(json);
  for (const engine of Object.values(json.engines)) {
    const { constants, files, precision } = engine as EngineJson & Record<string, unknown>;
    engine.digest = createHash("sha256").update(sorted({ constants, files, precision })).digest("hex");
  }
  return JSON.stringify(json);
}

function sorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sorted).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sorted(item)}`).join(",")}}`;
}

describe("a repository of metric networks", () => {
  it("opens, has its files, and can compute every metric", async () => {
    const manifest = await openMetrics(demo);
    expect(manifest).toMatchObject({ kind: "metrics", name: "demo-metrics", weights: "random" });
    for (const engine of Object.values(manifest.engines)) await createEngineVerifier().verify(manifest, engine);
    expect(computableMetrics(manifest)).toEqual(metricNames);
  });

  it("stands beside models that render, and is none", async () => {
    const found = await findModels(models);
    expect([...found.metrics.keys()]).toEqual(["demo-metrics"]);
    expect([...found.models.keys()]).toEqual(["demo", "demo-wan"]);
    expect(found.faults).toEqual([]);
    await expect(openModel(demo)).rejects.toMatchObject({ code: "MODEL_INVALID", message: expect.stringContaining("renders nothing") as string });
    await expect(openMetrics(`${models}/demo`)).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });

  it("computes what its networks allow: without a text network, no score against the prompt", () => {
    const without = parseMetricsManifest(changed((json) => delete json.engines["clip_b32_text"]), demo);
    expect(metricNames.filter((metric) => !computableMetrics(without).includes(metric))).toEqual(["clip_score"]);
  });

  it.each([
    ["an engine that reads something else", (json: Json) => json.engines["raft_things"]?.inputs.pop(), "reads frame0, not frame0, frame1"],
    ["an engine that gives something else", (json: Json) => Object.assign(json.engines["amt_s"]?.outputs[0] ?? {}, { name: "x" }), "does not give middle"],
    ["a head that no digest covers", (json: Json) => Object.assign(json.engines["clip_l14_image"]?.constants ?? {}, { head: "farm.json" }), "no file of its own as head"],
    ["a kind of stage of its own", (json: Json) => Object.assign(json.engines["amt_s"] ?? {}, { stage: "denoise" }), "stage"],
  ])("refuses %s", (_name, change, reason) => {
    expect(() => parseMetricsManifest(changed(change), demo)).toThrow(
      expect.objectContaining({ code: "MODEL_INVALID", message: expect.stringContaining(reason) as string }) as Error,
    );
  });

  it("refuses a digest that is not that of what it covers", () => {
    expect(() => parseMetricsManifest(text.replace('"minimum_side": 16', '"minimum_side": 128'), demo)).toThrow(/digest/);
  });
});

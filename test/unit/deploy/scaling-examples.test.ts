import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { createScalingMetrics } from "../../../services/coordinator/kube/metrics.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { createSampler } from "../../../services/platform/sample.ts";

const root = join(import.meta.dirname, "../../..");
const folder = join(root, "deploy/prometheus/examples");
const read = (name: string): Record<string, unknown> => parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>;

describe("the examples of scaling by others", () => {
  it("are objects as KEDA and Kubernetes have them", () => {
    expect(() => new ScaledObject(read("keda-scaled-object.yaml") as never).validate()).not.toThrow();
    expect(() => new HorizontalPodAutoscaler(read("hpa.yaml") as never).validate()).not.toThrow();
  });

  it("would be refused with a field of another type", () => {
    const wrong = read("hpa.yaml") as { readonly spec: Record<string, unknown> };
    expect(() => new HorizontalPodAutoscaler({ ...wrong, spec: { ...wrong.spec, maxReplicas: "many" } } as never).validate()).toThrow();
    const broken = read("keda-scaled-object.yaml") as { readonly spec: Record<string, unknown> };
    expect(() => new ScaledObject({ ...broken, spec: { ...broken.spec, triggers: "none" } } as never).validate()).toThrow();
  });

  it("ask for the pool of one farm", () => {
    const hpa = read("hpa.yaml") as { readonly spec: { readonly metrics: readonly { readonly external: unknown }[] } };
    expect(hpa.spec.metrics[0]?.external).toMatchObject({ metric: { selector: { matchLabels: { farm: "vapfarm", pool: "cog" } } } });
    const keda = read("keda-scaled-object.yaml") as { readonly spec: { readonly triggers: readonly { readonly metadata: unknown }[] } };
    expect(keda.spec.triggers[0]?.metadata).toMatchObject({ query: 'max(vapfarm_pool_workers_desired{farm="vapfarm",pool="cog"})' });
    expect(readFileSync(join(folder, "prometheus-adapter-rule.yaml"), "utf8")).toContain("by (farm, pool)");
  });

  it("do not let a change of a tenth or less go by", () => {
    const tolerances = ["hpa.yaml", "keda-scaled-object.yaml"].map((name) =>
      readFileSync(join(folder, name), "utf8").match(/tolerance: "0"/g),
    );
    expect(tolerances.map((found) => found?.length)).toEqual([2, 2]);
  });

  it("ask only for metrics that a coordinator exports, by labels that they have", async () => {
    const metrics = createMetrics();
    const records = [{ pool: "cog", desired: 3, asked: 2, serving: 1, starting: 1, backlogMs: 5_000, loadMs: 60_000, reason: "" }];
    const logger = createLogger({ name: "test", level: "silent" });
    const sampler = createSampler({ clock: () => 0, logger, leastAgeMs: 0 });
    createScalingMetrics(metrics, { store: { scaleRecords: () => Promise.resolve(records) }, pools: ["cog"], sampler });
    const exported = await metrics.registry.metrics();
    const named = globSync("*.yaml", { cwd: folder }).flatMap(
      (name) => readFileSync(join(folder, name), "utf8").match(/\bvapfarm_[a-z_]+/g) ?? [],
    );
    expect(named.length).toBeGreaterThan(2);
    for (const name of new Set(named)) expect(exported).toContain(`# TYPE ${name} `);
    expect(exported).toContain('vapfarm_pool_workers_desired{pool="cog"} 3');
    expect(exported).toContain('vapfarm_pool_workers_current{pool="cog"} 2');
    expect(exported).toContain('vapfarm_pool_load_seconds{pool="cog"} 60');
    expect(exported).toContain('vapfarm_pool_backlog_seconds{pool="cog"} 5');
  });
});

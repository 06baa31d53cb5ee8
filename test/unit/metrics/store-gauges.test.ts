import { expect, it } from "vitest";
import { createScalingMetrics } from "../../../services/coordinator/kube/metrics.ts";
import { createStoreGauge, hideAll } from "../../../services/coordinator/metrics/store-gauges.ts";
import { registerStoreHealth } from "../../../services/coordinator/metrics/store-health.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { createSampler, type Sample } from "../../../services/platform/sample.ts";
import { parseExposition } from "../../support/exposition.ts";

const record = { pool: "cog", desired: 3, asked: 2, serving: 1, starting: 1, backlogMs: 5_000, loadMs: 60_000, reason: "" };

/** A coordinator's values of the store, under a clock; `isAway` cuts it off. */
function coordinator() {
  const metrics = createMetrics();
  const state = { nowMs: 50_000, isAway: false };
  const sampler = createSampler({ clock: () => state.nowMs, logger: createLogger({ name: "test", level: "silent" }), leastAgeMs: 5_000 });
  const read = <T>(value: T): Promise<T> => (state.isAway ? Promise.reject(new FarmError("DATABASE_UNAVAILABLE")) : Promise.resolve(value));
  const alone = createStoreGauge(metrics, { name: "vapfarm_alone", help: "One without labels", labels: [], sample: (): Sample => sample });
  const sample = sampler.add({ name: "alone", read: () => read(4), show: (value) => alone.show([[{}, value]]), hide: hideAll(alone) });
  createScalingMetrics(metrics, { store: { scaleRecords: () => read([record]) }, pools: ["cog"], sampler });
  registerStoreHealth(metrics, { store: { connectionMeasures: () => [] }, sampler });
  const shown = async (name: string) => {
    const samples = parseExposition(await metrics.registry.metrics()).get(name)?.samples ?? [];
    return samples.map(({ labels, value }) => [Object.values(labels).join(" "), value]);
  };
  return { state, shown };
}

it("values of a coordinator that is cut off are absent after two minutes, but for their age, and come again", async () => {
  const { state, shown } = coordinator();
  expect([await shown("vapfarm_alone"), await shown("vapfarm_pool_workers_desired")]).toEqual([[["", 4]], [["cog", 3]]]);
  state.isAway = true;
  state.nowMs += 120_000;
  expect([await shown("vapfarm_alone"), await shown("vapfarm_pool_workers_desired")]).toEqual([[["", 4]], [["cog", 3]]]);
  state.nowMs += 5_001;
  expect([await shown("vapfarm_alone"), await shown("vapfarm_pool_workers_desired")]).toEqual([[], []]);
  expect(await shown("vapfarm_sample_age_seconds")).toEqual([
    ["alone", 125.001],
    ["scaling", 125.001],
  ]);
  state.isAway = false;
  state.nowMs += 5_000;
  expect([await shown("vapfarm_alone"), await shown("vapfarm_pool_workers_desired")]).toEqual([[["", 4]], [["cog", 3]]]);
});

it("what was never read is not shown, and is as old as the process", async () => {
  const { state, shown } = coordinator();
  state.isAway = true;
  expect([await shown("vapfarm_alone"), await shown("vapfarm_pool_workers_desired")]).toEqual([[], []]);
  state.nowMs += 130_000;
  expect(await shown("vapfarm_sample_age_seconds")).toEqual([
    ["alone", 130],
    ["scaling", 130],
  ]);
});

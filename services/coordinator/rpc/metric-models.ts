/**
 * ListMetricModels.
 */
import { parseModelReference } from "../../domain/model-reference.ts";
import type { ListMetricModelsResponse } from "../../gen/proto/vapfarm/v1/bench.ts";
import type { OverviewStore } from "../store/store-contract.ts";
import type { MetricRepositories } from "./served-model.ts";
import { metrics as metricNumbers } from "./wire-names.ts";
import { isLive } from "./worker-mapping.ts";

/** What it works with. */
export type MetricModelDependencies = { readonly store: Pick<OverviewStore, "listWorkers">; readonly metrics: MetricRepositories };

/** The handler of ListMetricModels. */
export function createListMetricModels({ store, metrics }: MetricModelDependencies) {
  return async (): Promise<ListMetricModelsResponse> => {
    const [served, workers] = await Promise.all([metrics(), store.listWorkers(undefined)]);
    const named = [...served].filter(([name]) => parseModelReference(name)?.kind !== "version").map(([, model]) => model);
    const sorted = [...new Set(named)].sort((left, right) => (left.reference < right.reference ? -1 : 1));
    const live = workers.filter(isLive);
    return {
      models: sorted.map(({ name, reference, weights, metrics: computable, pool, digest }) => ({
        name: reference,
        weights,
        metrics: computable.map((metric) => metricNumbers[metric]),
        pool,
        digest,
        workers: live.filter(({ models }) => models.includes(name)).length,
      })),
    };
  };
}

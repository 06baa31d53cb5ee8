/**
 * ListMetricModels.
 */
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
    const sorted = [...served.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
    const live = workers.filter(isLive);
    return {
      models: sorted.map(({ name, weights, metrics: computable, pool, digest }) => ({
        name,
        weights,
        metrics: computable.map((metric) => metricNumbers[metric]),
        pool,
        digest,
        workers: live.filter(({ models }) => models.includes(name)).length,
      })),
    };
  };
}

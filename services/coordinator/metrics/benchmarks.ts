/**
 * Scores of the newest finished run of each suite, model and settings, of a bounded number.
 */
import type { Metrics } from "../../platform/metrics.ts";
import type { Sample, Sampler } from "../../platform/sample.ts";
import type { MeasureStore } from "../store/store-contract.ts";
import { createStoreGauge, hideAll } from "./store-gauges.ts";

/** 10 metrics under 2 aggregators: at most 1,000 series of scores. */
const mostRuns = 50;

/** Registers them. */
export function registerBenchmarks(
  metrics: Metrics,
  { store, sampler }: { readonly store: Pick<MeasureStore, "newestScores">; readonly sampler: Sampler },
): void {
  const sample = (): Sample => scores;
  const score = createStoreGauge(metrics, {
    name: "vapfarm_benchmark_score",
    help: "Set scores of the newest finished run of each suite, model and settings",
    labels: ["suite", "model", "settings", "metric", "aggregator"],
    sample,
  });
  const end = createStoreGauge(metrics, {
    name: "vapfarm_benchmark_run_end_timestamp_seconds",
    help: "When the newest finished run of each suite, model and settings ended",
    labels: ["suite", "model", "settings"],
    sample,
  });
  const scores = sampler.add({
    name: "scores",
    read: () => store.newestScores(mostRuns),
    show(runs) {
      score.show(
        runs.flatMap(({ suite, model, settings, scores: all }) =>
          all.map(({ value, ...of }) => [{ suite, model, settings, ...of }, value] as const),
        ),
      );
      end.show(runs.map(({ suite, model, settings, endedAt }) => [{ suite, model, settings }, endedAt.getTime() / 1_000]));
    },
    hide: hideAll(score, end),
  });
}

/**
 * How the coordinator gets on with Postgres: its connections, and how old the values are that are read from it.
 */
import type { Metrics } from "../../platform/metrics.ts";
import type { Sampler } from "../../platform/sample.ts";
import type { MeasureStore } from "../store/store-contract.ts";

/** Registers them; the ages are of everything that the sampler reads, whenever it was added. */
export function registerStoreHealth(
  metrics: Metrics,
  { store, sampler }: { readonly store: Pick<MeasureStore, "connectionMeasures">; readonly sampler: Sampler },
): void {
  metrics.sampledGauge({
    name: "vapfarm_database_connections",
    help: "Connections to Postgres by purpose and state",
    labels: ["purpose", "state"],
    sample(gauge) {
      for (const { purpose, idle, busy } of store.connectionMeasures()) {
        gauge.set({ purpose, state: "idle" }, idle);
        gauge.set({ purpose, state: "busy" }, busy);
      }
    },
  });
  metrics.sampledGauge({
    name: "vapfarm_database_waiting",
    help: "Queries that wait for a connection to Postgres",
    labels: ["purpose"],
    sample(gauge) {
      for (const { purpose, waiting } of store.connectionMeasures()) gauge.set({ purpose }, waiting);
    },
  });
  metrics.sampledGauge({
    name: "vapfarm_sample_age_seconds",
    help: "How old the values are that were read from the store; before they ever were, since this process began",
    labels: ["sample"],
    async sample(gauge) {
      await Promise.all(sampler.samples.map((sample) => sample.refresh()));
      for (const sample of sampler.samples) gauge.set({ sample: sample.name }, sample.ageMs() / 1_000);
    },
  });
}

/**
 * What scraping a coordinator costs while very many tasks wait: each read of the store, a scrape that reads, and scrapes that share a read.
 */
import { createCoordinatorMetrics } from "../../services/coordinator/metrics.ts";
import type { Store } from "../../services/coordinator/store/store-contract.ts";
import { createLogger } from "../../services/platform/logging.ts";
import { createMetrics, type Metrics } from "../../services/platform/metrics.ts";
import { createSampler } from "../../services/platform/sample.ts";
import { startTestPostgres } from "../support/postgres.ts";
import { openWorld } from "../support/store-world.ts";
import { fillQueue } from "../support/waiting-tasks.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

const rounds = 5;
const hourMs = 3_600_000;

export const scrape: Bench = {
  name: "scrape: a coordinator's metrics while very many tasks wait",
  notMeasured: "reads beside a loaded database, the network",
  async run(short) {
    const waiting = short ? 20_000 : 1_000_000;
    const postgres = await startTestPostgres();
    try {
      const world = await openWorld(await postgres.createDatabase());
      await fillQueue(world, waiting, { tenants: 500, shapes: 10 });
      const figures = await measure(world.store, waiting);
      await world.close();
      return figures;
    } finally {
      await postgres.stop();
    }
  },
};

async function measure(store: Store, waiting: number): Promise<readonly Figure[]> {
  const reads = {
    "tasks by state": () => store.queueCounts(),
    "ready tasks": () => store.readyMeasures(),
    jobs: () => store.jobMeasures(),
    windows: () => store.windowCounts(),
    health: () => store.healthCounts(),
    workers: () => store.fleetMeasures(),
    books: () => store.usageTotals(),
    scores: () => store.newestScores(50),
  };
  const figures: Figure[] = [];
  for (const [name, read] of Object.entries(reads)) {
    figures.push({ name: `read of ${name}, ${waiting} waiting`, value: await medianMs(rounds, read), unit: "ms" });
  }
  const shared = metricsOf(store, hourMs);
  // A registry that is new has read nothing.
  const first = await medianMs(rounds, () => metricsOf(store, hourMs).registry.metrics());
  figures.push({ name: "scrape that reads everything", value: first, unit: "ms" });
  figures.push({ name: "scrape of values that were read", value: await medianMs(rounds, () => shared.registry.metrics()), unit: "ms" });
  const bytes = (await shared.registry.metrics()).length;
  figures.push({ name: "exposition", value: Math.round(bytes / 1_024), unit: "KiB" });
  return figures;
}

function metricsOf(store: Store, leastAgeMs: number): Metrics {
  const metrics = createMetrics();
  const logger = createLogger({ name: "bench", level: "silent" });
  createCoordinatorMetrics(metrics, {
    store,
    pools: ["pool"],
    sampler: createSampler({ clock: () => performance.now(), logger, leastAgeMs }),
  });
  return metrics;
}

/**
 * What scaling reads of a pool, among few and very many ready tasks: lanes are counted only as far as it matters.
 */
import { startTestPostgres } from "../support/postgres.ts";
import { createWorker, openWorld } from "../support/store-world.ts";
import { fillQueue } from "../support/waiting-tasks.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

const mostTasks = 50_000;
const reads = 20;

export const scaling: Bench = {
  name: `scaling: the facts of a pool, at most ${mostTasks} ready tasks counted, 500 tenants`,
  notMeasured: "blocked tasks and running attempts in such numbers, disk flushes",
  async run(short) {
    const postgres = await startTestPostgres();
    try {
      const figures: Figure[] = [];
      for (const waiting of short ? [1_000, 20_000] : [1_000, 100_000, 1_000_000])
        figures.push({ name: `facts at ${waiting} ready`, value: await factsMs(await postgres.createDatabase(), waiting), unit: "ms" });
      return figures;
    } finally {
      await postgres.stop();
    }
  },
};

async function factsMs(url: string, waiting: number): Promise<number> {
  const world = await openWorld(url);
  try {
    await fillQueue(world, waiting, { tenants: 500, shapes: 10 });
    const shapes = Array.from({ length: 10 }, (_, index) => `denoise/e${index}`);
    await createWorker(world.store, { shapes }).next({ freeSlots: 0 });
    return await medianMs(reads, async () => void (await world.store.scalingFacts(["pool"], { mostTasks, unknownTaskMs: 1_000 })));
  } finally {
    await world.close();
  }
}

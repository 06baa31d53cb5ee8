/**
 * A claim among very many waiting tasks against one among few: same tenants, same workers, nine tenths of the tasks of shapes that the asker
 * cannot run.
 */
import { createWorker, openWorld, success, type Worker } from "../support/store-world.ts";
import { startTestPostgres } from "../support/postgres.ts";
import type { AttemptReport } from "../../services/coordinator/store/store-contract.ts";
import { fillQueue } from "../support/waiting-tasks.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

const few = 1_000;
const tenants = 500;
const shapes = 10;
const shape = "denoise/e0";
const claims = { warm: 20, measured: 200 };

export const order: Bench = {
  name: `order: next with a stored result among waiting tasks of ${tenants} tenants, 90 % of shapes that the asker cannot run`,
  notMeasured: "several pools at once, disk flushes, statistics that are out of date",
  async run(short) {
    const many = short ? 50_000 : 1_000_000;
    const postgres = await startTestPostgres();
    try {
      const [small, large] = [await claimMs(await postgres.createDatabase(), few), await claimMs(await postgres.createDatabase(), many)];
      return [
        { name: `next at ${few} waiting`, value: small, unit: "ms" },
        { name: `next at ${many} waiting`, value: large, unit: "ms" },
        { name: "ratio", value: large / small, unit: "", goal: "≤ 1.5 at 1 M" },
      ] satisfies readonly Figure[];
    } finally {
      await postgres.stop();
    }
  },
};

async function claimMs(url: string, waiting: number): Promise<number> {
  const world = await openWorld(url);
  try {
    await fillQueue(world, waiting, { tenants, shapes });
    const worker = createWorker(world.store, { shapes: [shape, "prepare/-"] });
    let reports: AttemptReport[] = [];
    const turn = async (): Promise<void> => {
      reports = await claimNext(worker, reports);
    };
    for (let done = 0; done < claims.warm; done += 1) await turn();
    return await medianMs(Math.min(claims.measured, few / shapes - claims.warm - 1), turn);
  } finally {
    await world.close();
  }
}

async function claimNext(worker: Worker, reports: readonly AttemptReport[]): Promise<AttemptReport[]> {
  for (const { attemptId } of reports) worker.held.delete(attemptId);
  const { claim } = await worker.next({ reports });
  if (claim === undefined) throw new TypeError("nothing to claim");
  return [success(claim, ["out"])];
}

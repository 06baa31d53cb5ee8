/**
 * Task transitions through the store: claim and stored result of independent tasks by many workers, reports riding on
 * the next ask, asks of one moment in one statement, as the coordinator sends them.
 */
import { createWorker, openWorld, submit, success, task, type Worker } from "../support/store-world.ts";
import { startTestPostgres } from "../support/postgres.ts";
import type { AttemptReport, NextAsk, Store } from "../../services/coordinator/store/store-contract.ts";
import { type Bench, type Figure, medianMs } from "./report.ts";

const workerCount = 32;
const tasksPerJob = 16;

export const dispatch: Bench = {
  name: `dispatch: ${workerCount} workers on one store, real Postgres without fsync`,
  notMeasured: "NATS, protobuf and disk flushes; a million waiting tasks and unequal tenants (the scheduler's issue)",
  async run(short) {
    const postgres = await startTestPostgres();
    const world = await openWorld(await postgres.createDatabase());
    try {
      const jobs = short ? 4 : 200;
      let job = 0;
      const submitMs = await medianMs(jobs, () => submit(world.store, names(tasksPerJob, String((job += 1)))));
      const figures = await drain(world.store, (jobs + 1) * tasksPerJob);
      return [...figures, { name: `submit of one job of ${tasksPerJob} tasks`, value: submitMs, unit: "ms" }];
    } finally {
      await world.close();
      await postgres.stop();
    }
  },
};

function names(count: number, prefix: string): ReturnType<typeof task>[] {
  return Array.from({ length: count }, (_, index) => task(`${prefix} ${index}`));
}

type Seat = { readonly worker: Worker; reports: AttemptReport[] };

/** Every round, all workers hand in what they did and ask for more. */
async function drain(store: Store, tasks: number): Promise<readonly Figure[]> {
  const seats = Array.from({ length: workerCount }, (_, index): Seat => ({
    worker: createWorker(store, { name: `w${index}` }),
    reports: [],
  }));
  const began = performance.now();
  let claims = 0;
  let reports = 0;
  let rounds = 0;
  while (reports < tasks) {
    reports += seats.reduce((sum, seat) => sum + seat.reports.length, 0);
    const outcomes = await store.next(seats.map(ask));
    rounds += 1;
    outcomes.forEach((outcome, index) => {
      const seat = seats[index];
      if (outcome.kind !== "answered" || outcome.claim === undefined || seat === undefined) return;
      claims += 1;
      seat.reports = [success(outcome.claim, ["out"])];
      seat.worker.held.add(outcome.claim.attemptId);
    });
  }
  const seconds = (performance.now() - began) / 1000;
  return [
    { name: "claims and stored results", value: (claims + reports) / seconds, unit: "/s", goal: "≥ 5,000/s through the whole path" },
    { name: `one statement for ${workerCount} asks`, value: (seconds * 1000) / rounds, unit: "ms" },
  ];
}

function ask(seat: Seat): NextAsk {
  const reports = seat.reports;
  seat.reports = [];
  for (const { attemptId } of reports) seat.worker.held.delete(attemptId);
  return seat.worker.ask({ reports });
}

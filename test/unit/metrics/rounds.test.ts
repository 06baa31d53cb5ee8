import { afterEach, beforeEach, expect, it } from "vitest";
import { createDuty, type Duty } from "../../../services/coordinator/duties/duty.ts";
import { createRoundMetrics } from "../../../services/coordinator/metrics/rounds.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics } from "../../../services/platform/metrics.ts";
import { parseExposition, valueIn } from "../../support/exposition.ts";

const logger = createLogger({ name: "test", level: "silent" });
const patience = { timeout: 5_000, interval: 5 };

let holder: string;
let duties: Duty[];

beforeEach(() => {
  holder = "one";
  duties = [];
});

afterEach(async () => {
  for (const duty of duties) await duty.stop();
});

const rows = {
  holdDuty: (_name: string, asking: string) => Promise.resolve(asking === holder ? { epoch: 1 } : undefined),
  releaseDuty: () => Promise.resolve(),
};

const resolved = (act: () => void) => (): Promise<void> => {
  act();
  return Promise.resolve();
};

/** A coordinator whose rounds of both duties find something; `gauges` are what it exports. */
async function coordinator(name: string) {
  const metrics = createMetrics();
  const told = createRoundMetrics(metrics, ["p"]);
  const options = { store: rows, holder: name, holdMs: 1, logger, onRound: told.onRound };
  const judge = { changes: [], heldBack: ["a", "b"], aftermaths: [] };
  const health = createDuty({ name: "health", intervalMs: 1, run: resolved(() => told.onJudged(judge)) }, options);
  const books = createDuty({ name: "books", intervalMs: 1, run: resolved(() => told.onUnbalanced(3)) }, options);
  duties.push(health, books);
  for (const duty of [health, books]) await duty.start();
  return async () => {
    const families = parseExposition(await metrics.registry.metrics());
    return [valueIn(families, "vapfarm_worker_suspensions_held_back"), valueIn(families, "vapfarm_books_unbalanced")];
  };
}

it("a duty's gauges go to the next holder with it: the one before shows 0", async () => {
  const [one, two] = [await coordinator("one"), await coordinator("two")];
  await expect.poll(one, patience).toEqual([2, 3]);
  expect(await two()).toEqual([0, 0]);
  holder = "two";
  await expect.poll(two, patience).toEqual([2, 3]);
  await expect.poll(one, patience).toEqual([0, 0]);
});

it("renders are counted as they end: by events of their own in jobs of several, else with their job", async () => {
  const metrics = createMetrics();
  const { onCopied } = createRoundMetrics(metrics, ["p"]);
  const ended = async () => {
    const families = parseExposition(await metrics.registry.metrics());
    return ["succeeded", "failed", "cancelled"].map((state) => valueIn(families, "vapfarm_renders_ended_total", { state }));
  };
  expect(await ended()).toEqual([0, 0, 0]);
  for (const kind of ["job.submitted", "task.succeeded", "job.succeeded"]) onCopied({ kind, jobRenders: 1 });
  for (const kind of ["job.retried", "job.failed"]) onCopied({ kind, jobRenders: 1 });
  expect(await ended()).toEqual([1, 1, 0]);
  for (const kind of ["render.succeeded", "render.succeeded", "render.cancelled", "job.cancelled"]) onCopied({ kind, jobRenders: 3 });
  expect(await ended()).toEqual([3, 1, 1]);
});

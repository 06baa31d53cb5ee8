import { beforeEach, expect, it } from "vitest";
import { registerBooks } from "../../../services/coordinator/metrics/books.ts";
import { createLogger } from "../../../services/platform/logging.ts";
import { createMetrics, type Metrics } from "../../../services/platform/metrics.ts";
import { createSampler } from "../../../services/platform/sample.ts";
import { parseExposition, valueIn } from "../../support/exposition.ts";

let metrics: Metrics;
let totals: Record<string, number>;

beforeEach(() => {
  metrics = createMetrics();
  totals = {};
  const sampler = createSampler({ clock: () => 0, logger: createLogger({ name: "test", level: "silent" }), leastAgeMs: 0 });
  const usageTotals = () =>
    Promise.resolve(
      Object.entries(totals).map(([outcome, seconds]) => ({
        ...{ pool: "p", outcome, deviceMs: seconds * 1_000, costNanos: BigInt(seconds) * 1_000_000_000n },
      })),
    );
  registerBooks(metrics, { store: { usageTotals }, sampler, pools: ["p"] });
});

/** What is shown of an outcome: counted, on the books, counted cost, cost on the books. */
async function shown(outcome: string): Promise<readonly (number | undefined)[]> {
  const families = parseExposition(await metrics.registry.metrics());
  const names = ["vapfarm_device_seconds_total", "vapfarm_books_device_seconds", "vapfarm_cost_total", "vapfarm_books_cost"];
  return names.map((name) => valueIn(families, name, { pool: "p", outcome }));
}

it("counts from what was on the books when it began, and shows them whole", async () => {
  totals = { committed: 1_000 };
  expect(await shown("committed")).toEqual([0, 1_000, 0, 1_000]);
  totals = { committed: 1_030 };
  expect(await shown("committed")).toEqual([30, 1_030, 30, 1_030]);
  expect(await shown("failed")).toEqual([0, 0, 0, 0]);
});

it("counts what comes of a kind that was not on the books when it began", async () => {
  totals = { committed: 5 };
  await shown("committed");
  totals = { committed: 5, lost: 40 };
  expect(await shown("lost")).toEqual([40, 40, 40, 40]);
});

it("never falls when a late report moves time from lost to superseded, and does not count it twice when it comes again", async () => {
  totals = { lost: 10 };
  await shown("lost");
  totals = { lost: 50 };
  expect(await shown("lost")).toEqual([40, 50, 40, 50]);
  totals = { lost: 20, superseded: 30 };
  expect(await shown("lost")).toEqual([40, 20, 40, 20]);
  expect(await shown("superseded")).toEqual([30, 30, 30, 30]);
  totals = { lost: 45, superseded: 30 };
  expect(await shown("lost")).toEqual([40, 45, 40, 45]);
  totals = { lost: 60, superseded: 30 };
  expect(await shown("lost")).toEqual([50, 60, 50, 60]);
});

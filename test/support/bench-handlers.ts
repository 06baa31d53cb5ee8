/**
 * A scripted farm's answers about benchmarks: the made-up suite, runs of it that have ended, results and votes as they are handed in.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type GetRunRequest,
  type GetSuiteRequest,
  ImportedResults,
  type ImportSuiteRequest,
  type ListRunItemsRequest,
  MetricModel,
  type SuiteRow,
} from "../../services/gen/proto/vapfarm/v1/bench.ts";
import { benchPreference, benchRow, benchSuite, type BenchWorld, benchWorld } from "./bench-world.ts";
import { projectRoot } from "./ffmpeg.ts";
import type { Handlers } from "./scripted-farm.ts";

/** The run that the made-up farm has, and the one that it is compared with. */
export const benchRuns = {
  ours: benchWorld({ failed: [] }),
  theirs: benchWorld({ runId: "0199b771-0000-7000-8000-00000000b002", label: "10 steps", steps: 10, shift: -0.3, failed: [3] }),
};

export const klingText = readFileSync(join(projectRoot, "test/fixtures/bench/kling_eval_results.json"), "utf8");

const imported = ImportedResults.create({
  name: "kling",
  importTime: new Date("2026-02-01T00:00:00Z"),
  dimensions: [{ dimension: "motion_smoothness", value: 0.97, count: 1 }],
  remarks: ["$.motion_smoothness[1][1]: NaN"],
});

function worldOf({ runId }: { readonly runId: string }): BenchWorld {
  return benchRuns.theirs.run.runId.startsWith(runId) ? benchRuns.theirs : benchRuns.ours;
}

/** The rows of an import, gathered. */
export async function importedRows(messages: AsyncIterable<ImportSuiteRequest>) {
  const rows: SuiteRow[] = [];
  let header = { name: "", suiteId: "" };
  for await (const { part } of messages) {
    if (part?.$case === "header") header = part.value;
    if (part?.$case === "rows") rows.push(...part.value.rows);
  }
  return { header, rows };
}

/** The answers. */
export function benchHandlers(): Handlers {
  return {
    async importSuite(messages: AsyncIterable<ImportSuiteRequest>) {
      const { header, rows } = await importedRows(messages);
      return { suite: { ...benchSuite, ...header, rowCount: rows.length }, existed: false, faults: [] };
    },
    listSuites: () => ({ suites: [benchSuite], nextPageToken: "" }),
    getSuite: ({ firstRow, rowLimit }: GetSuiteRequest) => ({
      suite: benchSuite,
      rows: Array.from({ length: Math.min(rowLimit, benchSuite.rowCount - firstRow) }, (_, index) => benchRow(firstRow + index)),
    }),
    startRun: () => ({ run: benchRuns.ours.run, existed: false }),
    getRun: (request: GetRunRequest) => worldOf(request).answer,
    listRuns: () => ({ runs: [benchRuns.ours.run, benchRuns.theirs.run], nextPageToken: "" }),
    listRunItems(request: ListRunItemsRequest) {
      const { items } = worldOf(request);
      const first = Number(request.pageToken || 0);
      return { items: items.slice(first, first + 20), nextPageToken: first + 20 < items.length ? String(first + 20) : "" };
    },
    importResults: () => ({ results: imported }),
    listResults: () => ({ results: [imported] }),
    getResults: () => ({ results: imported, text: klingText }),
    importVotes: () => ({ preference: benchPreference }),
    getPreference: () => ({ preference: benchPreference }),
    listMetricModels: () => ({ models: [MetricModel.create({ name: "demo-metrics", weights: "random", pool: "test", metrics: [1, 10] })] }),
  };
}

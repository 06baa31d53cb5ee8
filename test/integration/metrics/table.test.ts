/**
 * deploy/METRICS.md against what a whole farm of real processes exports under load, both ways.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorTable } from "../../../services/domain/errors.ts";
import { stageNames } from "../../../services/domain/stage.ts";
import { pause } from "../../../services/platform/deadline.ts";
import { type Family, type Sample, ownFamilies, scrape, scrapeText } from "../../support/exposition.ts";
import { type TestFarm, startTestFarm } from "../../support/farm.ts";
import { type KubeApi, namespace, startKubeApi } from "../../support/kube/api-server.ts";
import { endOf, submitLong } from "../../support/long-render.ts";
import { type MetricRow, readMetricTable } from "../../support/metric-table.ts";
import { findPrometheus } from "../../support/prometheus-program.ts";
import { plantScoredRun } from "../../support/planted-scores.ts";

/** What is missing when it is over is told by a test. */
const patienceMs = 20_000;
const lookAgainMs = 200;

const rows = readMetricTable();
const models = ["demo", "demo-wan", "demo-metrics"];

/** Values of labels whose row lists none: see the table's introduction. */
const sets: Readonly<Record<string, readonly string[]>> = {
  pool: ["local"],
  stage: [...stageNames, "other"],
  class: ["production", "benchmark"],
  code: ["OK", ...Object.keys(errorTable)],
  model: [...models, "other"],
};

type Process = "coordinator" | "worker";
let api: KubeApi;
let farm: TestFarm;
/** Samples of all scrapes by process and family: some are only there while something runs. */
const families: Record<Process, Map<string, Family>> = { coordinator: new Map(), worker: new Map() };

function addressOf(name: string): string {
  const address = farm.description.processes.find((process) => process.name === name)?.httpAddress;
  return address ?? expect.fail(`${name} tells no address`);
}

async function look(): Promise<void> {
  for (const [process, name] of [["coordinator", "coordinator"] as const, ["worker", "worker-1"] as const]) {
    for (const family of ownFamilies(await scrape(addressOf(name)))) {
      const known = families[process].get(family.name);
      families[process].set(family.name, { ...family, samples: [...(known?.samples ?? []), ...family.samples] });
    }
  }
}

const samplesOf = ({ name }: MetricRow, process: Process): readonly Sample[] => families[process].get(name)?.samples ?? [];
/** What a setting brings may have nothing to tell here: that it is there is enough. */
const isSeen = (row: MetricRow, process: Process): boolean =>
  row.setting === undefined ? samplesOf(row, process).length > 0 : families[process].has(row.name);
const unseen = (): readonly string[] =>
  rows.flatMap((row) => row.processes.filter((process) => !isSeen(row, process)).map((process) => `${process} ${row.name}`));

beforeAll(async () => {
  api = await startKubeApi();
  const environment = {
    VAPFARM_SCALING: JSON.stringify({ namespace, pools: [{ name: "local", max: 1 }] }),
    VAPFARM_KUBE_API: api.address,
    VAPFARM_KUBE_ACCOUNT: api.accountFolder,
  };
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"], environment });
  await endOf(farm, await submitLong(farm, { steps: 4 }));
  const endedAt = new Date().toISOString();
  await plantScoredRun((query, values) => farm.sql(query, values), {
    runId: "planted",
    suite: "suite",
    model: "demo",
    endedAt,
    value: 0.5,
  });
  const { jobId } = await submitLong(farm);
  await look();
  for (const end = performance.now() + patienceMs; unseen().length > 0 && performance.now() < end;) {
    await pause(lookAgainMs);
    await look();
  }
  await farm.client.cancel(jobId);
});
afterAll(async () => {
  await farm.stop();
  await api.stop();
});

describe("the table of metrics", () => {
  it("has each metric once, with a unit, a process and a meaning", () => {
    expect(rows.length).toBeGreaterThan(60);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    expect(rows.filter(({ unit, meaning, processes }) => unit === "" || meaning === "" || processes.length === 0)).toEqual([]);
  });

  it("names nothing that its process does not export", () => {
    expect(unseen()).toEqual([]);
  });

  it("lacks nothing that is exported", () => {
    const documented = (process: Process) => new Set(rows.filter(({ processes }) => processes.includes(process)).map(({ name }) => name));
    for (const process of ["coordinator", "worker"] as const) {
      expect([...families[process].keys()].filter((name) => !documented(process).has(name))).toEqual([]);
    }
  });

  it.each(rows.flatMap((row) => row.processes.map((process) => ({ name: row.name, row, process }))))(
    "says type, labels and values of $name as $process exports it",
    ({ row, process }) => {
      const samples = samplesOf(row, process);
      expect(families[process].get(row.name)?.type).toBe(row.type);
      const own = [...row.labels.keys(), ...(process === "worker" && !row.labels.has("pool") ? ["pool"] : [])].sort();
      const others = samples.filter(({ labels }) => {
        const named = Object.keys(labels).filter((label) => label !== "le");
        return named.sort().join() !== own.join();
      });
      expect(others).toEqual([]);
      for (const label of own) {
        const allowed = row.labels.get(label) ?? sets[label];
        const values = new Set(samples.map(({ labels }) => labels[label] ?? ""));
        if (allowed !== undefined) expect([...values].filter((value) => !allowed.includes(value))).toEqual([]);
      }
    },
  );
});

describe("names", () => {
  it.each(["coordinator", "worker-1"])("are as promtool wants them: %s", async (name) => {
    const { promtool } = await findPrometheus();
    const input = await scrapeText(addressOf(name));
    const { stdout, stderr } = spawnSync(promtool, ["check", "metrics"], { input, encoding: "utf8", timeout: 20_000 });
    expect(stderr.split("\n").filter((line) => line.startsWith("vapfarm_") || /error/i.test(line))).toEqual([]);
    expect(stdout).toBe("");
  });

  it("end in _total for counters and for nothing else, and say base units", () => {
    const wrong = rows.filter(({ name, type }) => name.endsWith("_total") !== (type === "counter"));
    expect(wrong.map(({ name }) => name)).toEqual([]);
    expect(rows.filter(({ name }) => /_(ms|milliseconds|minutes|hours|kb|mb|gb|percent|count|sum|bucket)(_|$)/.test(name))).toEqual([]);
    const seconds = rows.filter(({ unit, name }) => (unit === "seconds") !== /_seconds(_total)?$/.test(name));
    expect(seconds.map(({ name }) => name)).toEqual([]);
    expect(rows.filter(({ unit, name }) => (unit === "bytes") !== name.endsWith("_bytes")).map(({ name }) => name)).toEqual([]);
  });
});

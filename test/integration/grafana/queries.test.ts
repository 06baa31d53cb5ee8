/**
 * Every query of every panel, variable and alert against a real Prometheus and the farm's real database, both of a farm under load: each must be
 * understood and give data. GPU hardware alone is played, from an exposition in the exporter's documented format.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DashboardSpec, Variable } from "../../../deploy/grafana/dashboard.ts";
import { dashboards } from "../../../deploy/grafana/dashboards.ts";
import type { PanelQuery } from "../../../deploy/grafana/query.ts";
import { alertGroups } from "../../../deploy/prometheus/rule-file.ts";
import { collectProofs, writeCutRules } from "../../support/alerts.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { type FaultFarm, startFaultFarm } from "../../support/fault/farm.ts";
import { playExporter } from "../../support/grafana/exposition.ts";
import { promQuery, sqlQuery, type Values, type Window } from "../../support/grafana/interpolate.ts";
import { type Load, loadEnvironment, playLoad, scaledBy, targetsOf } from "../../support/grafana/load.ts";
import { type KubeApi, startKubeApi } from "../../support/kube/api-server.ts";
import { startPrometheus, type TestPrometheus } from "../../support/prometheus.ts";

let farm: FaultFarm;
let kube: KubeApi;
let prometheus: TestPrometheus;
let reader: pg.Client;
let load: Load;
let window: Window;
/** What was started, to be ended in reverse. */
const started: (() => Promise<void>)[] = [];
const { fires, expectAll } = collectProofs(() => prometheus, "load");

beforeAll(async () => {
  kube = await startKubeApi();
  started.push(() => kube.stop());
  kube.objects.create("deployments", { name: "local-worker", spec: { replicas: 0 } });
  farm = await startFaultFarm({ environment: { ...loadEnvironment, ...scaledBy(kube) } });
  started.push(() => farm.stop());
  const exporter = await playExporter(join(projectRoot, "test/fixtures/prometheus/dcgm.prom"));
  started.push(() => exporter.stop());
  const folder = await mkdtemp(join(tmpdir(), "vapfarm-rules-"));
  started.push(() => rm(folder, { recursive: true, force: true }));
  const targets = [...targetsOf(farm), { job: "dcgm-exporter", address: exporter.address }];
  prometheus = await startPrometheus({ targets, ruleFiles: [await writeCutRules(folder)] });
  started.push(() => prometheus.stop());
  await prometheus.scraped(3);
  const from = new Date();
  load = await playLoad(farm);
  await prometheus.scraped(5);
  window = { from, to: new Date(), stepS: 1, scrapeS: 1 };
  reader = await readerOf(farm);
  started.push(() => reader.end());
}, 300_000);

afterAll(async () => {
  for (const stop of started.toReversed()) await stop();
}, 60_000);

/** As Grafana would connect: the role of role.sql, with a password. */
async function readerOf(of: FaultFarm): Promise<pg.Client> {
  await of.sql(await readFile(join(projectRoot, "deploy/grafana/role.sql"), "utf8"));
  await of.sql("alter role vapfarm_grafana login password 'reads'");
  const url = new URL(of.databaseUrl);
  url.username = "vapfarm_grafana";
  url.password = "reads";
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  return client;
}

/** What each variable offers, asked as Grafana asks, in their order. */
async function valuesOf({ variables }: DashboardSpec, chosen: Values): Promise<Values> {
  let values: Values = {};
  for (const variable of variables) {
    const offered = await offeredBy(variable, { ...values, ...chosen });
    expect(offered.length, `variable ${variable.name}`).toBeGreaterThan(0);
    const own = chosen[variable.name] ?? (variable.choice === "one" ? offered.slice(0, 1) : offered);
    expect(
      own.every((value) => offered.includes(value)),
      `${variable.name}: ${own.join()} of ${offered.join()}`,
    ).toBe(true);
    values = { ...values, [variable.name]: own };
  }
  return values;
}

async function offeredBy(variable: Variable, values: Values): Promise<readonly string[]> {
  switch (variable.kind) {
    case "fixed":
      return variable.values;
    case "labels":
      return prometheus.labelValues(variable.of, promQuery(variable.metric, values, window));
    case "rows": {
      const { rows, fields } = await reader.query<Record<string, unknown>>(sqlQuery(variable.sql, values, window));
      const column = fields.find(({ name }) => name === "__value")?.name ?? fields[0]?.name ?? "";
      return rows.map((row) => String(row[column]));
    }
  }
}

/** How much a query gives. */
async function countOf(query: PanelQuery, values: Values): Promise<number> {
  if (query.kind === "metrics") {
    const expr = promQuery(query.expr, values, window);
    const samples = query.shape === "range" ? await prometheus.queryRange(expr, window) : await prometheus.query(expr);
    return samples.filter(({ value }) => !Number.isNaN(value)).length;
  }
  const { rows, fields } = await reader.query<Record<string, unknown>>(sqlQuery(query.sql, values, window));
  if (query.shape === "time_series") expect(fields.map(({ name }) => name)).toEqual(["time", "metric", "value"]);
  return rows.length;
}

type Empty = { readonly panel: string; readonly query: string };

/** Queries of a dashboard that give nothing for these values. */
async function emptyOf(dashboard: DashboardSpec, values: Values): Promise<readonly Empty[]> {
  const empty: Empty[] = [];
  for (const { title, queries } of dashboard.rows.flatMap(({ lines }) => lines.flatMap(({ panels }) => panels))) {
    for (const query of queries) {
      const text = query.kind === "metrics" ? query.expr : query.sql;
      if ((await countOf(query, values)) === 0) empty.push({ panel: title, query: text });
    }
  }
  return empty;
}

describe("of a farm under load", { timeout: 120_000 }, () => {
  it.each(dashboards.filter(({ uid }) => uid !== "vapfarm-render"))("every query of “$title” gives data", async (dashboard) => {
    expect(await emptyOf(dashboard, await valuesOf(dashboard, {}))).toEqual([]);
  });

  it("every query of one render's path gives data, of a scored render or of one that made way", async () => {
    const dashboard = dashboards.find(({ uid }) => uid === "vapfarm-render") ?? expect.fail("no such dashboard");
    const [scored, madeWay] = await Promise.all(
      [load.benchRun, load.preempted].map(async (job) => emptyOf(dashboard, await valuesOf(dashboard, { job: [job] }))),
    );
    const panels = (empty: readonly Empty[] | undefined): readonly string[] => (empty ?? []).map(({ panel }) => panel);
    expect(panels(scored)).toEqual(["Times it made way"]);
    // It was cancelled in the end: no try of its own counted.
    expect(panels(madeWay)).toEqual(["Where its time went", "Scores"]);
  });

  it("every alert asks for what there is", async () => {
    const empty: string[] = [];
    for (const { name, expr } of alertGroups.flatMap(({ alerts }) => alerts)) {
      await prometheus.query(expr);
      for (const selector of selectorsOf(expr)) {
        if ((await prometheus.query(selector)).length === 0) empty.push(`${name}: ${selector}`);
      }
    }
    expect(empty).toEqual([]);
  });
});

/** Names of the metrics in an expression: an alert is empty when all is well, what it looks at is not. */
function selectorsOf(expr: string): readonly string[] {
  return [...new Set(expr.match(/\b(?:vapfarm_|DCGM_FI_|up\b)[A-Za-z_]*/g))];
}

describe("alerts on what a farm cannot mend itself", { timeout: 120_000 }, () => {
  it("a cluster that gives no workers (the stand-in's pods never run), and whose API fails", async () => {
    await fires("VapfarmScalingStuck");
    const refused = Array.from({ length: 100 }, () => ({ status: 503 }));
    for (const verb of ["get", "put", "patch", "watch"]) kube.fail(verb, ...refused);
    kube.endWatches("close");
    await fires("VapfarmKubernetesCallsFail");
  });

  it("scores that fall: a hand has lowered them, for no worse model is here", async () => {
    await farm.sql("update set_score set value = value * 0.8");
    await fires("VapfarmBenchmarkScoreDropped");
  });

  it("are all of those that this file must prove", () => {
    expectAll();
  });
});

describe("the role that Grafana reads as", () => {
  it.each([
    "select secret from webhook",
    "select key from signing_key",
    "select spec from render",
    "select parameters from task",
    "select log_tail from attempt",
    "select idempotency_key from job",
    "select * from hold",
  ])("may not: %s", async (query) => {
    await expect(reader.query(query)).rejects.toMatchObject({ code: "42501" });
  });

  it("writes nothing, not even where it reads", async () => {
    await expect(reader.query("delete from event")).rejects.toThrow();
    await reader.query("set default_transaction_read_only = off");
    await expect(reader.query("delete from event")).rejects.toMatchObject({ code: "42501" });
    await expect(reader.query("select vf_store_set_scores('', '[]')")).rejects.toThrow();
    await reader.query("reset default_transaction_read_only");
  });

  it("is made twice without harm", async () => {
    await farm.sql(await readFile(join(projectRoot, "deploy/grafana/role.sql"), "utf8"));
  });
});

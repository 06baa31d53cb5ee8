/**
 * What the chart gives Prometheus and Grafana: its files as they are, whatever stands in them.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type KubeObject, ofKind, render, thePod } from "../../support/chart/objects.ts";
import { faultsOf } from "../../support/chart/schemas.ts";
import { leastBut } from "../../support/chart/value-sets.ts";
import { chartFolder } from "../../support/helm.ts";

const monitoring = {
  prometheusRule: { enabled: true, labels: { release: "prometheus" } },
  dashboards: { enabled: true, annotations: { folder: "Farm" } },
};
const values = leastBut({ monitoring });
const alert = {
  alert: "QueueWaits",
  expr: 'vapfarm_oldest_ready_seconds{pool!=""} > 600',
  for: "10m",
  annotations: {
    summary: "{{ $labels.pool }} waits {{ $value | humanizeDuration }}",
    text: 'line\nline: "quoted" \'twice\' {{ include "no" }}',
  },
};
const dashboard = JSON.stringify(
  { title: "Farm", templating: { list: [] }, text: "{{pool}} $__rate_interval ``` `x` \\ \u2028 {{ .Values }}" },
  null,
  2,
);

let chart = "";
beforeAll(async () => {
  chart = join(await mkdtemp(join(tmpdir(), "vapfarm-chart-")), "vapfarm");
  await cp(chartFolder, chart, { recursive: true });
  for (const folder of ["rules", "dashboards"]) await rm(join(chart, folder), { recursive: true, force: true });
  for (const folder of ["rules", "dashboards"]) await mkdir(join(chart, folder));
  await writeFile(join(chart, "rules/queue.yaml"), JSON.stringify({ groups: [{ name: "queue", interval: "30s", rules: [alert] }] }));
  await writeFile(join(chart, "dashboards/farm.json"), dashboard);
  await writeFile(join(chart, "dashboards/a-dashboard-with-quite-a-long-name-that-goes-on.json"), "{}");
});
afterAll(() => rm(join(chart, ".."), { recursive: true }));

type WithData = KubeObject & { readonly data: Readonly<Record<string, string>> };
type Endpoint = { readonly relabelings: readonly object[] };
type Rule = { readonly annotations: Readonly<Record<string, string>> };
type Dashboard = { readonly templating: { readonly list: readonly { readonly name: string; readonly query?: unknown }[] } };

const rulesOf = (objects: readonly KubeObject[]): readonly Rule[] =>
  ofKind(objects, "PrometheusRule").flatMap(({ spec }) => (spec?.["groups"] as { rules: Rule[] }[]).flatMap(({ rules }) => rules));
const dashboardsOf = (objects: readonly KubeObject[]): readonly WithData[] => ofKind(objects, "ConfigMap") as readonly WithData[];

describe("the chart's files", () => {
  it("become rules as they are, Prometheus's braces too", async () => {
    const [rule, ...others] = ofKind(await render(values, { chart }), "PrometheusRule");
    expect(others).toEqual([]);
    expect(rule?.spec).toEqual({ groups: [{ name: "queue", interval: "30s", rules: [alert] }] });
    expect(rule?.metadata).toMatchObject({
      name: "farm-vapfarm-queue",
      labels: { release: "prometheus", "app.kubernetes.io/instance": "farm" },
    });
  });

  it("become dashboards to the byte, each in a ConfigMap that Grafana's sidecar finds", async () => {
    const objects = dashboardsOf(await render(values, { chart }));
    const farm = objects.find(({ data }) => "farm.json" in data);
    expect(farm?.data).toEqual({ "farm.json": dashboard });
    expect(farm?.metadata).toMatchObject({
      name: "farm-vapfarm-dashboard-farm",
      labels: { grafana_dashboard: "1" },
      annotations: { folder: "Farm" },
    });
    expect(objects.map(({ metadata }) => metadata.name.length <= 52)).toEqual([true, true]);
  });

  it("are left out where nobody asks for them", async () => {
    const objects = await render(leastBut({}), { chart });
    expect([...ofKind(objects, "PrometheusRule"), ...ofKind(objects, "ConfigMap"), ...ofKind(objects, "ServiceMonitor")]).toEqual([]);
  });

  it("are about targets whose farm and job are the same whatever the release is called", async () => {
    const objects = await render(leastBut({ farm: "studio", fullnameOverride: "it", monitoring: { serviceMonitor: { enabled: true } } }));
    const specs = ["ServiceMonitor", "PodMonitor"].map((kind) => JSON.stringify(ofKind(objects, kind)[0]?.spec));
    expect(specs.map((text) => text.includes('{"targetLabel":"farm","replacement":"studio"}'))).toEqual([true, true]);
    expect(specs[0]).toContain('{"targetLabel":"job","replacement":"vapfarm-coordinator"}');
    expect(specs[1]).toContain('{"targetLabel":"job","replacement":"vapfarm-worker"}');
  });

  it("are about targets that are called as their pods are, which is a worker's name", async () => {
    const objects = await render(leastBut({ monitoring: { serviceMonitor: { enabled: true } } }));
    const relabeling = { sourceLabels: ["__meta_kubernetes_pod_name"], targetLabel: "instance" };
    const [service] = ofKind(objects, "ServiceMonitor").map(({ spec }) => spec?.["endpoints"] as readonly Endpoint[]);
    const [pod] = ofKind(objects, "PodMonitor").map(({ spec }) => spec?.["podMetricsEndpoints"] as readonly Endpoint[]);
    expect(service?.[0]?.relabelings).toContainEqual(relabeling);
    expect(pod?.[0]?.relabelings).toContainEqual(relabeling);
    const { env = [] } = thePod(objects, { "app.kubernetes.io/component": "worker" }).spec.containers[0] ?? {};
    expect(env.find(({ name }) => name === "VAPFARM_WORKER_NAME")?.valueFrom).toEqual({ fieldRef: { fieldPath: "metadata.name" } });
  });

  it("lead to the RUNBOOK where the site has it", async () => {
    const objects = await render(leastBut({ monitoring: { ...monitoring, runbook: "https://git.example/farm/" } }));
    const addresses = rulesOf(objects).map(({ annotations }) => annotations["runbook_url"] ?? "");
    expect(addresses.length).toBeGreaterThan(30);
    expect(addresses.filter((address) => !address.startsWith("https://git.example/farm/deploy/RUNBOOK.md#"))).toEqual([]);
    const texts = dashboardsOf(objects).flatMap(({ data }) => Object.values(data));
    const constants = texts.map(
      (text) => (JSON.parse(text) as Dashboard).templating.list.find(({ name }) => name === "runbook")?.query ?? "none",
    );
    expect(constants).toEqual(texts.map(() => "https://git.example/farm/deploy/RUNBOOK.md"));
  });

  it("leave out alerts that a site does without, and groups of which nothing is left", async () => {
    const groups = {
      groups: [
        { name: "one", rules: [alert, { ...alert, alert: "Other" }] },
        { name: "two", rules: [alert] },
      ],
    };
    await writeFile(join(chart, "rules/queue.yaml"), JSON.stringify(groups));
    const prometheusRule = { enabled: true, disabled: ["QueueWaits"] };
    const objects = await render(leastBut({ monitoring: { prometheusRule } }), { chart });
    expect(ofKind(objects, "PrometheusRule").map(({ spec }) => spec)).toEqual([
      { groups: [{ name: "one", rules: [{ ...alert, alert: "Other" }] }] },
    ]);
  });

  it("of the repository are rendered all, and fit a ConfigMap", async () => {
    const objects = await render(values);
    const named = async (folder: string): Promise<readonly string[]> => readdir(join(chartFolder, folder)).catch(() => []);
    const [rules, dashboards] = await Promise.all([named("rules"), named("dashboards")]);
    expect(ofKind(objects, "PrometheusRule")).toHaveLength(rules.length);
    expect(objects.flatMap((object) => faultsOf(object))).toEqual([]);
    for (const name of rules) {
      const { groups } = parse(await readFile(join(chartFolder, "rules", name), "utf8")) as { readonly groups: unknown };
      expect(ofKind(objects, "PrometheusRule").map(({ spec }) => spec?.["groups"])).toContainEqual(groups);
    }
    for (const name of dashboards) {
      const text = await readFile(join(chartFolder, "dashboards", name), "utf8");
      expect(text.length).toBeLessThan(900_000);
      expect(dashboardsOf(objects).map(({ data }) => data[name])).toContain(text);
    }
  });
});

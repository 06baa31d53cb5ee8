/**
 * Writes what the chart carries for Prometheus and Grafana: the rule file and the dashboards, from their code under deploy/.
 * Run it after a change there; tests say when what is committed is another.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dashboards, fileOf, jsonOf } from "../deploy/grafana/dashboards.ts";
import { ruleFile } from "../deploy/prometheus/rule-file.ts";

const chart = join(import.meta.dirname, "../deploy/helm/vapfarm");

async function write(folder: string, name: string, text: string): Promise<void> {
  await mkdir(join(chart, folder), { recursive: true });
  await writeFile(join(chart, folder, name), text);
}

await write("rules", "vapfarm.yaml", ruleFile());
for (const dashboard of dashboards) await write("dashboards", fileOf(dashboard), jsonOf(dashboard));

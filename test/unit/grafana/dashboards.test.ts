import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import * as units from "@grafana/grafana-foundation-sdk/units";
import { describe, expect, it } from "vitest";
import { dashboardOf, type DashboardSpec } from "../../../deploy/grafana/dashboard.ts";
import { dashboards, fileOf, jsonOf } from "../../../deploy/grafana/dashboards.ts";
import { anchorOf, type PanelSpec } from "../../../deploy/grafana/panel.ts";
import { projectRoot } from "../../support/ffmpeg.ts";

const folder = join(projectRoot, "deploy/helm/vapfarm/dashboards");
const known = new Set<unknown>(Object.values(units));

function panelsOf({ rows }: DashboardSpec): readonly PanelSpec[] {
  return rows.flatMap(({ lines }) => lines.flatMap(({ panels }) => panels));
}

/** Everything that lies on the grid. */
function placed(dashboard: Dashboard): readonly Required<Pick<Panel, "id" | "gridPos" | "title">>[] {
  return (dashboard.panels ?? []) as readonly Required<Pick<Panel, "id" | "gridPos" | "title">>[];
}

describe("the dashboards", () => {
  it("are in the chart as the code gives them, and no others", async () => {
    expect((await readdir(folder)).toSorted()).toEqual(dashboards.map(fileOf).toSorted());
    for (const one of dashboards) {
      expect(await readFile(join(folder, fileOf(one)), "utf8"), "run node tools/make-dashboards.ts").toBe(jsonOf(one));
    }
  });

  it("have names of their own", () => {
    const uids = dashboards.map(({ uid }) => uid);
    expect(new Set(uids).size).toBe(uids.length);
    expect(uids.filter((uid) => uid.length > 40)).toEqual([]);
  });

  it.each(dashboards)("$title covers its grid: no overlap, no hole, 24 columns", (spec) => {
    const taken = new Map<string, string>();
    let height = 0;
    for (const { gridPos, title } of placed(dashboardOf(spec))) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.get(`${x} ${y}`), `${title} overlaps`).toBeUndefined();
          taken.set(`${x} ${y}`, title);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      height = Math.max(height, gridPos.y + gridPos.h);
    }
    expect(taken.size).toBe(24 * height);
  });

  it.each(dashboards)("$title has a title, a description, a unit that Grafana knows and a legend for each query", (spec) => {
    const panels = panelsOf(spec);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    for (const { title, description, unit, queries, columns = {} } of panels) {
      expect(title, title).toMatch(/^[A-Z]/);
      expect(description.length, title).toBeGreaterThan(20);
      expect(description, title).toMatch(/\.$/);
      for (const each of [unit, ...Object.values(columns)]) expect(known.has(each), `${title}: ${each}`).toBe(true);
      expect(queries.length, title).toBeGreaterThan(0);
      for (const query of queries) {
        if (query.kind === "metrics" && query.shape !== "table") expect(query.legend, title).not.toBe("");
      }
    }
  });

  it.each(dashboards)("$title says on numbers that stand alone from where on they are bad", (spec) => {
    const bare = panelsOf(spec).filter(({ kind, thresholds }) => (kind === "stat" || kind === "bars") && thresholds === undefined);
    expect(bare.map(({ title }) => title)).toEqual([]);
  });

  it("link to headings that the RUNBOOK has", async () => {
    const runbook = await readFile(join(projectRoot, "deploy/RUNBOOK.md"), "utf8");
    const anchors = new Set([...runbook.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading)));
    const linked = dashboards.flatMap(panelsOf).flatMap(({ runbook: heading }) => (heading === undefined ? [] : [anchorOf(heading)]));
    expect(linked.length).toBeGreaterThan(20);
    expect(linked.filter((anchor) => !anchors.has(anchor))).toEqual([]);
  });

  it("link to dashboards that there are, with variables that those have", () => {
    for (const { opens } of dashboards.flatMap(panelsOf)) {
      if (opens === undefined) continue;
      const [, uid = "", query = ""] = /^\/d\/([a-z-]+)\?(.*)$/.exec(opens.url) ?? [];
      const target = dashboards.find((one) => one.uid === uid) ?? expect.fail(`${opens.url}: no such dashboard`);
      const names = new Set(["database", "metrics", ...target.variables.map(({ name }) => name)]);
      expect([...query.matchAll(/var-([a-z]+)=/g)].filter(([, name = ""]) => !names.has(name))).toEqual([]);
    }
  });

  it.each(dashboards)("$title uses no variable that it has not", (spec) => {
    const names = new Set(["metrics", "database", "runbook", ...spec.variables.map(({ name }) => name)]);
    const used = [...jsonOf(spec).matchAll(/\$\{?([a-z_]+[A-Za-z_.]*)/g)].map(([, name = ""]) => name.split(":")[0] ?? "");
    expect(used.filter((name) => !name.startsWith("__") && !names.has(name))).toEqual([]);
    const idle = spec.variables.filter(({ name }) => !used.includes(name));
    expect(idle.map(({ name }) => name)).toEqual([]);
  });
});

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { alertGroups, ruleFile, runbookOf } from "../../../deploy/prometheus/rule-file.ts";
import { errorTable } from "../../../services/domain/errors.ts";
import { proofs } from "../../support/alerts.ts";
import { projectRoot } from "../../support/ffmpeg.ts";
import { findPrometheus } from "../../support/prometheus-program.ts";
import type { AlertCase, FurtherCase, Series } from "./alert-case.ts";
import { clusterCases } from "./cluster-cases.ts";
import { coordinatorCases } from "./coordinator-cases.ts";
import { furtherCases, missedScrapes } from "./further-cases.ts";
import { queueCases, workerCases } from "./worker-cases.ts";

const run = promisify(execFile);
const committed = join(projectRoot, "deploy/helm/vapfarm/rules/vapfarm.yaml");
const cases: readonly AlertCase[] = [...coordinatorCases, ...queueCases, ...workerCases, ...clusterCases];
const alerts = alertGroups.flatMap((group) => group.alerts);

/** What promtool says of files; the whole of it when it fails. */
async function promtool(...args: readonly string[]): Promise<string> {
  const { promtool: program } = await findPrometheus();
  return run(program, args).then(
    ({ stdout }) => stdout,
    (thrown: unknown) => expect.fail(String((thrown as { stdout?: unknown }).stdout) + String(thrown)),
  );
}

function inputOf(series: Series): readonly object[] {
  return Object.entries(series).map(([name, values]) => ({ series: name, values }));
}

/** The case as promtool takes it: the alert fires with these labels and texts, and does not fire on what only looks like it. */
function testsOf(one: AlertCase | FurtherCase): readonly object[] {
  const alert = alerts.find(({ name }) => name === one.alert) ?? expect.fail(`no alert ${one.alert}`);
  const { name, severity, description } = alert;
  const tests: object[] = [];
  const add = (what: string, series: Series, { at, expected }: { readonly at: string; readonly expected: readonly object[] }): void => {
    const asked = { eval_time: at, alertname: name, exp_alerts: expected };
    tests.push({ name: `${name} ${what}`, interval: "1m", input_series: inputOf(series), alert_rule_test: [asked] });
  };
  if ("fires" in one) {
    const { series, at, labels, summary } = one.fires;
    const annotations = { summary, description, runbook_url: runbookOf(alert) };
    add("fires", series, { at, expected: [{ exp_labels: { severity, ...labels }, exp_annotations: annotations }] });
  }
  if ("quiet" in one) add(`is quiet: ${one.quiet.why}`, one.quiet.series, { at: one.quiet.at, expected: [] });
  return tests;
}

describe("the alerts", () => {
  it("are in the chart as the code gives them", async () => {
    expect(await readFile(committed, "utf8"), "run node tools/make-dashboards.ts").toBe(ruleFile());
  });

  it("are rules that Prometheus takes", async () => {
    expect(await promtool("check", "rules", committed)).toContain(`SUCCESS: ${alerts.length} rules found`);
  });

  it("each fire in their case with the words a person reads, and not in one that looks like it", { timeout: 180_000 }, async () => {
    expect(cases.map(({ alert }) => alert).toSorted()).toEqual(alerts.map(({ name }) => name).toSorted());
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-alerts-"));
    try {
      const all: readonly (AlertCase | FurtherCase)[] = [...cases, ...furtherCases, ...missedScrapes];
      const paces = [...Map.groupBy(all, ({ pace = "1m" }) => pace)];
      for (const [pace, ofPace] of paces) {
        const tests = ofPace.flatMap(testsOf);
        await writeFile(join(folder, `${pace}.yaml`), stringify({ rule_files: [committed], evaluation_interval: pace, tests }));
      }
      expect(await promtool("test", "rules", ...paces.map(([pace]) => join(folder, `${pace}.yaml`)))).toContain("SUCCESS");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("that compare with what was before each have a case of scrapes that failed", () => {
    const comparing = alerts.filter(({ expr }) => /last_over_time\(.*offset/.test(expr)).map(({ name }) => name);
    expect(missedScrapes.map(({ alert }) => alert).toSorted()).toEqual(comparing.toSorted());
  });

  it("each have a paragraph in the RUNBOOK, and the RUNBOOK has none of an alert that is not", async () => {
    const runbook = await readFile(join(projectRoot, "deploy/RUNBOOK.md"), "utf8");
    const section = /^## Alerts$([\s\S]*?)^## /m.exec(runbook)?.[1] ?? expect.fail("the RUNBOOK has no section Alerts");
    const paragraphs = section.split(/^### /m).slice(1);
    expect(paragraphs.map((one) => one.split("\n")[0]).toSorted()).toEqual(alerts.map(({ name }) => name).toSorted());
    for (const paragraph of paragraphs) expect(paragraph.split("\n").slice(1).join(" ").trim().length, paragraph).toBeGreaterThan(60);
  });

  it("are each proven by a fault, or it is said why not", () => {
    expect(Object.keys(proofs).toSorted()).toEqual(alerts.map(({ name }) => name).toSorted());
  });

  it("name codes that there are", () => {
    const named = alerts.flatMap(({ expr }) => [...expr.matchAll(/code=~"([A-Z_|]+)"/g)].flatMap(([, codes = ""]) => codes.split("|")));
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((code) => !(code in errorTable))).toEqual([]);
  });

  it("say values in their summary, and what it means in a description that is the same each time", () => {
    expect(alerts.filter(({ description }) => description.includes("{{"))).toEqual([]);
  });
});

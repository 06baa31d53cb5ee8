/**
 * The committed alerts with their times cut short, and where each is proven to fire by the fault that it is for.
 *
 * Only times are cut: `for`, windows, offsets to a sixtieth within bounds, and thresholds that are seconds of waiting. What is counted and compared
 * stays as it is committed, but for the slow duties, of which one is looked at.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { parse, stringify } from "yaml";
import { projectRoot } from "./ffmpeg.ts";
import type { FiredAlert, TestPrometheus } from "./prometheus.ts";
import { until } from "./until.ts";

/** Where it is proven, or why it cannot be: then only promtool's cases speak for it. */
export type Proof = "outages" | "work" | "load" | { readonly impossible: string };

export const proofs: Readonly<Record<string, Proof>> = {
  VapfarmCoordinatorAbsent: "outages",
  VapfarmTargetDown: "outages",
  VapfarmDatabaseUnreachable: "outages",
  VapfarmBeatPathBroken: "outages",
  VapfarmBrokerDisconnected: "outages",
  VapfarmDatabaseSlow: "outages",
  VapfarmValuesOld: "outages",
  VapfarmDutyNotRunning: "work",
  VapfarmSlowDutyNotRunning: "work",
  VapfarmEventsNotCopied: "outages",
  VapfarmCallsFail: "outages",
  VapfarmIllegalTransitions: "work",
  VapfarmSweepRepairs: "work",
  VapfarmBooksUnbalanced: "work",
  VapfarmDeadLetters: "work",
  VapfarmDeadlinesMissed: "work",
  VapfarmNoWorkerForWork: "outages",
  VapfarmIdleWithWork: "work",
  VapfarmProductionWaits: "work",
  VapfarmBenchmarkWaits: "work",
  VapfarmQueueWaitLong: "work",
  VapfarmDeviceTimeWasted: "work",
  VapfarmLeaseLosses: "outages",
  VapfarmMassLapse: "outages",
  VapfarmReapingHeldBack: "outages",
  VapfarmWorkerSuspended: "work",
  VapfarmSuspensionsHeldBack: "work",
  VapfarmEngineQuarantined: "work",
  VapfarmRuntimeRestarts: "work",
  VapfarmWorkerNotReady: "work",
  VapfarmWorkerCallsFail: "outages",
  VapfarmCheckpointsFail: "work",
  VapfarmArtifactStoreErrors: "work",
  VapfarmWorkerMemoryFull: "work",
  VapfarmScalingStuck: "load",
  VapfarmScalingTooMany: "work",
  VapfarmKubernetesCallsFail: "load",
  VapfarmGpuFault: { impossible: "no GPU here: its gauge is played" },
  VapfarmGpuHot: { impossible: "no GPU here: its gauge is played" },
  VapfarmBenchmarkScoreDropped: "load",
};

/** Seconds of waiting in thresholds, cut to what a test can wait. */
const shortWaits: Readonly<Record<string, readonly [from: string, to: string]>> = {
  VapfarmValuesOld: ["> 120", "> 12"],
  VapfarmProductionWaits: ["> 1800", "> 3"],
  VapfarmBenchmarkWaits: ["> 21600", "> 3"],
  VapfarmQueueWaitLong: ["> 300", "> 3"],
};

/** Of the slow duties it looks at the one whose rounds are a minute apart: a test cannot wait for those of ten. */
const narrowed: Readonly<Record<string, readonly [from: string, to: string]>> = {
  VapfarmSlowDutyNotRunning: ["books|collection|prune", "collection"],
};

/**
 * Windows that must hold what comes each 60 s (a round of the collection), 30 s (one of the sweep) or 10 s (a worker's poll), or four restarts
 * of a runtime.
 */
const leastWindows: Readonly<Record<string, number>> = {
  VapfarmSlowDutyNotRunning: 75,
  VapfarmDutyNotRunning: 45,
  VapfarmWorkerCallsFail: 20,
  VapfarmRuntimeRestarts: 60,
};

/** After a start it takes as long until each duty has ended two rounds. */
const leastHolds: Readonly<Record<string, number>> = { VapfarmDutyNotRunning: 40, VapfarmSlowDutyNotRunning: 70 };

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function cut(duration: string, least: number, most: number): string {
  const [, count = "0", unit = "s"] = /^(\d+)([smhd])$/.exec(duration) ?? expect.fail(`not a duration: ${duration}`);
  const seconds = (Number(count) * (unitSeconds[unit] ?? 1)) / 60;
  return `${Math.min(most, Math.max(least, Math.ceil(seconds)))}s`;
}

type Rule = { readonly alert: string; readonly expr: string; readonly for: string };
type RuleFile = { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] };

function cutRule(rule: Rule): Rule {
  const proof = proofs[rule.alert];
  // One that no test waits for is left as it is.
  if (typeof proof === "object") return rule;
  const swap = shortWaits[rule.alert] ?? narrowed[rule.alert];
  if (swap !== undefined) expect(rule.expr, rule.alert).toContain(swap[0]);
  const least = leastWindows[rule.alert] ?? 5;
  const hold = leastHolds[rule.alert] ?? 0;
  const expr = (swap === undefined ? rule.expr : rule.expr.replaceAll(...swap))
    .replaceAll(/\[(\d+[smhd])\]/g, (_, window: string) => `[${cut(window, least, Math.max(60, least))}]`)
    .replaceAll(/offset (\d+[smhd])/g, (_, window: string) => `offset ${cut(window, 5, 20)}`);
  return { ...rule, expr, for: cut(rule.for, hold, Math.max(5, hold)) };
}

/** Writes them into the folder; the file's path. */
export async function writeCutRules(folder: string): Promise<string> {
  const { groups } = parse(await readFile(join(projectRoot, "deploy/helm/vapfarm/rules/vapfarm.yaml"), "utf8")) as RuleFile;
  const path = join(folder, "rules.yaml");
  await writeFile(path, stringify({ groups: groups.map(({ name, rules }) => ({ name, rules: rules.map(cutRule) })) }));
  return path;
}

/** Waits until nothing fires, each duty having come round once, and holds that for some rounds of the rules. */
export async function expectQuiet(prometheus: TestPrometheus): Promise<void> {
  await until("nothing fires", async () => (await firing(prometheus)).length === 0, 50_000);
  await prometheus.scraped(8);
  expect(await firing(prometheus)).toEqual([]);
}

async function firing(prometheus: TestPrometheus): Promise<readonly string[]> {
  const alerts = await prometheus.alerts();
  return [...new Set(alerts.filter(({ state }) => state === "firing").map(({ name }) => name))].toSorted();
}

export type Proofs = {
  /** What fires from now on fires of the fault that comes next; waits until none of these is left of an earlier one. */
  readonly beforeFault: (...names: readonly string[]) => Promise<void>;
  /** Waits until each fires of the fault; its texts have their values. */
  readonly fires: (...names: readonly string[]) => Promise<void>;
  /** Fails unless all that this file must prove have fired. */
  readonly expectAll: () => void;
};

/** Collects what a file proves. */
export function collectProofs(prometheus: () => TestPrometheus, where: Proof): Proofs {
  const proven = new Set<string>();
  let faultAt = new Date();
  return {
    async beforeFault(...names) {
      await until(
        `${names.join()} no longer holds`,
        async () => (await prometheus().alerts()).every((alert) => !names.includes(alert.name)),
        120_000,
      );
      faultAt = new Date();
    },
    async fires(...names) {
      for (const name of names) {
        let all: readonly FiredAlert[] = [];
        let fired: FiredAlert | undefined;
        await until(
          `${name} fires`,
          async () => {
            all = await prometheus().alerts();
            fired = all.find((alert) => alert.name === name && alert.state === "firing" && alert.since >= faultAt);
            return fired !== undefined;
          },
          150_000,
        ).catch((thrown: unknown) =>
          expect.fail(`${String(thrown)}; instead: ${all.map((alert) => `${alert.name} (${alert.state})`).join()}`),
        );
        const { summary = "", description = "" } = fired?.annotations ?? {};
        expect(`${summary} ${description}`).not.toMatch(/<no value>|error expanding|{{| {2}|“”/);
        proven.add(name);
      }
    },
    expectAll() {
      const wanted = Object.entries(proofs).flatMap(([name, proof]) => (proof === where ? [name] : []));
      expect([...proven].toSorted()).toEqual(wanted.toSorted());
    },
  };
}

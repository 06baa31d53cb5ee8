/**
 * The evidence of a test farm (`vapfarm up` as a child).
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openPool } from "../../../services/platform/database/pool.ts";
import type { TestFarm } from "../farm.ts";
import { until } from "../until.ts";
import { checkFarm } from "./check-farm.ts";
import { collectEvidence, type FarmUnderTest } from "./collect-evidence.ts";
import type { Bounds, Evidence, SeenProcess } from "./evidence.ts";
import { type Journals, readJournals } from "./journals.ts";
import type { Violation } from "./violation.ts";

/** Where the evidence of a farm is; what has no place in a file of the farm is told. */
export async function underTest(
  farm: TestFarm,
  journalsFolder: string,
  bounds: Partial<Bounds> = {},
): Promise<Omit<FarmUnderTest, "database">> {
  const { artifacts, natsUrl } = farm.description;
  const artifactsFolder = artifacts.replace(/^folder:/, "");
  return { artifactsFolder, natsUrl, journalsFolder, bounds, processes: await runtimesOf(farm, journalsFolder) };
}

/** Takes a farm's evidence once what follows a job's end is done: nothing runs, is due to be told, or waits to be copied. */
export async function evidenceOf(farm: TestFarm, journals: Journals, bounds: Partial<Bounds> = {}): Promise<Evidence> {
  if (bounds.isSettled !== false) await until("the farm has nothing left to do", () => isSettled(farm), 60_000);
  const database = openPool({ url: farm.description.databaseUrl, applicationName: "checker", connections: 1 });
  try {
    return await collectEvidence({ ...(await underTest(farm, journals.folder, bounds)), database });
  } finally {
    await database.end();
  }
}

/** Every promise that the farm has broken. */
export async function violationsOf(farm: TestFarm, journals: Journals, bounds: Partial<Bounds> = {}): Promise<readonly Violation[]> {
  return checkFarm(await evidenceOf(farm, journals, bounds));
}

async function isSettled(farm: TestFarm): Promise<boolean> {
  const [row] = await farm.sql<{ left: number }>(`select (
    (select count(*) from job where state in ('queued', 'running') or sent_event < last_event)
    + (select count(*) from attempt where state = 'running')
    + (select count(*) from webhook_delivery where next_try_at is not null))::int as left`);
  return row?.left === 0;
}

/** Every runtime that ever wrote a journal: those in the workers' pid files may run, all others have ended with their agents. */
async function runtimesOf(farm: TestFarm, journalsFolder: string): Promise<readonly Omit<SeenProcess, "isRunning">[]> {
  const { runtimes } = await readJournals(journalsFolder);
  const workers = join(farm.dataFolder, "workers");
  const named = await Promise.all(
    (await readdir(workers)).map((name) => readFile(join(workers, name, "runtime.pid"), "utf8").catch(() => "")),
  );
  const current = new Set(named.map((text) => Number(/\d+/.exec(text)?.[0])));
  return runtimes.map(({ processId }) => ({
    processId,
    what: "a stage runtime that another took the place of",
    program: "runtime/main.ts",
    mayRun: current.has(processId),
  }));
}

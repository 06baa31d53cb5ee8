import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ImportedResults, Preference, Run, RunItem, Suite, SuiteRow } from "../../../services/gen/proto/vapfarm/v1/bench.ts";
import { ExplainJobResponse, JobEvent, JobState, Render, RenderSpec, Worker } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { Farm, Hold, HoldScope, Model } from "../../../services/gen/proto/vapfarm/v1/operator.ts";
import { FarmError } from "../../../services/domain/errors.ts";
import { playCli } from "../../support/cli-context.ts";
import { type Handlers, type ScriptedFarm, scriptedJob, startScriptedFarm } from "../../support/scripted-farm.ts";

let farm: ScriptedFarm | undefined;
let folder = "";
afterEach(async () => {
  await farm?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function ran(handlers: Handlers, ...args: readonly string[]) {
  farm = await startScriptedFarm(handlers);
  folder = await mkdtemp(join(tmpdir(), "vapfarm-shown-"));
  const cli = playCli({ VAPFARM_ADDRESS: farm.address, VAPFARM_CONFIG: join(folder, "config.json") });
  const code = await cli.run(...args);
  return { code, stdout: cli.stdout(), stderr: cli.stderr() };
}

const several = { total: 3, queued: 1, running: 1, succeeded: 1, failed: 0, cancelled: 0 };

describe("--json", () => {
  it("spells out what is zero, in lists as in single messages", async () => {
    const { stdout } = await ran(
      { listRenders: () => ({ renders: [Render.create({ jobId: "job-1" })], nextPageToken: "" }) },
      "renders",
      "job-1",
      "--json",
    );
    expect(JSON.parse(stdout)).toMatchObject({ renders: [{ position: 0, tasks: [], state: "JOB_STATE_UNSPECIFIED" }] });
  });

  it("has a list's empty parts in each of its looks", async () => {
    const { stdout } = await ran({ listWorkers: () => ({ workers: [Worker.create({ name: "w" })] }) }, "workers", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ workers: [{ name: "w", running: [], memoryBytes: "0" }] });
  });

  it("is of a farm, a job and an event the same", async () => {
    const job = await ran({ getJob: () => ({ job: scriptedJob() }) }, "job", "job-1", "--json");
    expect(JSON.parse(job.stdout)).toMatchObject({ jobId: "job-1", priority: 0, lastEventNumber: "3" });
    await farm?.stop();
    const shown = await ran({ getFarm: () => ({ farm: Farm.create({ name: "f" }) }) }, "farm", "--json");
    expect(JSON.parse(shown.stdout)).toMatchObject({ openJobs: 0, holds: [], pools: [] });
    await farm?.stop();
    const events = await ran(
      { listEvents: () => ({ events: [JobEvent.create({ number: 1n })], hasMore: false }) },
      "events",
      "job-1",
      "--json",
    );
    expect(JSON.parse(events.stdout)).toMatchObject({ events: [{ number: "1", message: "", computeMs: 0 }] });
  });
});

describe("a list of jobs", () => {
  it("says of a job of several renders how many they are", async () => {
    const { stdout } = await ran({ listJobs: () => ({ jobs: [scriptedJob({ renderCounts: several })], nextPageToken: "" }) }, "jobs");
    expect(stdout).toContain("3 renders");
  });

  it("says of a job of one what it renders, and of one that failed why", async () => {
    const render = { model: "demo", prompt: "a pot inflates" };
    const failure = { code: "STAGE_FAILED", message: "m", stage: "denoise", remedy: "" };
    const jobs = [scriptedJob({ render, renderCounts: { ...several, total: 1 } }), scriptedJob({ renderCounts: several, failure })];
    const { stdout } = await ran({ listJobs: () => ({ jobs, nextPageToken: "" }) }, "jobs");
    expect(stdout).toContain("a pot inflates");
    expect(stdout).toContain("STAGE_FAILED");
    expect(stdout).not.toMatch(/\d renders/);
  });
});

it.each([
  [0, "0 renders run again"],
  [1, "1 render runs again"],
  [2, "2 renders run again"],
])("a retry of %d says so", async (retriedRenders, said) => {
  const { stdout } = await ran({ retryJob: () => ({ job: scriptedJob(), retriedRenders }) }, "retry", "job-1");
  expect(stdout).toContain(said);
});

describe("what others wrote", () => {
  /** Sets a title, clears the screen, hides text, goes back, breaks the line, turns the direction of reading. */
  const hostile = "\u001b]0;t\u0007a\u001b[2Jb\u001b[8mc\rd\ne\u202ef\u009bA";
  const acted = /[^\P{Cc}\n]|\p{Cf}/u;
  const failure = { code: "STAGE_FAILED", message: hostile, stage: hostile, remedy: hostile };
  const spec = { ...RenderSpec.create(), model: hostile, prompt: hostile };
  const job = scriptedJob({
    tenant: hostile,
    state: JobState.JOB_STATE_FAILED,
    render: spec,
    failure,
    warnings: [{ code: "W", message: hostile }],
    webhook: { url: hostile, delivery: { tries: 1, lastError: hostile } },
  });
  const cordon = { reason: hostile, placedBy: hostile, placeTime: new Date(0) };
  const worker = Worker.create({ name: hostile, host: hostile, device: hostile, cordon, models: [hostile] });
  const hold = Hold.create({ scope: HoldScope.HOLD_SCOPE_POOL, name: hostile, reason: hostile, placedBy: hostile });
  const suite = Suite.create({ name: hostile, rowCount: 1, kinds: [{ kind: hostile, rows: 1 }] });
  const suiteRow = SuiteRow.create({ caption: hostile, kind: hostile, targetPath: hostile, referencePaths: [hostile] });
  const run = Run.create({ runId: "r", suiteName: hostile, model: hostile, label: hostile, itemCount: 1, metricsModel: hostile });
  const item = RunItem.create({
    row: suiteRow,
    failureCode: hostile,
    failureMessage: hostile,
    failureStage: hostile,
    stages: [{ stage: hostile }],
  });
  const results = ImportedResults.create({ dimensions: [{ dimension: hostile, value: 1, count: 1 }] });
  const preference = Preference.create({ name: hostile, shares: [{ method: hostile, percent: 100 }] });
  const explained = ExplainJobResponse.create({
    summary: hostile,
    tasks: [{ stage: hostile, label: hostile, pool: hostile, constraints: [{ message: hostile, remedy: hostile }] }],
  });

  it.each<[string, Handlers]>([
    ["job job-1", { getJob: () => ({ job }) }],
    ["job job-1 --render 0", { getRender: () => ({ render: Render.create({ jobId: "job-1", spec, failure }) }) }],
    ["jobs", { listJobs: () => ({ jobs: [job], nextPageToken: "" }) }],
    ["farm", { getFarm: () => ({ farm: Farm.create({ name: hostile, holds: [hold] }) }) }],
    ["hold pool gpu", { placeHold: () => ({ hold }) }],
    ["holds", { listHolds: () => ({ holds: [hold] }) }],
    ["workers", { listWorkers: () => ({ workers: [worker] }) }],
    ["workers show w", { getWorker: () => ({ worker }) }],
    ["workers cordon w", { cordonWorker: () => ({ worker }) }],
    [
      "model m",
      { getModel: () => ({ model: Model.create({ name: hostile, defaults: { negativePrompt: hostile, scheduler: hostile } }) }) },
    ],
    ["explain job-1", { explainJob: () => explained }],
    ["cancel job-1", refused()],
    ["watch job-1", { getJob: () => ({ job }) }],
    ["bench suites", { listSuites: () => ({ suites: [suite], nextPageToken: "" }) }],
    ["bench suite s --rows", { getSuite: () => ({ suite, rows: [suiteRow] }) }],
    ["bench runs", { listRuns: () => ({ runs: [run], nextPageToken: "" }) }],
    ["bench report r", { getRun: () => ({ run, setScores: [] }), listRunItems: () => ({ items: [item], nextPageToken: "" }) }],
    ["bench results", { listResults: () => ({ results: [{ ...results, name: hostile }] }) }],
    ["bench votes v", { getPreference: () => ({ preference }) }],
  ])("is one line that a terminal only shows: %s", async (line, handlers) => {
    const { stdout, stderr } = await ran(handlers, ...line.split(" "));
    expect(`${stdout}${stderr}`).not.toMatch(acted);
    expect(`${stdout}${stderr}`).not.toMatch(/^e /m);
    expect(`${stdout}${stderr}`).toMatch(/d e f/);
  });

  function refused(): Handlers {
    return {
      cancelJob() {
        const fields = [{ field: "f", reason: hostile, remedy: hostile }];
        throw new FarmError("FIELD_INVALID", { message: hostile, details: { fields } });
      },
    };
  }
});

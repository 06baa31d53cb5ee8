import { chmod, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FarmFile } from "../../services/cli/data-folder.ts";
import { identify } from "../../services/cli/up/process-identity.ts";
import { JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { withDeadline } from "../../services/platform/deadline.ts";
import { runCli } from "../support/cli.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { until } from "../support/until.ts";

const farms: TestFarm[] = [];
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-up-"));
  // Postgres runs as another user when we are root.
  await chmod(folder, 0o711);
});
afterEach(async () => {
  for (const farm of farms.splice(0)) await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(args?: readonly string[]): Promise<TestFarm> {
  const farm = await startTestFarm(args === undefined ? {} : { args });
  farms.push(farm);
  return farm;
}

async function begin(farm: TestFarm, steps: number): Promise<string> {
  const image = await upload(farm.client, join(projectRoot, "demo/image.png"));
  const clip = await upload(farm.client, join(projectRoot, "demo/clip.mp4"));
  const request = submission({
    image: { sha256: image.sha256 },
    references: [{ sha256: clip.sha256 }],
    referencePrompts: ["A ball."],
    steps,
    seed: 1n,
  });
  return (await submit(farm.client, request)).jobId;
}

async function render(farm: TestFarm): Promise<string> {
  const { job } = await watchUntilEnd(farm.client, await begin(farm, 2));
  expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  return job.jobId;
}

/** Every process of the farm: those it names, and the stage runtimes below its workers. */
async function processesOf(farm: FarmFile): Promise<readonly number[]> {
  const named = farm.processes.map(({ processId }) => processId);
  const below = await Promise.all(
    named.map((processId) => readFile(`/proc/${processId}/task/${processId}/children`, "utf8").catch(() => "")),
  );
  return [...named, ...below.flatMap((text) => text.trim().split(" ").filter(Boolean).map(Number))];
}

async function waitForEnd(processes: readonly number[]): Promise<void> {
  for (const processId of processes) {
    await until(`the end of process ${processId}`, async () => (await identify(processId)) === undefined);
  }
}

function processOf(farm: FarmFile, name: string): number {
  return farm.processes.find((each) => each.name === name)?.processId ?? 0;
}

// Each starts whole farms, some several; on a busy machine that takes a while.
describe("vapfarm up", { timeout: 240_000 }, () => {
  it("runs everything on loopback, and SIGTERM ends all of it within seconds", async () => {
    const farm = await start();
    const { processes, grpcAddress, natsUrl, databaseUrl } = farm.description;
    expect(processes.map(({ name }) => name)).toEqual(["postgres", "nats", "coordinator", "worker-1", "worker-2"]);
    for (const address of [`tcp://${grpcAddress}`, natsUrl, databaseUrl]) expect(new URL(address).hostname).toBe("127.0.0.1");
    for (const { httpAddress } of processes) {
      if (httpAddress === undefined) continue;
      for (const path of ["healthz", "readyz", "metrics"]) expect((await fetch(`http://${httpAddress}/${path}`)).status).toBe(200);
    }
    const workers = await farm.client.listWorkers();
    expect(workers.map(({ name }) => name).sort()).toEqual(["worker-1", "worker-2"]);
    const all = await processesOf(farm.description);
    expect(all.length).toBeGreaterThanOrEqual(7);
    expect(await withDeadline(farm.stop(), { ms: 15_000, what: "the farm's end in order" })).toBe(0);
    // It leaves last: what it named has ended before it.
    expect(await Promise.all(processes.map(({ processId }) => identify(processId)))).toEqual(processes.map(() => undefined));
    await waitForEnd(all);
    await expect(stat(farm.dataFolder)).rejects.toThrow();
  });

  it("keeps queue and results over a restart, and other commands find it without flags", async () => {
    const first = await start(["--data", folder, "--workers", "1"]);
    const jobId = await render(first);
    const environment = { VAPFARM_DATA: folder };
    expect((await runCli(["workers"], environment)).stdout).toContain("worker-1");
    expect(await first.stop()).toBe(0);
    expect((await runCli(["job", jobId], environment)).code).toBe(3);
    const second = await start(["--data", folder, "--workers", "1"]);
    const shown = await runCli(["watch", jobId, "--out", join(folder, "out"), "--json"], environment);
    expect(shown.code).toBe(0);
    const report = JSON.parse(shown.stdout.trim().split("\n").at(-1) ?? "") as { files: { mp4: string } };
    expect((await stat(report.files.mp4)).size).toBeGreaterThan(1000);
    const [count] = await second.sql<{ workers: number }>("select count(*)::int as workers from worker");
    expect(count?.workers).toBe(1);
  });

  it("stops in order in the middle of a queue, and the next start goes on with it: each job ends once, each task once", async () => {
    const first = await start(["--data", folder, "--workers", "1"]);
    const jobIds = [await begin(first, 250), await begin(first, 200)];
    await until(
      "a denoise runs",
      async () => (await first.sql("select 1 from task where stage = 'denoise' and state = 'running'")).length > 0,
    );
    expect(await first.stop()).toBe(0);
    const stopped = new Date();
    const second = await start(["--data", folder, "--workers", "1"]);
    const ends: Date[] = [];
    for (const jobId of jobIds) {
      const { job, told } = await watchUntilEnd(second.client, jobId);
      expect(job).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, failure: undefined });
      const events = told.flatMap(({ update }) => (update?.$case === "event" ? [update.value] : []));
      const ended = events.filter(({ kind }) => /^job\.(succeeded|failed|cancelled)$/.test(kind));
      expect(ended.map(({ kind }) => kind)).toEqual(["job.succeeded"]);
      const done = events.filter(({ kind }) => kind === "task.succeeded").map(({ taskId }) => taskId);
      expect(new Set(done).size).toBe(done.length);
      expect(done).toContain(job.tasks.find(({ stage }) => stage === "denoise")?.taskId);
      ends.push(...ended.flatMap(({ time }) => time ?? []));
    }
    expect(ends.some((time) => time > stopped)).toBe(true);
  });

  it("refuses a second farm on the same data; after a kill -9 in the middle of a render the next start ends what was left and the render ends", async () => {
    const first = await start(["--data", folder, "--workers", "1"]);
    const refused = await runCli(["up", "--data", folder]);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain(`a farm already runs on ${folder}`);
    const jobId = await begin(first, 250);
    await until(
      "its denoise runs",
      async () => (await first.sql("select 1 from task where stage = 'denoise' and state = 'running'")).length > 0,
    );
    const all = await processesOf(first.description);
    first.process.kill("SIGKILL");
    const second = await start(["--data", folder, "--workers", "1"]);
    const { job } = await watchUntilEnd(second.client, jobId);
    expect(job).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, failure: undefined });
    expect(job.artifacts.map(({ name }) => name)).toEqual(["mp4"]);
    expect(job.tasks.find(({ stage }) => stage === "denoise")?.attempts).toBe(2);
    await waitForEnd(all);
  });

  it("starts again what died, at the same addresses, and says so", async () => {
    const farm = await start(["--ephemeral", "--workers", "1"]);
    for (const name of ["nats", "coordinator", "worker-1", "postgres"]) {
      process.kill(processOf(await farm.running(), name), "SIGKILL");
      await farm.said(new RegExp(`^${name} ended`));
      await farm.said(new RegExp(`^${name} runs again`));
    }
    await until("the new numbers in the endpoint file", async () =>
      (await farm.running()).processes.every(({ processId }) => !farm.description.processes.some((old) => old.processId === processId)),
    );
    expect(await farm.running()).toMatchObject({ grpcAddress: farm.address, natsUrl: farm.description.natsUrl });
    await render(farm);
  });

  it("uses Postgres, NATS and artifacts of one's own instead of the embedded ones", async () => {
    const lender = await start();
    const { databaseUrl, natsUrl } = lender.description;
    const artifacts = `folder:${join(folder, "artifacts")}`;
    const environment = { DATABASE_URL: databaseUrl, NATS_URL: natsUrl, VAPFARM_ARTIFACTS: artifacts };
    const farm = await startTestFarm({ args: ["--data", folder, "--workers", "1"], environment });
    farms.unshift(farm);
    expect(farm.description).toMatchObject({ databaseUrl, natsUrl, artifacts });
    expect(farm.description.processes.map(({ name }) => name)).toEqual(["coordinator", "worker-1"]);
  });

  it("says what hinders it, and leaves nothing", async () => {
    const { code, stderr } = await runCli(["up", "--data", folder], { VAPFARM_LEASE_MS: "none" });
    expect(code).toBe(1);
    expect(stderr).toContain("VAPFARM_LEASE_MS");
    const again = await start(["--data", folder, "--workers", "1"]);
    expect(again.description.processes).toHaveLength(4);
  });
});

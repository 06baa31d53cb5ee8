import { type ChildProcess, execFile, fork } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { JobState, type WatchJobResponse } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { readEventCopy } from "../support/checker/event-copy.ts";
import { runCli } from "../support/cli.ts";
import { cleanEnvironment, startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestNats, type TestNats } from "../support/nats.ts";
import { checkInvariants } from "../support/store-invariants.ts";
import { until } from "../support/until.ts";

let folder = "";
let nats: TestNats;
const farms: TestFarm[] = [];
const workers: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-restore-"));
  await chmod(folder, 0o711);
  nats = await startTestNats();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) worker.kill("SIGKILL");
  for (const farm of farms.splice(0)) await farm.stop();
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(data: string): Promise<TestFarm> {
  const farm = await startTestFarm({ args: ["--data", data, "--workers", "1"], environment: { NATS_URL: nats.url } });
  farms.push(farm);
  return farm;
}

async function json(args: readonly string[], code = 0): Promise<Record<string, unknown>> {
  const outcome = await runCli([...args, "--json"]);
  expect(outcome.stderr).toBe("");
  expect(outcome.code).toBe(code);
  return JSON.parse(outcome.stdout) as Record<string, unknown>;
}

async function begin(farm: TestFarm, idempotencyKey: string, { steps = 2, seed = 1n } = {}): Promise<string> {
  const image = await upload(farm.client, join(projectRoot, "demo/image.png"));
  const clip = await upload(farm.client, join(projectRoot, "demo/clip.mp4"));
  const render = { image: { sha256: image.sha256 }, references: [{ sha256: clip.sha256 }], referencePrompts: ["A ball."], steps, seed };
  return (await submit(farm.client, submission(render, { idempotencyKey }))).jobId;
}

async function finished(farm: TestFarm, jobId: string) {
  const { job, told } = await watchUntilEnd(farm.client, jobId);
  expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  return told;
}

/** A worker beside those of `up`, which no stop of the farm ends. */
async function startOutsider(farm: TestFarm): Promise<{ readonly log: () => string }> {
  const env = cleanEnvironment({
    NATS_URL: nats.url,
    VAPFARM_POOL: "local",
    VAPFARM_WORKER_NAME: "outsider",
    VAPFARM_WORKER_FOLDER: join(folder, "outsider"),
    VAPFARM_MODELS: join(projectRoot, "models"),
    VAPFARM_ARTIFACTS: farm.description.artifacts,
    VAPFARM_CACHE: join(projectRoot, ".cache"),
    VAPFARM_EXIT_WITH_PARENT: "1",
  });
  const child = fork(join(projectRoot, "services/worker/main.ts"), { env, execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  workers.push(child);
  let log = "";
  child.stderr?.on("data", (part: Buffer) => (log += part.toString()));
  await once(child, "message");
  return { log: () => log };
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

describe("a backup of vapfarm up", { timeout: 240_000 }, () => {
  it("restored: the lost time is refused, what was there goes on and ends once, what the store lost is made again", async () => {
    const [data, backup] = [join(folder, "data"), join(folder, "backup")];
    const before = await start(data);
    const { log } = await startOutsider(before);
    const done = await begin(before, "done");
    await finished(before, done);
    // More than can end while the backup is taken; all of them take the same encoded reference.
    const open = [
      await begin(before, "first", { steps: 500, seed: 2n }),
      await begin(before, "second", { steps: 500, seed: 3n }),
      await begin(before, "third", { steps: 500, seed: 4n }),
    ];
    await until("the denoise runs, with a checkpoint", async () => (await before.sql("select 1 from task_checkpoint")).length > 0);

    const input = await inputOfTheDenoise(before);
    expect(await json(["backup", "--data", data, "--to", backup])).toMatchObject({ isWhole: true, damaged: [] });
    // The lost time: an acknowledged job, and events that the copy of the log has.
    const lost = await begin(before, "lost", { seed: 5n });
    await until("the log is copied", async () => (await before.sql("select 1 from job where has_unsent")).length === 0);
    expect(await before.stop()).toBe(0);

    await rm(join(data, "postgres"), { recursive: true });
    for (const part of ["postgres", "backup.json"]) await copyTree(join(backup, part), join(data, part));
    const refused = await runCli(["up", "--data", data]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("RECOVERY_NEEDED")]);

    const trial = await json(["recover", "--data", data]);
    expect(trial).toMatchObject({ isDone: false, missing: 0 });
    await rm(join(data, "artifacts", input.slice(0, 2), input));
    const recovered = await json(["recover", "--data", data, "--yes"]);
    expect(recovered).toMatchObject({ isDone: true, missing: 1, tasksAgain: 1, repaired: 0, losses: { uploadCount: 0, resultCount: 0 } });
    expect(recovered["attempts"]).toBeGreaterThanOrEqual(1);
    expect(recovered["orphans"]).toMatchObject({ areDeleted: false });
    expect(await isThere(join(data, "backup.json"))).toBe(false);

    const after = await start(data);
    await expect(after.client.getJob(lost)).rejects.toMatchObject({ code: "JOB_UNKNOWN" });
    const told = await Promise.all(open.map((jobId) => finished(after, jobId)));
    for (const each of told) expectWhole(each);
    await after.client.download({ jobId: done, name: "mp4", path: join(folder, "done.mp4") });
    // The key of the lost job is free: its client submits again, and it runs once more.
    const again = await begin(after, "lost", { seed: 5n });
    expect(again).not.toBe(lost);
    await finished(after, again);

    await until("the worker of before has come back", async () => (await outsiders(after)).some(({ is_live: isLive }) => isLive), 60_000);
    expect(log()).toContain("EPOCH_MISMATCH");
    expect((await outsiders(after)).length).toBeLessThanOrEqual(2);
    await until("the log is copied", async () => (await after.sql("select 1 from job where has_unsent")).length === 0);
    await checkInvariants(after);
    await checkCopy(after);
  });

  it("copied elsewhere, it is a farm of its own; one that was not finished is refused", async () => {
    const [data, backup] = [join(folder, "data"), join(folder, "backup")];
    const first = await start(data);
    const jobId = await begin(first, "done");
    await finished(first, jobId);
    const { databaseUrl, artifacts } = first.description;
    const whileItRuns = await runCli(["recover", "--yes"], { DATABASE_URL: databaseUrl, VAPFARM_ARTIFACTS: artifacts });
    expect([whileItRuns.code, whileItRuns.stderr]).toEqual([1, expect.stringContaining("FARM_IN_USE")]);
    expect((await runCli(["recover", "--yes"], { DATABASE_URL: databaseUrl })).stderr).toContain("VAPFARM_ARTIFACTS is not set");
    expect(await first.stop()).toBe(0);
    // Of a stopped farm: the database is started for it alone.
    const whole = await json(["backup", "--data", data, "--to", backup]);
    expect(await json(["backup", "--data", data, "--to", backup])).toMatchObject({ artifacts: whole["artifacts"], newArtifacts: 0 });
    // One that breaks off leaves the one before, and nothing of its own.
    const partial = join(backup, "artifacts", "partial");
    await rm(partial, { recursive: true });
    await writeFile(partial, "");
    expect((await runCli(["backup", "--data", data, "--to", backup])).code).toBe(1);
    expect(await isThere(join(backup, "postgres.new"))).toBe(false);
    await rm(partial);
    const elsewhere = join(folder, "elsewhere");
    await copyTree(backup, elsewhere);
    expect(await json(["recover", "--data", elsewhere, "--yes"])).toMatchObject({ isDone: true, missing: 0, orphans: { count: 0 } });
    const second = await start(elsewhere);
    await second.client.download({ jobId, name: "mp4", path: join(folder, "result.mp4") });
    expect(await second.stop()).toBe(0);

    await writeFile(join(backup, "backup.json"), "{");
    expect((await runCli(["recover", "--data", backup, "--yes"])).stderr).toContain("BACKUP_FAILED");
  });

  it("is not taken for a store that is another farm's", async () => {
    const data = join(folder, "data");
    const farm = await start(data);
    await finished(farm, await begin(farm, "done"));
    expect(await farm.stop()).toBe(0);
    await rm(join(data, "artifacts"), { recursive: true });
    expect((await runCli(["recover", "--data", data, "--yes"])).stderr).toContain("RECOVERY_REFUSED");
    const recovered = await json(["recover", "--data", data, "--yes", "--accept-losses"]);
    expect(recovered["losses"]).toMatchObject({ uploadCount: 2 });
  });
});

type OutsiderSession = { readonly id: string; readonly is_live: boolean };

function outsiders(farm: TestFarm): Promise<readonly OutsiderSession[]> {
  return farm.sql<OutsiderSession>(
    "select s.id, s.is_live from session s join worker w on w.id = s.worker_id where w.name = 'outsider' order by s.opened_at",
  );
}

/** As the runbook says: with owners, for Postgres' files belong to its own user. */
async function copyTree(from: string, to: string): Promise<void> {
  await promisify(execFile)("cp", ["-a", from, to]);
}

/** Every event from the first. */
function expectWhole(told: readonly WatchJobResponse[]): void {
  const numbers = told.flatMap(({ update }) => (update?.$case === "event" ? [Number(update.value.number)] : []));
  expect(numbers).toEqual(numbers.map((_number, index) => index + 1));
}

/** Something that a run takes and that another task has made. */
async function inputOfTheDenoise(farm: TestFarm): Promise<string> {
  const [input] = await farm.sql<{ sha256: string }>(
    `select o.sha256 from task t join task_input i on i.task_id = t.id
     join task_output o on o.task_id = i.producer_id and o.name = i.producer_output
     where t.stage = 'denoise' and t.state = 'running' order by 1 limit 1`,
  );
  return input?.sha256 ?? "";
}

/** The copy holds what the log holds, job by job, and nothing of the lost time. */
async function checkCopy(farm: TestFarm): Promise<void> {
  const copy = (await readEventCopy(nats.url, "local")) ?? [];
  const rows = await farm.sql<{ job: string; number: number; kind: string }>("select job_id as job, number, kind from event order by 1, 2");
  const copied = copy.map(({ jobId, number, kind }) => ({ job: jobId, number, kind }));
  expect(copied.sort((left, right) => left.job.localeCompare(right.job) || left.number - right.number)).toEqual(rows);
}

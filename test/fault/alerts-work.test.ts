/**
 * Alerts on work that does not go as it should, each made to fire by the fault that it is for, on a real farm under a real Prometheus with the
 * committed rules, their times cut short. What no program of the farm does, a hand in its database does: those alerts are there to find such hands,
 * and bugs that do the like.
 */
import { cp, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CordonWorkerRequest,
  JobClass,
  type SubmitRenderRequest,
  UncordonWorkerRequest,
} from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { collectProofs, expectQuiet, writeCutRules } from "../support/alerts.ts";
import { runCli } from "../support/cli.ts";
import { type FaultFarm, startFaultFarm } from "../support/fault/farm.ts";
import { submitWithLostInput } from "../support/fault/lost-input.ts";
import { denoising, endsOf, type Inputs, requestOf, submitPatiently, uploadInputs } from "../support/fault/renders.ts";
import { makeSmallDisk } from "../support/fault/small-disk.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { targetsOf } from "../support/grafana/load.ts";
import { startPrometheus, type TestPrometheus } from "../support/prometheus.ts";
import { until } from "../support/until.ts";

const timeoutMs = 240_000;
/** Of denoise: still running when its fault comes. */
const longSteps = 1_000;

const disk = await makeSmallDisk();
let farm: FaultFarm;
let inputs: Inputs;
let prometheus: TestPrometheus;
let folder: string;
let seed = 0;
const started: (() => Promise<void>)[] = [() => disk.remove()];
const { beforeFault, fires, expectAll } = collectProofs(() => prometheus, "work");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-alerts-"));
  started.push(() => rm(folder, { recursive: true, force: true }));
  const environment = { VAPFARM_CHECKPOINT_STEPS: "20", VAPFARM_CHECKPOINT_SECONDS: "1", VAPFARM_TRANSFER_LIMIT_MS: "3000" };
  farm = await startFaultFarm({ coordinators: 1, workers: 3, artifactsFolder: disk.folder, environment });
  started.push(() => farm.stop());
  inputs = await uploadInputs(client());
  prometheus = await startPrometheus({ targets: targetsOf(farm), ruleFiles: [await writeCutRules(folder)] });
  started.push(() => prometheus.stop());
  await prometheus.scraped(3);
}, timeoutMs);

afterAll(async () => {
  for (const stop of started.toReversed()) await stop();
}, timeoutMs);

function client() {
  return farm.coordinators[0]?.client ?? expect.fail("no coordinator");
}

function request(steps: number, jobClass: JobClass = JobClass.JOB_CLASS_PRODUCTION): SubmitRenderRequest {
  return { ...requestOf({ inputs, seed: (seed += 1), steps }), jobClass };
}

function submit(steps: number, jobClass?: JobClass): Promise<string> {
  return submitPatiently(client(), request(steps, jobClass));
}

async function vapfarm(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCli([...args, "--address", farm.coordinators[0]?.program.facts["grpcAddress"] ?? ""]);
  expect(code, stderr).toBe(0);
}

async function cancelAll(jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds)
    await client()
      .cancel(jobId)
      .catch(() => undefined);
  await endsOf(farm, jobIds);
}

describe("alerts on work", { timeout: timeoutMs }, () => {
  it("do not fire while the farm works", async () => {
    expect(await endsOf(farm, [await submit(3)])).toEqual(["succeeded"]);
    await expectQuiet(prometheus);
  });

  it("a runtime that dies again and again of work that succeeds elsewhere", async () => {
    // While workers have ended little: a quarter of that must have failed.
    const [first, second] = farm.workers.map(({ program }) => program.name);
    await failThere(first ?? "");
    await fires("VapfarmRuntimeRestarts", "VapfarmWorkerSuspended");
    await failThere(second ?? "");
    await fires("VapfarmSuspensionsHeldBack");
    for (const name of [first, second]) await vapfarm("workers", "clear", name ?? "");
  });

  it("a hold that is forgotten: work waits beside idle workers, then has waited long", async () => {
    await vapfarm("hold", "farm", "--reason", "a test");
    const waiting = [await submit(2), await submit(2, JobClass.JOB_CLASS_BENCHMARK)];
    await fires("VapfarmIdleWithWork", "VapfarmProductionWaits", "VapfarmBenchmarkWaits");
    await vapfarm("release", "farm");
    await fires("VapfarmQueueWaitLong");
    expect(await endsOf(farm, waiting)).toEqual(["succeeded", "succeeded"]);
  });

  it("a hand in the database: what is ready loses its place in the lanes", async () => {
    await vapfarm("hold", "farm", "--reason", "a test");
    const jobId = await submit(2);
    await until("its task is ready", async () => (await farm.sql("select 1 from ready")).length > 0);
    await farm.sql("delete from ready");
    await vapfarm("release", "farm");
    await fires("VapfarmSweepRepairs");
    expect(await endsOf(farm, [jobId])).toEqual(["succeeded"]);
  });

  it("runs that are cancelled one after the other: device time without a result", async () => {
    await beforeFault("VapfarmDeviceTimeWasted");
    const jobIds = await Promise.all([submit(longSteps), submit(longSteps), submit(longSteps), submit(longSteps)]);
    await until(
      "they have had a device for long enough",
      async () => {
        const [row] = await farm.sql<{ ms: number }>("select sum(device_ms) as ms from attempt where state = 'running'");
        return (row?.ms ?? 0) > 25_000;
      },
      60_000,
    );
    await cancelAll(jobIds);
    await fires("VapfarmDeviceTimeWasted");
  });

  it("an upload whose bytes are gone fails for good, and a deadline that cannot be kept is missed", async () => {
    const late = await submitPatiently(client(), { ...request(400), deadline: new Date(Date.now() + 500) });
    await fires("VapfarmDeadlinesMissed");
    await cancelAll([late]);
    const jobId = await submitWithLostInput(farm, client(), request(1));
    expect(await endsOf(farm, [jobId])).toEqual(["failed"]);
    await fires("VapfarmDeadLetters");
    // A migration that went wrong: these duties fail from now on, while others run.
    await farm.sql("alter function vf_deadlines rename to vf_deadlines_away");
    await farm.sql("alter function vf_condemn rename to vf_condemn_away");
  });

  it("a move that is refused, and a ledger that is changed", async () => {
    const jobId = await submit(longSteps);
    await denoising(farm, jobId);
    const [pinned] = await farm.sql<{ id: string }>("select id::text from task where state = 'running' and stage = 'denoise'");
    await farm.sql(
      `create trigger pin before update of state on task for each row when (old.id = ${pinned?.id ?? ""} and old.state <> new.state)
       execute function vf_refuse_move()`,
    );
    await client()
      .cancel(jobId)
      .catch(() => undefined);
    await fires("VapfarmIllegalTransitions");
    await farm.sql("drop trigger pin on task");
    await cancelAll([jobId]);

    await farm.sql("update usage set device_ms = device_ms + 1000");
    // The books are checked at a coordinator's start.
    await farm.coordinators[0]?.program.stop();
    await farm.coordinators[0]?.program.start();
    await fires("VapfarmBooksUnbalanced");
  });

  it("the artifact store is full: what is written fails, checkpoints too", async () => {
    const writers = farm.workers.map(({ program }) => program.processId);
    const jobId = await submit(longSteps);
    await denoising(farm, jobId);
    await disk.fill(writers);
    await fires("VapfarmArtifactStoreErrors", "VapfarmCheckpointsFail").finally(() => disk.free(writers));
    await cancelAll([jobId]);
  });

  it("a runtime that does not come up", async () => {
    const { runtimeId } = farm.workers[0] ?? expect.fail("no worker");
    const killing = setInterval(() => void runtimeId().then(end, () => undefined), 100);
    await fires("VapfarmWorkerNotReady").finally(() => clearInterval(killing));
  });

  it("a worker that was given less memory than its runtime takes", async () => {
    const { program } = farm.workers[1] ?? expect.fail("no second worker");
    await program.stop();
    await program.start({ VAPFARM_MEMORY_BYTES: String(96 * 1024 ** 2) });
    await fires("VapfarmWorkerMemoryFull");
    await program.stop();
    await program.start();
  });

  it("a worker whose copy of the model is damaged", async () => {
    const { program } = farm.workers[2] ?? expect.fail("no third worker");
    const models = join(folder, "models");
    await cp(join(projectRoot, "models"), models, { recursive: true });
    await truncate(join(models, "demo/denoise/1/model.onnx"), 100);
    await program.stop();
    await program.start({ VAPFARM_MODELS: models });
    await onlyOn(program.name, async () => {
      await submit(2);
      await fires("VapfarmEngineQuarantined");
    });
    await program.stop();
    await program.start();
  });

  it("a number of workers that nobody follows", async () => {
    const { program } = farm.coordinators[0] ?? expect.fail("no coordinator");
    await program.stop();
    // No object is named: the pool is another's to scale, and there is none.
    await program.start({ VAPFARM_SCALING: JSON.stringify({ pools: [{ name: "local", max: 1 }] }) });
    await fires("VapfarmScalingTooMany");
  });

  it("duties whose functions have been gone all the while", async () => {
    await fires("VapfarmDutyNotRunning", "VapfarmSlowDutyNotRunning");
  });

  it("are all of those that this file must prove", () => {
    expectAll();
  });
});

/** Lets only this worker take work meanwhile. */
async function onlyOn(name: string, during: () => Promise<void>): Promise<void> {
  const { calls } = client();
  const others = farm.workers.map(({ program }) => program.name).filter((other) => other !== name);
  for (const workerId of others) await calls.cordonWorker(CordonWorkerRequest.create({ workerId, reason: "a test" }));
  try {
    await during();
  } finally {
    for (const workerId of others) await calls.uncordonWorker(UncordonWorkerRequest.create({ workerId }));
  }
}

/** Kills the worker's runtime in the middle of four tasks, one after the other; each then succeeds elsewhere, where others may take it. */
async function failThere(name: string): Promise<void> {
  const { runtimeId } = farm.workers.find(({ program }) => program.name === name) ?? expect.fail(`no worker ${name}`);
  for (let times = 0; times < 4; times += 1) {
    let jobId = "";
    await onlyOn(name, async () => {
      jobId = await submit(150);
      await denoising(farm, jobId);
    });
    end(await runtimeId());
    expect(await endsOf(farm, [jobId])).toEqual(["succeeded"]);
  }
}

/** One that has ended meanwhile needs no signal. */
function end(processId: number): void {
  try {
    process.kill(processId, "SIGKILL");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}

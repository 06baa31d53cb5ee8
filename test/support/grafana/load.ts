/**
 * A farm under a load in which everything happens that a dashboard shows: renders, a benchmark, a cancel, a preemption, a runtime that dies, a task
 * that fails for good, a deadline that passes, prices and a budget, calls that are refused. It leaves work waiting.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { JobClass, type SubmitRenderRequest } from "../../../services/gen/proto/vapfarm/v1/farm.ts";
import { makeBenchSuite } from "../../../tools/make-bench-suite.ts";
import { runCli } from "../cli.ts";
import type { FaultFarm } from "../fault/farm.ts";
import { submitWithLostInput } from "../fault/lost-input.ts";
import { denoising, endsOf, type Inputs, requestOf, submitPatiently, uploadInputs } from "../fault/renders.ts";
import { testFfmpegPath } from "../ffmpeg.ts";
import { type KubeApi, namespace } from "../kube/api-server.ts";
import type { ScrapeTarget } from "../prometheus.ts";
import { until } from "../until.ts";

/** Runs make way soon, so that a test of a minute sees it. */
export const loadEnvironment: Readonly<Record<string, string>> = {
  VAPFARM_PREEMPTION: JSON.stringify({ graceMs: 200, minRunMs: 500, leastLeftMs: 500 }),
  VAPFARM_CHECKPOINT_STEPS: "60",
};

/** Settings of coordinators that scale the pool on this API, upwards only: its stand-in's pods never run. */
export function scaledBy({ address, accountFolder }: Pick<KubeApi, "address" | "accountFolder">): Readonly<Record<string, string>> {
  const never = 3_600_000;
  const pool = { name: "local", kind: "Deployment", object: "local-worker", min: 0, max: 5, targetWaitMs: 1_000, downAfterMs: never };
  const scaling = { namespace, pools: [{ ...pool, idleMs: never, loadMs: 1_000 }] };
  return { VAPFARM_SCALING: JSON.stringify(scaling), VAPFARM_KUBE_API: address, VAPFARM_KUBE_ACCOUNT: accountFolder };
}

export type Load = {
  readonly benchRun: string;
  readonly preempted: string;
};

/** Metrics of each process, with the label that a scrape adds. */
export function targetsOf({ coordinators, workers }: Pick<FaultFarm, "coordinators" | "workers">): readonly ScrapeTarget[] {
  const labels = { farm: "local" };
  const addressOf = (facts: Readonly<Record<string, string>>): string => facts["httpAddress"] ?? expect.fail("no address for metrics");
  return [
    ...coordinators.map(({ program }) => ({ job: "vapfarm-coordinator", address: addressOf(program.facts), labels })),
    ...workers.map(({ program }) => ({ job: "vapfarm-worker", address: addressOf(program.facts), labels })),
  ];
}

/** Long enough to be met in its middle on any machine. */
const longSteps = 1_000;

/** Plays the load and returns while work still waits. */
export async function playLoad(farm: FaultFarm): Promise<Load> {
  const player = new Player(farm, await uploadInputs(clientOf(farm)));
  await player.askInVain();
  await cli(farm, "prices", "set", "local", "2.50", "--currency", "EUR");
  await cli(farm, "budgets", "set", "tenant", "local", "--gpu-seconds", "100000");
  await player.loseInput();
  await player.cancelOne();
  const preempted = await player.makeWay();
  await player.loseRuntime();
  const benchRun = await player.benchmark();
  await player.leaveWaiting();
  return { benchRun, preempted };
}

function clientOf({ coordinators }: FaultFarm) {
  return coordinators[0]?.client ?? expect.fail("no coordinator");
}

async function cli(farm: FaultFarm, ...args: readonly string[]): Promise<string> {
  const address = farm.coordinators[0]?.program.facts["grpcAddress"] ?? "";
  const { code, stdout, stderr } = await runCli([...args, "--address", address]);
  expect(code, `${args.join(" ")}: ${stderr}`).toBe(0);
  return stdout;
}

class Player {
  private readonly farm: FaultFarm;
  private readonly inputs: Inputs;
  private seed = 0;

  constructor(farm: FaultFarm, inputs: Inputs) {
    this.farm = farm;
    this.inputs = inputs;
  }

  private request(steps: number, jobClass: JobClass = JobClass.JOB_CLASS_PRODUCTION): SubmitRenderRequest {
    return { ...requestOf({ inputs: this.inputs, seed: (this.seed += 1), steps }), jobClass };
  }

  private submit(request: SubmitRenderRequest): Promise<string> {
    return submitPatiently(clientOf(this.farm), request);
  }

  /** Calls that are refused, over gRPC and HTTP. */
  async askInVain(): Promise<void> {
    await expect(clientOf(this.farm).getJob(randomUUID())).rejects.toThrow();
    const address = this.farm.coordinators[0]?.program.facts["httpAddress"] ?? "";
    for (const path of ["/v1/jobs?page_size=1", "/v1/jobs/none", "/readyz"]) await (await fetch(`http://${address}${path}`)).text();
  }

  async loseInput(): Promise<void> {
    const jobId = await submitWithLostInput(this.farm, clientOf(this.farm), this.request(1));
    expect(await endsOf(this.farm, [jobId])).toEqual(["failed"]);
  }

  async cancelOne(): Promise<void> {
    const jobId = await this.submit(this.request(longSteps));
    await denoising(this.farm, jobId);
    await cli(this.farm, "cancel", jobId);
    expect(await endsOf(this.farm, [jobId])).toEqual(["cancelled"]);
  }

  /** Benchmark work fills the farm; production work with a deadline that cannot be kept comes first. */
  async makeWay(): Promise<string> {
    const benchmark = () => this.submit(this.request(longSteps, JobClass.JOB_CLASS_BENCHMARK));
    const running = [await benchmark(), await benchmark()];
    await Promise.all(running.map((jobId) => denoising(this.farm, jobId)));
    const urgent = await this.submit({ ...this.request(3), deadline: new Date(Date.now() + 1_000) });
    expect(await endsOf(this.farm, [urgent])).toEqual(["succeeded"]);
    let preempted: string | undefined;
    await until("a run made way", async () => {
      const [row] = await this.farm.sql<{ job: string }>(
        `select r.job_id as job from preemption p join task_user u on u.task_id = p.task_id join render r on r.id = u.render_id limit 1`,
      );
      return (preempted = row?.job) !== undefined;
    });
    for (const jobId of running) await cli(this.farm, "cancel", jobId);
    return preempted ?? expect.fail("no run made way");
  }

  /** A runtime is killed in the middle of a denoise: its task is tried again. */
  async loseRuntime(): Promise<void> {
    const jobId = await this.submit(this.request(longSteps / 2));
    const { worker } = await denoising(this.farm, jobId);
    const victim = this.farm.workers.find(({ program }) => program.name === worker) ?? expect.fail(`no ${worker}`);
    process.kill(await victim.runtimeId(), "SIGKILL");
    expect(await endsOf(this.farm, [jobId])).toEqual(["succeeded"]);
  }

  /** A run of two rows, to the end of its set scores. */
  async benchmark(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "vapfarm-suite-"));
    try {
      await makeBenchSuite(folder, { ffmpegPath: await testFfmpegPath(), of: 1 });
      await cli(this.farm, "bench", "import", join(folder, "benchmark.csv"), "--root", folder, "--name", "small");
      await cli(this.farm, "bench", "run", "small", "--model", "demo", "--steps", "2", "--label", "loaded");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    let run: string | undefined;
    await until("its set scores are stored", async () => {
      const [row] = await this.farm.sql<{ job: string }>("select job_id as job from set_score limit 1");
      return (run = row?.job) !== undefined;
    });
    return run ?? expect.fail("no run");
  }

  /** More than the workers can take at a time. */
  async leaveWaiting(): Promise<void> {
    for (let index = 0; index < 5; index += 1) await this.submit(this.request(longSteps));
    await until("workers denoise and more waits", async () => {
      const [row] = await this.farm.sql<{ running: number; ready: number }>(
        `select (select count(*)::int from attempt a join task t on t.id = a.task_id
            where a.state = 'running' and a.began_at is not null and t.stage = 'denoise') as running,
          (select count(*)::int from ready) as ready`,
      );
      return row !== undefined && row.running > 0 && row.ready > 0;
    });
  }
}

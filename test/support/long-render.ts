/**
 * A render on the demo model that is long enough to be disturbed in the middle of its denoise, and what became of it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FarmError } from "../../services/domain/errors.ts";
import { type Job, JobClass, RenderSpec, Reuse, SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { pause } from "../../services/platform/deadline.ts";
import type { TestFarm } from "./farm.ts";
import { projectRoot } from "./ffmpeg.ts";
import { stepsWithin, triedSteps } from "./steps-within.ts";

/** About 10 s of denoise on an idle machine. */
export const longSteps = 800;

/** How many steps last so long here: a short render tells. */
export async function stepsLasting(farm: TestFarm, ms: number): Promise<number> {
  const { tasks } = await endOf(farm, await submitLong(farm, { steps: triedSteps, seed: 1n }));
  const computeMs = tasks.find(({ stage }) => stage === "denoise")?.computeMs ?? 0;
  return stepsWithin(ms, computeMs / triedSteps);
}

type LongChange = { readonly jobClass?: JobClass; readonly steps?: number; readonly seed?: bigint };

/** Of class production, unless told otherwise. */
export async function submitLong(farm: TestFarm, change: LongChange = {}): Promise<Job> {
  const { jobClass = JobClass.JOB_CLASS_PRODUCTION, steps = longSteps, seed = 7n } = change;
  const [image, clip] = await Promise.all(["demo/image.png", "demo/clip.mp4"].map((path) => farm.client.upload(join(projectRoot, path))));
  const render = RenderSpec.create({
    model: "demo",
    image: { sha256: image?.sha256 ?? "" },
    prompt: "The pot begins to inflate.",
    references: [{ sha256: clip?.sha256 ?? "" }],
    referencePrompts: ["A ball inflates."],
    seed,
    steps,
    outputs: [OutputKind.OUTPUT_KIND_LATENTS],
  });
  return farm.client.submit(SubmitRenderRequest.create({ render, jobClass, reuse: Reuse.REUSE_NONE }));
}

/** Where a denoise was when it was last heard of, by the test's clock, and its pace. */
export type Heard = { readonly workerName: string; readonly step: number; readonly atMs: number; readonly stepMs: number };

/** Follows a job until its denoise has taken more steps than that; says where it was. */
export async function denoising(farm: TestFarm, job: Job, beyondStep = longSteps / 10): Promise<Heard> {
  const watching = new AbortController();
  let first: Heard | undefined;
  for await (const { update } of farm.client.watch(job.jobId, { signal: watching.signal })) {
    if (update?.$case !== "progress" || update.value.stage !== "denoise") continue;
    const { step, workerName } = update.value;
    const atMs = performance.now();
    first ??= { workerName, step, atMs, stepMs: 0 };
    // Over all of the denoise: two messages that come together, or late, say nothing of its pace.
    if (step > beyondStep && step > first.step) return { workerName, step, atMs, stepMs: (atMs - first.atMs) / (step - first.step) };
  }
  throw new TypeError("the job ended before it was disturbed");
}

/** Waits for the job's end through whatever happens to the coordinator meanwhile. */
export async function endOf(farm: TestFarm, job: Job): Promise<Job> {
  for (;;) {
    try {
      const updates = farm.client.watch(job.jobId);
      while ((await updates.next()).done !== true);
      const now = await farm.client.getJob(job.jobId);
      if (now.endTime !== undefined) return now;
    } catch (thrown) {
      if (!(thrown instanceof FarmError && thrown.code === "COORDINATOR_UNAVAILABLE")) throw thrown;
      await pause(100);
    }
  }
}

export async function processOf(farm: TestFarm, name: string): Promise<number> {
  const found = (await farm.running()).processes.find((one) => one.name === name);
  if (found === undefined) throw new TypeError(`no process ${name}`);
  return found.processId;
}

export async function runtimeOf(farm: TestFarm, worker: string): Promise<number> {
  const text = await readFile(join(farm.dataFolder, "workers", worker, "runtime.pid"), "utf8");
  return Number(/\d+/.exec(text)?.[0]);
}

export function latentsOf(job: Job): string {
  return job.artifacts.find(({ name }) => name === "latents")?.sha256 ?? "none";
}

/** Steps at which the attempts of the job's denoise began, in order: 0, or a checkpoint's. */
export async function beginningsOf(farm: TestFarm, job: Job): Promise<readonly number[]> {
  const started = await farm.sql<{ message: string }>(
    "select message from event where job_id = $1 and stage = 'denoise' and kind = 'task.started' order by number",
    [job.jobId],
  );
  return started.map(({ message }) => Number(/step (\d+)/.exec(message)?.[1] ?? 0));
}

/** The step of the checkpoint that is kept for the job's denoise; 0 for none. */
export async function keptStep(farm: TestFarm, job: Job): Promise<number> {
  const [row] = await farm.sql<{ step: number }>(
    `select k.step from render r join task_user u on u.render_id = r.id join task_checkpoint k on k.task_id = u.task_id where r.job_id = $1`,
    [job.jobId],
  );
  return row?.step ?? 0;
}

/**
 * The whole farm on this machine: how long a busy worker's device stands idle between two tasks, and its throughput against a bare loop over
 * the same stages.
 *
 * Loop and farm take turns, and the middle of the rounds' ratios counts, so that what else the machine does is in both.
 */
import { join } from "node:path";
import { type Job, RenderSpec, Reuse, SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { type BareLoop, openBareLoop } from "./bare-loop.ts";
import { type Bench, type Figure, quantile } from "./report.ts";

const shape = { steps: 20, guidanceScale: 6 } as const;

export const wholeFarm: Bench = {
  name: "whole farm, one worker, demo model, Postgres without fsync",
  notMeasured: "a GPU, beside which the farm's own work costs no core; several workers; the released model's sizes",
  async run(short) {
    const loop = await openBareLoop(shape);
    const farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"] });
    try {
      return await sideBySide(farm, loop, short ? { count: 1, renders: 3 } : { count: 5, renders: 10 });
    } finally {
      await farm.stop();
      await loop.close();
    }
  },
};

type Rounds = { readonly count: number; readonly renders: number };
type Round = { readonly farmMs: number; readonly computedMs: number; readonly bareMs: number };

async function sideBySide(farm: TestFarm, loop: BareLoop, { count, renders }: Rounds): Promise<readonly Figure[]> {
  const submit = await preparedSubmit(farm);
  await ended(farm, await submit(0n));
  const warm = await gapsOf(farm);
  const rounds: Round[] = [];
  for (let round = 0; round < count; round += 1) {
    const bareMs = await loop.timeMs(renders);
    const began = performance.now();
    const jobs = await Promise.all(Array.from({ length: renders }, (_, index) => submit(BigInt(1 + round * renders + index))));
    const done = await Promise.all(jobs.map((job) => ended(farm, job)));
    rounds.push({ bareMs, farmMs: performance.now() - began, computedMs: computedMsOf(done) });
  }
  const middle = (of: (round: Round) => number): number => quantile(rounds.map(of), 0.5);
  const what = `${renders} renders of ${shape.steps} steps, middle of ${count} rounds`;
  return [
    { name: `${what}: farm`, value: middle(({ farmMs }) => farmMs), unit: "ms" },
    { name: `${what}: bare loop`, value: middle(({ bareMs }) => bareMs), unit: "ms" },
    { name: "throughput against the bare loop", value: middle(({ bareMs, farmMs }) => bareMs / farmMs), unit: "", goal: "≥ 0.98" },
    { name: "share of the time in which the runtime computed", value: middle((round) => round.computedMs / round.farmMs), unit: "" },
    ...idleFigures(await gapsOf(farm), warm),
    ...(await reservations(farm)),
  ];
}

/** Uploads once; each call submits the same render with another seed, so that only denoise and decode run anew. */
async function preparedSubmit(farm: TestFarm): Promise<(seed: bigint) => Promise<Job>> {
  const upload = async (path: string): Promise<{ sha256: string }> => {
    const { sha256 } = await farm.client.upload(join(projectRoot, path));
    return { sha256 };
  };
  const spec = {
    model: "demo",
    image: await upload("demo/image.png"),
    references: [await upload("demo/clip.mp4")],
    prompt: "The pot inflates.",
    referencePrompts: ["A ball inflates."],
    ...shape,
    outputs: [OutputKind.OUTPUT_KIND_FRAMES],
  };
  return (seed) => farm.client.submit(SubmitRenderRequest.create({ render: RenderSpec.create({ ...spec, seed }), reuse: Reuse.REUSE_ALL }));
}

async function ended(farm: TestFarm, job: Job): Promise<Job> {
  const updates = farm.client.watch(job.jobId);
  while ((await updates.next()).done !== true);
  return farm.client.getJob(job.jobId);
}

function computedMsOf(jobs: readonly Job[]): number {
  const fresh = jobs.flatMap((job) => job.tasks.filter((task) => !task.reused && ["denoise", "vae_decode"].includes(task.stage)));
  return fresh.reduce((sum, task) => sum + task.computeMs + task.loadMs, 0);
}

async function metricsOf(farm: TestFarm): Promise<string> {
  const address = (await farm.running()).processes.find(({ name }) => name === "worker-1")?.httpAddress ?? "";
  return (await fetch(`http://${address}/metrics`)).text();
}

/** Gaps by the upper edge of their bucket: attempts' own rows would hide the wire, the worker's histogram sees each gap. */
type Gaps = readonly { readonly edgeMs: number; readonly upTo: number }[];

async function gapsOf(farm: TestFarm): Promise<Gaps> {
  const lines = (await metricsOf(farm)).matchAll(/vapfarm_worker_idle_gap_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\d+)/g);
  return [...lines].map(([, le, count]) => ({ edgeMs: le === "+Inf" ? Infinity : Number(le) * 1000, upTo: Number(count) }));
}

function idleFigures(gaps: Gaps, before: Gaps): readonly Figure[] {
  const upTo = gaps.map((gap, index) => ({ ...gap, upTo: gap.upTo - (before[index]?.upTo ?? 0) }));
  const all = upTo.flatMap((gap, index) => Array<number>(gap.upTo - (upTo[index - 1]?.upTo ?? 0)).fill(gap.edgeMs));
  const name = (what: string): string => `idle between two computes, ${what} of ${all.length} (upper edge of its bucket)`;
  return [
    { name: name("p50"), value: quantile(all, 0.5), unit: "ms", goal: "≤ 5 ms" },
    { name: name("p99"), value: quantile(all, 0.99), unit: "ms", goal: "≤ 20 ms" },
  ];
}

/** Without them, the gap is that of asking for each task when the one before has ended. */
async function reservations(farm: TestFarm): Promise<readonly Figure[]> {
  const begun = /vapfarm_reservations_total\{[^}]*outcome="begun"[^}]*\} (\d+)/.exec(await metricsOf(farm))?.[1] ?? "0";
  return [{ name: "tasks that were reserved ahead", value: Number(begun), unit: "" }];
}

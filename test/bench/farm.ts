/**
 * The whole farm on this machine: how long a busy worker's runtime stands idle between two tasks, and what the farm
 * adds to a render whose stages take a known time.
 */
import { join } from "node:path";
import { type Job, RenderSpec, Reuse, SubmitRenderRequest } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { type Bench, type Figure, quantile } from "./report.ts";

export const wholeFarm: Bench = {
  name: "whole farm, one worker, demo model, Postgres without fsync",
  notMeasured: "a GPU; several workers; the released model's sizes; the bare loop in the same process",
  async run(short) {
    const farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1"] });
    try {
      const submit = await preparedSubmit(farm);
      await ended(farm, await submit(0n));
      const began = performance.now();
      const jobs = await Promise.all(Array.from({ length: short ? 3 : 30 }, (_, index) => submit(BigInt(index + 1))));
      const done = await Promise.all(jobs.map((job) => ended(farm, job)));
      return [...throughput(done, performance.now() - began), ...(await idleGaps(farm))];
    } finally {
      await farm.stop();
    }
  },
};

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
    steps: 20,
    outputs: [OutputKind.OUTPUT_KIND_FRAMES],
  };
  return (seed) => farm.client.submit(SubmitRenderRequest.create({ render: RenderSpec.create({ ...spec, seed }), reuse: Reuse.REUSE_ALL }));
}

async function ended(farm: TestFarm, job: Job): Promise<Job> {
  const updates = farm.client.watch(job.jobId);
  while ((await updates.next()).done !== true);
  return farm.client.getJob(job.jobId);
}

function throughput(jobs: readonly Job[], wallMs: number): readonly Figure[] {
  const fresh = jobs.flatMap((job) => job.tasks.filter((task) => !task.reused && ["denoise", "vae_decode"].includes(task.stage)));
  const computeMs = fresh.reduce((sum, task) => sum + task.computeMs + task.loadMs, 0);
  return [
    { name: `${jobs.length} renders of 20 steps`, value: wallMs, unit: "ms" },
    { name: "share of that time in which the runtime computed", value: computeMs / wallMs, unit: "", goal: "≥ 0.98 against a bare loop" },
  ];
}

type Gap = { gap_ms: number };

/** From the attempts' own rows would hide the wire; from the worker's histogram, which sees each gap. */
async function idleGaps(farm: TestFarm): Promise<readonly Figure[]> {
  const address = (await farm.running()).processes.find(({ name }) => name === "worker-1")?.httpAddress ?? "";
  const text = await (await fetch(`http://${address}/metrics`)).text();
  const buckets = [...text.matchAll(/vapfarm_worker_idle_gap_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\d+)/g)].map(
    ([, le, count]): Gap & { readonly count: number } => ({ gap_ms: Number(le === "+Inf" ? Infinity : le) * 1000, count: Number(count) }),
  );
  const gaps = buckets.flatMap(({ gap_ms, count }, index) => Array<number>(count - (buckets[index - 1]?.count ?? 0)).fill(gap_ms));
  return [
    { name: "idle between two computes, p50 (upper edge of its bucket)", value: quantile(gaps, 0.5), unit: "ms", goal: "≤ 5 ms" },
    { name: "idle between two computes, p99 (upper edge of its bucket)", value: quantile(gaps, 0.99), unit: "ms", goal: "≤ 20 ms" },
  ];
}

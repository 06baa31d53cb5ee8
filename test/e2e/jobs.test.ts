import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RenderReport } from "../../services/cli/render/report.ts";
import { FarmError } from "../../services/domain/errors.ts";
import { type DeepPartial, JobState, type RenderSpec } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { runCli, startCli } from "../support/cli.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { collectIntermediates, type RenderedTask, startedTasks, tasksOf } from "../support/collected.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { until } from "../support/until.ts";

let farm: TestFarm;
let folder = "";
let good: DeepPartial<RenderSpec> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-jobs-"));
  farm = await startTestFarm({ environment: { VAPFARM_KEEP_INTERMEDIATES_MS: "1000" } });
  const image = await upload(farm.client, join(projectRoot, "demo/image.png"));
  const clip = await upload(farm.client, join(projectRoot, "demo/clip.mp4"));
  good = { image: { sha256: image.sha256 }, references: [{ sha256: clip.sha256 }], referencePrompts: ["A ball."], steps: 2 };
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

const media = [
  ...["--model", "demo", "--image", join(projectRoot, "demo/image.png"), "--reference", join(projectRoot, "demo/clip.mp4")],
  ...["--reference-prompt", "A ball.", "--prompt", "A pot."],
];

function render(...args: readonly string[]): readonly string[] {
  return ["render", ...media, "--address", farm.address, "--out", folder, ...args];
}

/** A job that keeps a worker busy until it is cancelled. */
async function endlessJob(seed: bigint) {
  const job = await submit(farm.client, submission({ ...good, steps: 1000, seed }));
  await until("its denoise runs", async () => {
    const [row] = await farm.sql<{ running: number }>(
      "select count(*)::int as running from task where stage = 'denoise' and state = 'running'",
    );
    return (row?.running ?? 0) > 0;
  });
  return job;
}

describe("an idempotency key", () => {
  it("returns the first job, its drawn seed too, and makes no second", async () => {
    const request = submission(good, { idempotencyKey: "once" });
    const jobs = await Promise.all([1, 2, 3, 4].map(() => submit(farm.client, request)));
    expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(1);
    expect(new Set(jobs.map((job) => job.render?.seed)).size).toBe(1);
    const { job } = await watchUntilEnd(farm.client, jobs[0]?.jobId ?? "");
    expect((await submit(farm.client, request)).jobId).toBe(job.jobId);
    const [count] = await farm.sql<{ jobs: number }>("select count(*)::int as jobs from job where idempotency_key = 'once'");
    expect(count?.jobs).toBe(1);
  });

  it("with another body is a conflict and stores nothing", async () => {
    await submit(farm.client, submission({ ...good, seed: 1n }, { idempotencyKey: "twice" }));
    const error = await submit(farm.client, submission({ ...good, seed: 2n }, { idempotencyKey: "twice" })).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(FarmError);
    expect((error as FarmError).code).toBe("IDEMPOTENCY_CONFLICT");
    expect((error as FarmError).details["grpcStatus"]).toBe("INVALID_ARGUMENT");
  });
});

describe("equal work", () => {
  it("is computed once: a second render of the same spec reuses every task", async () => {
    const request = submission({ ...good, seed: 77n });
    const first = await watchUntilEnd(farm.client, (await submit(farm.client, request)).jobId);
    const second = await watchUntilEnd(farm.client, (await submit(farm.client, request)).jobId);
    expect(second.job.jobId).not.toBe(first.job.jobId);
    expect(second.job.tasks.every(({ reused }) => reused)).toBe(true);
    expect(second.job.artifacts).toEqual(first.job.artifacts);
  });
});

describe("a render whose intermediates were collected", () => {
  const { OUTPUT_KIND_MP4: mp4, OUTPUT_KIND_FRAMES: frames } = OutputKind;
  const render = async (...outputs: OutputKind[]) => {
    const { jobId } = await submit(farm.client, submission({ ...good, prompt: "A vase.", negativePrompt: "A jug.", seed: 78n, outputs }));
    return watchUntilEnd(farm.client, jobId);
  };
  let first: Awaited<ReturnType<typeof render>>;
  let made: readonly RenderedTask[];
  beforeAll(async () => {
    first = await render(mp4);
    made = await tasksOf(farm, first.job.jobId);
    await collectIntermediates(farm, first.job.jobId);
  });

  it("is done at once while its result is kept: nothing of it is computed again", async () => {
    const again = await render(mp4);
    expect(again.job).toMatchObject({ state: JobState.JOB_STATE_SUCCEEDED, artifacts: first.job.artifacts });
    expect(again.job.tasks.map(({ reused }) => reused)).toEqual(first.job.tasks.map(() => true));
    expect(startedTasks(again.told, "denoise")).toEqual([]);
    const more = (await tasksOf(farm, again.job.jobId)).filter(({ computed, booked }) => computed !== 1 || booked !== 1);
    expect(more).toEqual([]);
  });

  it("has them computed again once, in a new generation and to the same bytes, when another last stage takes them", async () => {
    const others = await Promise.all([render(frames), render(mp4, frames)]);
    const used = await tasksOf(farm, others[0].job.jobId);
    const intermediates = made.filter(({ stage }) => stage !== "vae_decode");
    expect(used.filter(({ stage }) => stage !== "vae_decode")).toEqual(
      intermediates.map((task) => ({ ...task, generation: task.generation + 1, booked: task.booked + 1 })),
    );
    const [started] = startedTasks(first.told, "denoise");
    const again = new Set(others.flatMap(({ told }) => startedTasks(told, "denoise")));
    expect([again.size, again.has(started ?? 0n)]).toEqual([1, false]);
    const [ofFrames, ofBoth] = others.map(({ job }) => new Map(job.artifacts.map((artifact) => [artifact.name, artifact])));
    expect(ofBoth?.get("mp4")).toEqual(first.job.artifacts.find(({ name }) => name === "mp4"));
    expect(ofBoth?.get("frames")).toEqual(ofFrames?.get("frames"));
  });
});

describe("cancel", () => {
  it("ends running work and says so, and twice changes nothing", async () => {
    const job = await endlessJob(501n);
    const watched = watchUntilEnd(farm.client, job.jobId);
    const cancelled = await runCli(["cancel", job.jobId, "--address", farm.address]);
    expect(cancelled).toMatchObject({ code: 0, stdout: `job ${job.jobId} is cancelled\n` });
    expect((await watched).job.state).toBe(JobState.JOB_STATE_CANCELLED);
    await until("no denoise runs", async () => {
      const rows = await farm.sql("select 1 from attempt where state = 'running'");
      return rows.length === 0;
    });
    expect((await farm.client.cancel(job.jobId)).state).toBe(JobState.JOB_STATE_CANCELLED);
    expect((await runCli(["watch", job.jobId, "--address", farm.address])).code).toBe(4);
  });

  it("of an unknown job is an error of input", async () => {
    expect((await runCli(["cancel", "00000000-0000-0000-0000-000000000000", "--address", farm.address])).code).toBe(2);
  });
});

describe("vapfarm render", () => {
  it("shows progress, then the files, the contact sheet and the seconds of each stage", async () => {
    const { code, stdout, stderr } = await runCli(render("--seed", "11", "--steps", "20", "--outputs", "mp4,latents", "--reuse", "none"));
    expect(code).toBe(0);
    expect(stderr).toMatch(/uploaded .*clip\.mp4: video 320x240, 32 frames/);
    expect(stderr).toMatch(/denoise {4,}\d+%/);
    expect(stdout).toMatch(/job \S+ succeeded after [\d.]+ s, seed 11/);
    for (const stage of ["prepare", "text_encode", "vae_encode", "denoise", "vae_decode"]) {
      expect(stdout).toMatch(new RegExp(`^  ${stage} .* [\\d.]+ s .*worker-[12] +cpu$`, "m"));
    }
    expect(stdout).toContain("random weights: output is noise by design");
    for (const name of ["mp4", "latents", "contact sheet"]) {
      const path = new RegExp(`^${name}: +(\\S+)$`, "m").exec(stdout)?.[1] ?? "";
      expect((await stat(path)).size).toBeGreaterThan(1000);
    }
    expect((await readdir(folder)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("prints one JSON document for scripts", async () => {
    const { code, stdout, stderr } = await runCli(render("--seed", "12", "--steps", "2", "--json"));
    expect([code, stderr]).toEqual([0, ""]);
    const report = JSON.parse(stdout) as RenderReport;
    expect(report).toMatchObject({ state: "succeeded", seed: "12", hasRandomWeights: true });
    expect((await readFile(report.files["mp4"] ?? "")).subarray(4, 8).toString()).toBe("ftyp");
  });

  it("can leave at once; watch goes on to the end and fetches the files", async () => {
    const detached = await runCli(render("--seed", "13", "--steps", "2", "--detach"));
    expect(detached.code).toBe(0);
    const jobId = detached.stdout.trim();
    const watched = await runCli(["watch", jobId, "--address", farm.address, "--out", folder, "--json"]);
    expect(watched.code).toBe(0);
    const lines = watched.stdout.trim().split("\n").map((line) => JSON.parse(line) as { event?: { kind: string } }); // prettier-ignore
    expect(lines.find(({ event }) => event !== undefined)?.event?.kind).toBe("job.submitted");
    expect(lines.at(-1)).toMatchObject({ state: "succeeded", files: { mp4: join(folder, `${jobId}.mp4`) } });
    const shown = await runCli(["job", jobId, "--address", farm.address]);
    expect(shown.stdout).toContain("is succeeded");
  });

  it("leaves the job running when interrupted, and says how to watch and cancel it", async () => {
    const run = startCli(render("--seed", "14", "--steps", "1000"));
    await run.printed(/denoise {4,}\d+%/);
    run.process.kill("SIGINT");
    const { code, stderr } = await run.outcome;
    expect(code).toBe(130);
    const jobId = /vapfarm cancel (\S+)/.exec(stderr)?.[1] ?? "";
    expect((await farm.client.getJob(jobId)).state).toBe(JobState.JOB_STATE_RUNNING);
    expect((await farm.client.cancel(jobId)).state).toBe(JobState.JOB_STATE_CANCELLED);
  });

  it("ends with 2 and every field when the farm refuses", async () => {
    const { code, stderr } = await runCli(render("--seed", "-1", "--steps", "0", "--reference-prompt", "one too many", "--json"));
    expect(code).toBe(2);
    const { error } = JSON.parse(stderr) as { error: { fields: { field: string }[] } };
    expect(error.fields.map(({ field }) => field).sort()).toEqual(["render.reference_prompts", "render.seed", "render.steps"]);
  });
});

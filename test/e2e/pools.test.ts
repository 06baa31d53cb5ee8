import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HoldScope } from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { type Job, JobState } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { SchedulerKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { submission, submit, upload, watchUntilEnd } from "../support/farm-render.ts";

const models = [
  { model: "demo", pool: "cog", worker: "cog-1" },
  { model: "demo-wan", pool: "wan", worker: "wan-1" },
] as const;

let farm: TestFarm;
let media: { readonly image: string; readonly clip: string };
beforeAll(async () => {
  farm = await startTestFarm({ args: ["--ephemeral", "--workers", "1", "--pool", "cog=demo", "--pool", "wan=demo-wan"] });
  media = {
    image: (await upload(farm.client, `${projectRoot}demo/image.png`)).sha256,
    clip: (await upload(farm.client, `${projectRoot}demo/clip.mp4`)).sha256,
  };
});
afterAll(() => farm.stop());

const render = (model: string): Promise<Job> =>
  submit(
    farm.client,
    submission({
      model,
      image: { sha256: media.image },
      references: [{ sha256: media.clip }],
      referencePrompts: ["A ball rolls."],
      steps: 2,
    }),
  );

describe("a farm with a pool for each variant", () => {
  it("says which pool renders which model, and its worker holds no other", async () => {
    const { models: served } = await farm.client.calls.listModels({});
    expect(served.map(({ name, variant, pool, workers }) => ({ name, variant, pool, workers }))).toEqual([
      { name: "demo", variant: "cogvideox", pool: "cog", workers: 1 },
      { name: "demo-wan", variant: "wan", pool: "wan", workers: 1 },
    ]);
    expect(served.map(({ schedulers }) => schedulers)).toEqual([
      ["ddim", "dpm"],
      ["unipc", "euler"],
    ]);
  });

  it("renders both at once, each in its own pool", async () => {
    const jobs = await Promise.all(models.map(({ model }) => render(model)));
    for (const [index, { jobId }] of jobs.entries()) {
      const { job } = await watchUntilEnd(farm.client, jobId);
      expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
      const computed = job.tasks.filter(({ reused }) => !reused);
      expect(new Set(computed.map(({ workerName }) => workerName))).toEqual(new Set([models[index]?.worker]));
    }
  });

  it("goes on in one pool while the other is held", async () => {
    await farm.client.calls.placeHold({ scope: HoldScope.HOLD_SCOPE_POOL, name: "wan", reason: "a look at its GPUs" });
    const waiting = await render("demo-wan");
    const { job } = await watchUntilEnd(farm.client, (await render("demo")).jobId);
    expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
    expect((await farm.client.getJob(waiting.jobId)).state).toBe(JobState.JOB_STATE_QUEUED);
    await farm.client.calls.releaseHold({ scope: HoldScope.HOLD_SCOPE_POOL, name: "wan" });
    expect((await watchUntilEnd(farm.client, waiting.jobId)).job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  });

  const one = { references: [1], referencePrompts: ["A ball rolls."] };
  it.each([
    ["two references", { references: [1, 1], referencePrompts: ["a", "b"] }, /references: has 2 references/],
    ["two prompts for one reference", { ...one, referencePrompts: ["a", "b"] }, /2 prompts for 1 references/],
    ["a scheduler of CogVideoX", { ...one, scheduler: SchedulerKind.SCHEDULER_KIND_DDIM }, /scheduler.*ddim does not run model demo-wan/],
    ["dynamic guidance", { ...one, guidance: { dynamic: true } }, /guidance\.dynamic/],
    ["a size that the model does not have", { ...one, width: 50 }, /width.*50/],
    ["another number of frames", { ...one, frames: 18 }, /frames.*18/],
  ])("refuses a Wan render with %s", async (_what, { references, ...fields }, reason) => {
    const clips = references.map(() => ({ sha256: media.clip }));
    const asked = submission({ model: "demo-wan", image: { sha256: media.image }, references: clips, ...fields });
    await expect(submit(farm.client, asked)).rejects.toThrow(reason);
  });
});

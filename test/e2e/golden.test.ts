import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Job, JobState, Reuse } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { OutputKind } from "../../services/gen/proto/vapfarm/v1/stage.ts";
import { projectRoot } from "../support/ffmpeg.ts";
import { startTestFarm, type TestFarm } from "../support/farm.ts";
import { downloadTensor, submission, submit, upload, watchUntilEnd, writeLosslessClip, writePng } from "../support/farm-render.ts";
import {
  type GoldenCase,
  type GoldenName,
  goldenNames,
  goldenReferences,
  maxDifference,
  openGolden,
  schedulerKindOf,
} from "../support/golden.ts";
import { goldenPixels } from "../support/golden-pixels.ts";
import { schedulerNumbers } from "../support/golden-stages.ts";

let farm: TestFarm;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "vapfarm-golden-"));
  farm = await startTestFarm();
});
afterAll(async () => {
  await farm.stop();
  await rm(folder, { recursive: true, force: true });
});

type Media = { readonly image: string; readonly references: readonly string[] };

/** Lossless files of the case's own pixels: CogVideoX sees nothing else. */
async function pixelMedia(name: GoldenName, golden: GoldenCase): Promise<Media> {
  const image = await writePng(join(folder, `${name}.png`), goldenPixels(golden, "image_pixels"));
  const references: string[] = [];
  for (const index of goldenReferences(golden)) {
    references.push(await writeLosslessClip(join(folder, `${name}-${index}.mkv`), goldenPixels(golden, `ref${index}_pixels`)));
  }
  return { image, references };
}

/** The files that the reference read: Wan's CLIP sees them at their own size. */
function wholeMedia(image: string): Media {
  const media = (file: string): string => `${projectRoot}test/fixtures/media/${file}`;
  return { image: media(image), references: [media("man-534.mp4")] };
}

async function mediaOf(name: GoldenName, golden: GoldenCase): Promise<Media> {
  if (name === "wan-unipc") return wholeMedia("woman-7.jpg");
  if (name === "wan-euler") return wholeMedia("animal-2.jpg");
  return pixelMedia(name, golden);
}

/** Renders a golden case from files and its seed. */
async function render(name: GoldenName, golden: GoldenCase, reuse: Reuse = Reuse.REUSE_UNSPECIFIED) {
  const { settings } = golden;
  const media = await mediaOf(name, golden);
  const image = await upload(farm.client, media.image);
  const references: { sha256: string }[] = [];
  for (const clip of media.references) {
    const uploaded = await upload(farm.client, clip);
    expect(uploaded.kind).toBe("video");
    references.push({ sha256: uploaded.sha256 });
  }
  const submitted = await submit(
    farm.client,
    submission(
      {
        model: settings.variant === "wan" ? "demo-wan" : "demo",
        image: { sha256: image.sha256 },
        references,
        prompt: settings.prompt,
        referencePrompts: [...settings.ref_prompts],
        seed: BigInt(settings.seed),
        steps: settings.steps,
        guidance: { scale: settings.guidance_scale, dynamic: settings.use_dynamic_cfg ?? false },
        scheduler: schedulerNumbers[schedulerKindOf(golden)],
        outputs: [OutputKind.OUTPUT_KIND_LATENTS, OutputKind.OUTPUT_KIND_FRAMES],
      },
      { reuse },
    ),
  );
  return watchUntilEnd(farm.client, submitted.jobId);
}

/** Holds what a farm made to the case. */
async function expectGolden(golden: GoldenCase, job: Job): Promise<void> {
  expect(job.failure).toBeUndefined();
  expect(job.state).toBe(JobState.JOB_STATE_SUCCEEDED);
  const latents = await downloadTensor(farm.client, job, { name: "latents", folder });
  const last = golden.float32(`step${golden.settings.steps - 1}_latents`);
  expect(latents.shape).toEqual(last.shape);
  expect(maxDifference(latents.data as Float32Array, last.data)).toBeLessThanOrEqual(5e-4);
  const frames = await downloadTensor(farm.client, job, { name: "frames", folder });
  const expected = golden.uint8("frames_u8");
  expect(frames.shape).toEqual(expected.shape);
  const far = expected.data.filter((level, place) => Math.abs(level - Number(frames.data[place])) > 1);
  expect(far.length / expected.data.length).toBeLessThanOrEqual(0.001);
}

describe("a render through the whole farm", () => {
  it.each(goldenNames)("gives the reference's latents and frames: %s", async (name) => {
    const golden = openGolden(name);
    const { job, told } = await render(name, golden);
    await expectGolden(golden, job);
    const numbers = told.flatMap(({ update }) => (update?.$case === "event" ? [Number(update.value.number)] : []));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(BigInt(numbers.length)).toBe(job.lastEventNumber);
  });

  it("gives them with both variants in one pool at once, nothing reused", async () => {
    const names = ["cogvideox-dpm-1ref", "wan-euler", "wan-unipc"] as const;
    const ended = await Promise.all(names.map((name) => render(name, openGolden(name), Reuse.REUSE_NONE)));
    for (const [index, name] of names.entries()) {
      const { job } = ended[index] ?? {};
      if (job === undefined) expect.unreachable("every render has a job");
      await expectGolden(openGolden(name), job);
      expect(job.tasks.some(({ reused }) => reused)).toBe(false);
    }
  });
});
